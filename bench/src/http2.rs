//! As much of HTTP/2 (RFC 9113) as a load generator needs to call gRPC: requests are made once, each as the frames that it is on
//! the wire, and of an answer only the frames are told apart.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD_BYTES: usize = 9;
/// Larger than whatever is received in a turn, so that no windows have to be opened again.
const WINDOW_BYTES: u32 = 0x7fff_ffff;
const FIRST_WINDOW_BYTES: u32 = 65_535;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A whole answer among bytes that were received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Ended by trailers behind a message; refusals of gRPC have no message.
    pub(crate) is_ok: bool,
    /// Of the message, with the five before it.
    pub(crate) body_bytes: usize,
    /// Up to and with its last frame.
    pub(crate) bytes: usize,
}

/// What a client sends first: no pushes, and windows that never close.
pub(crate) fn opening() -> Vec<u8> {
    let mut settings = Vec::new();
    for (setting, value) in [(2_u16, 0), (4, WINDOW_BYTES)] {
        settings.extend(setting.to_be_bytes());
        settings.extend(value.to_be_bytes());
    }
    let mut bytes = PREFACE.to_vec();
    push_frame(&mut bytes, SETTINGS, 0, &settings);
    push_frame(&mut bytes, WINDOW_UPDATE, 0, &(WINDOW_BYTES - FIRST_WINDOW_BYTES).to_be_bytes());
    bytes
}

/// A call with one message, on no stream yet.
pub(crate) fn call(path: &str, message: &[u8]) -> Result<Vec<u8>> {
    // Methods and schemes of the static table; other fields as literals without an index (RFC 7541, 6.2.2).
    let mut fields = vec![0x83, 0x86];
    let mut push = |name: &[u8], value: &str| -> Result<()> {
        fields.extend(name);
        fields.push(u8::try_from(value.len()).ok().filter(|length| *length < 127).context("a short field")?);
        fields.extend(value.as_bytes());
        Ok(())
    };
    push(&[0x04], path)?;
    push(&[0x01], "localhost")?;
    push(&[0x0f, 0x10], "application/grpc")?;
    push(b"\x00\x02te", "trailers")?;
    let mut data = vec![0];
    data.extend(u32::try_from(message.len())?.to_be_bytes());
    data.extend(message);
    let mut bytes = Vec::new();
    push_frame(&mut bytes, HEADERS, END_HEADERS, &fields);
    push_frame(&mut bytes, DATA, END_STREAM, &data);
    Ok(bytes)
}

/// Puts the frames of a call on a stream.
pub(crate) fn set_stream(call: &mut [u8], stream: u32) {
    let mut at = 0;
    while let Some(length) = payload_bytes(&call[at..]) {
        call[at + 5..at + FRAME_HEAD_BYTES].copy_from_slice(&stream.to_be_bytes());
        at += FRAME_HEAD_BYTES + length;
    }
}

/// `None` while a part is missing. Frames of no stream are passed over.
pub(crate) fn whole_answer(bytes: &[u8]) -> Option<Answer> {
    let (mut at, mut body_bytes) = (0, 0);
    loop {
        let length = payload_bytes(&bytes[at..])?;
        let (kind, flags) = (bytes[at + 3], bytes[at + 4]);
        at += FRAME_HEAD_BYTES + length;
        if bytes.len() < at {
            return None;
        }
        let is_end = flags & END_STREAM != 0;
        match kind {
            DATA => body_bytes += length,
            HEADERS => {}
            RST_STREAM | GOAWAY => return Some(Answer { is_ok: false, body_bytes, bytes: at }),
            _ => continue,
        }
        if is_end {
            return Some(Answer { is_ok: kind == HEADERS && body_bytes > 0, body_bytes, bytes: at });
        }
    }
}

/// Makes one call on a connection of its own, and returns how long the answer's message is with the five bytes before it.
pub(crate) fn body_bytes(address: SocketAddr, call: &[u8]) -> Result<usize> {
    let mut stream = TcpStream::connect(address).context("connect")?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut request = opening();
    let mut call = call.to_vec();
    set_stream(&mut call, 1);
    request.extend(call);
    stream.write_all(&request).context("send a call")?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(whole) = whole_answer(&answer) {
            ensure!(whole.is_ok, "the call was refused");
            return Ok(whole.body_bytes);
        }
        match stream.read(&mut chunk).context("read an answer")? {
            0 => bail!("the server closed the connection"),
            read_bytes => answer.extend_from_slice(&chunk[..read_bytes]),
        }
    }
}

/// What a frame has behind its head; `None` if the head is not whole.
fn payload_bytes(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..FRAME_HEAD_BYTES)?;
    Some(usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]))
}

fn push_frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, payload: &[u8]) {
    // Payloads here are far below the 16 KiB that every peer takes.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    bytes.extend(&length[1..]);
    bytes.extend([kind, flags, 0, 0, 0, 0]);
    bytes.extend(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(list: &[(u8, u8, usize)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (kind, flags, length) in list {
            push_frame(&mut bytes, *kind, *flags, &vec![0; *length]);
        }
        bytes
    }

    #[test]
    fn an_answer_ends_with_its_trailers() {
        let answer = frames(&[
            (SETTINGS, 0, 6),
            (HEADERS, END_HEADERS, 30),
            (DATA, 0, 300),
            (DATA, 0, 20),
            (HEADERS, 5, 9),
        ]);
        for length in 0..answer.len() {
            assert_eq!(whole_answer(&answer[..length]), None, "{length}");
        }
        let whole = Some(Answer { is_ok: true, body_bytes: 320, bytes: answer.len() });
        assert_eq!(whole_answer(&answer), whole);
        let mut with_more = answer.clone();
        with_more.extend([0, 0, 4]);
        assert_eq!(whole_answer(&with_more), whole, "what comes later belongs to the next");
    }

    #[test]
    fn refusals_have_no_message() {
        for refusal in [frames(&[(HEADERS, 5, 90)]), frames(&[(DATA, 0, 9), (RST_STREAM, 0, 4)])] {
            assert!(whole_answer(&refusal).is_some_and(|answer| !answer.is_ok));
        }
    }

    #[test]
    fn all_frames_of_a_call_are_put_on_its_stream() {
        let mut call = call("/a.B/C", b"message").unwrap();
        set_stream(&mut call, 0x0102_0305);
        let second = FRAME_HEAD_BYTES + payload_bytes(&call).unwrap();
        for at in [0, second] {
            assert_eq!(call[at + 5..at + 9], [1, 2, 3, 5]);
        }
        assert!(call.ends_with(b"\0\0\0\0\x07message"));
    }
}
