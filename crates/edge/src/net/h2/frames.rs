//! Frames of HTTP/2 that a client sends, counted by whether they ask for anything (RFC 9113, sections 4.1 and 10.5).
//!
//! SETTINGS, PING, `WINDOW_UPDATE` and their like cost us work and the client next to nothing. Each connection has an
//! allowance of them, which grows with time, with requests and with answers that it takes.

use crate::limits::{H2_QUIET_FRAMES_MAX, H2_QUIET_FRAMES_PER_REQUEST, H2_QUIET_FRAMES_PER_S};

const HEADER_BYTES: usize = 9;
/// What a client begins with before its first frame (RFC 9113, section 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;

/// The frames of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Frames {
    /// The beginning of a frame's header.
    header: [u8; HEADER_BYTES],
    header_length: usize,
    /// Bytes of the running frame's payload that have not come.
    payload_left: usize,
    /// Frames that ask for nothing and may still come, in thousandths.
    allowance: u64,
    refilled_ms: u64,
}

/// A client sent too many frames that ask for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyFrames;

impl Frames {
    /// Of a connection of which nothing was read yet. `now_ms` are milliseconds of a clock that never goes back.
    pub(crate) fn new(now_ms: u64) -> Self {
        Self {
            header: [0; HEADER_BYTES],
            header_length: 0,
            payload_left: PREFACE.len(),
            allowance: H2_QUIET_FRAMES_MAX * 1_000,
            refilled_ms: now_ms,
        }
    }

    /// Counts the frames that begin in `bytes`, which follow those of the last call.
    pub(crate) fn read(&mut self, mut bytes: &[u8], now_ms: u64) -> Result<(), TooManyFrames> {
        self.grow(now_ms.saturating_sub(self.refilled_ms) * H2_QUIET_FRAMES_PER_S);
        self.refilled_ms = now_ms;
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let length = self.payload_left.min(bytes.len());
                self.payload_left -= length;
                bytes = &bytes[length..];
                continue;
            }
            let length = (HEADER_BYTES - self.header_length).min(bytes.len());
            self.header[self.header_length..self.header_length + length].copy_from_slice(&bytes[..length]);
            self.header_length += length;
            bytes = &bytes[length..];
            if self.header_length == HEADER_BYTES {
                self.header_length = 0;
                self.count()?;
            }
        }
        Ok(())
    }

    /// The client took a piece of an answer.
    pub(crate) fn answer_taken(&mut self) {
        self.grow(H2_QUIET_FRAMES_PER_REQUEST * 1_000);
    }

    /// Counts the frame whose header has come.
    fn count(&mut self) -> Result<(), TooManyFrames> {
        let [high, middle, low, kind, ..] = self.header;
        self.payload_left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        match kind {
            HEADERS => self.grow(H2_QUIET_FRAMES_PER_REQUEST * 1_000),
            // A request's body has a bound and a time limit of its own.
            DATA if self.payload_left > 0 => {}
            _ => self.allowance = self.allowance.checked_sub(1_000).ok_or(TooManyFrames)?,
        }
        Ok(())
    }

    fn grow(&mut self, thousandths: u64) {
        self.allowance = self.allowance.saturating_add(thousandths).min(H2_QUIET_FRAMES_MAX * 1_000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let header = [length[1], length[2], length[3], kind, 0, 0, 0, 0, 1];
        [&header, payload].concat()
    }

    /// Frames of a connection that has sent its preface.
    fn greeted(now_ms: u64) -> Frames {
        let mut frames = Frames::new(now_ms);
        frames.read(PREFACE, now_ms).unwrap();
        frames
    }

    /// Sends so many pings, of which none is too many, while one more would be.
    fn ping_to_the_end(frames: &mut Frames, now_ms: u64, count: u64) {
        for number in 0..count {
            assert_eq!(frames.read(&frame(PING, &[0; 8]), now_ms), Ok(()), "ping {number} of {count}");
        }
        assert_eq!(frames.clone().read(&frame(PING, &[0; 8]), now_ms), Err(TooManyFrames));
    }

    #[test]
    fn pings_alone_come_to_an_end() {
        ping_to_the_end(&mut greeted(5), 5, H2_QUIET_FRAMES_MAX);
    }

    #[test]
    fn time_requests_and_answers_allow_more() {
        let mut frames = greeted(0);
        ping_to_the_end(&mut frames, 0, H2_QUIET_FRAMES_MAX);
        ping_to_the_end(&mut frames, 1_000, H2_QUIET_FRAMES_PER_S);
        frames.read(&frame(HEADERS, b"abc"), 1_000).unwrap();
        ping_to_the_end(&mut frames, 1_000, H2_QUIET_FRAMES_PER_REQUEST);
        frames.answer_taken();
        ping_to_the_end(&mut frames, 1_000, H2_QUIET_FRAMES_PER_REQUEST);
        // What is not used does not pile up.
        ping_to_the_end(&mut frames, 1_000_000_000, H2_QUIET_FRAMES_MAX);
    }

    #[test]
    fn bodies_are_no_quiet_frames_but_empty_ones_are() {
        let mut frames = greeted(0);
        for _ in 0..10 * H2_QUIET_FRAMES_MAX {
            frames.read(&frame(DATA, b"x"), 0).unwrap();
        }
        assert!((0..=H2_QUIET_FRAMES_MAX).any(|_| frames.read(&frame(DATA, b""), 0).is_err()));
    }

    #[test]
    fn frames_are_found_however_they_are_cut() {
        let bytes =
            [frame(PING, &[0; 8]), frame(HEADERS, &[7; 300]), frame(PING, &[0; 8]), frame(4, &[])].concat();
        let mut whole = greeted(0);
        whole.read(&bytes, 0).unwrap();
        for size in [1, 2, 7, 9, 10, 100] {
            let mut cut = greeted(0);
            bytes.chunks(size).for_each(|chunk| cut.read(chunk, 0).unwrap());
            assert_eq!(format!("{cut:?}"), format!("{whole:?}"), "in chunks of {size}");
        }
    }
}
