//! What librdkafka says of connections that failed: whether it helps that it tries again by itself, and what would help.

use rdkafka::types::RDKafkaErrorCode;

/// What one client was told of its connections.
#[derive(Debug, Default)]
pub(super) struct Complaint {
    /// The newest of those that say most.
    said: Option<(Weight, String)>,
    fault: Option<Fault>,
    are_all_down: bool,
}

/// How much a text says, from the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// That all brokers are down.
    Summary,
    /// A line that is logged and not reported: a connection was closed.
    Line,
    /// An error of a connection.
    Error,
    /// A [`Fault`].
    Fault,
}

/// Why a connection will not come about however often librdkafka tries: it keeps the password and the certificates that it has
/// read, and a new client reads them again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The broker refuses the user, the password or the mechanism.
    Login,
    /// No encrypted connection, mostly because the broker's certificate is not believed.
    Encryption,
}

impl Complaint {
    /// Takes an error that librdkafka reports.
    pub(super) fn take(&mut self, code: Option<RDKafkaErrorCode>, text: String) {
        use RDKafkaErrorCode::{AllBrokersDown, Authentication, SSL};
        let (weight, fault) = match code {
            Some(AllBrokersDown) => (Weight::Summary, None),
            Some(Authentication) => (Weight::Fault, Some(Fault::Login)),
            Some(SSL) => (Weight::Fault, Some(Fault::Encryption)),
            _ => (Weight::Error, None),
        };
        self.are_all_down |= weight == Weight::Summary;
        self.fault = fault.or(self.fault);
        self.weigh(weight, text);
    }

    /// Takes a line about a failure that librdkafka logs. It begins with the name of a thread.
    pub(super) fn take_line(&mut self, line: &str) {
        let text = line.split_once("]: ").map_or(line, |(_, text)| text);
        self.weigh(Weight::Line, text.to_owned());
    }

    fn weigh(&mut self, weight: Weight, text: String) {
        if self.said.as_ref().is_none_or(|(heaviest, _)| weight >= *heaviest) {
            self.said = Some((weight, text));
        }
    }

    /// Whether waiting for librdkafka, which has only begun, is of no use.
    pub(super) fn is_hopeless(&self) -> bool {
        self.are_all_down || self.fault.is_some()
    }

    /// Why nothing but a new client can help, if that is so.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// What was said, and what can be done.
    pub(super) fn text(&self) -> Option<String> {
        let (_, text) = self.said.as_ref()?;
        Some(cure(text, self.fault).map_or_else(|| text.clone(), |cure| format!("{text}; {cure}")))
    }

    /// The address of the broker that it is about: what is said of encrypted connections begins with `PROTOCOL://HOST:PORT/`.
    pub(super) fn address(&self) -> Option<&str> {
        let (_, behind) = self.said.as_ref()?.1.split_once("://")?;
        Some(behind.split_once('/')?.0)
    }
}

/// What can be done, as far as the text and librdkafka's names of a connection's states tell it.
fn cure(text: &str, fault: Option<Fault>) -> Option<&'static str> {
    let is_closed_in = |state: &str| text.contains("Disconnected") && text.contains(state);
    if text.contains("mechanism handshake failed") {
        Some("set sasl.mechanism in properties_file to one that the broker has")
    } else if fault == Some(Fault::Login) {
        Some("mend username or password; password_file is read again with every attempt")
    } else if is_closed_in("in state SSL_HANDSHAKE") {
        Some("does the port speak TLS?")
    } else if is_closed_in("in state APIVERSION_QUERY") && !text.contains("ssl://") {
        Some("does the listener want TLS? Then set tls = \"verify\"")
    } else if is_closed_in("ms in state UP") && !text.starts_with("sasl_") {
        Some("does the listener want a login? Then set username and password_file")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RDKafkaErrorCode::{AllBrokersDown, Authentication, BrokerTransportFailure, SSL};

    /// After errors, and after lines, which have no code.
    fn after(said: &[(Option<RDKafkaErrorCode>, &str)]) -> Complaint {
        let mut complaint = Complaint::default();
        for (code, text) in said {
            match code {
                Some(code) => complaint.take(Some(*code), (*text).to_owned()),
                None => complaint.take_line(&format!("[thrd:kafka-1:9092/1]: {text}")),
            }
        }
        complaint
    }

    #[test]
    fn what_says_most_is_kept() {
        let (down, line) = ((Some(AllBrokersDown), "down"), (None, "line"));
        let (gone, away) = ((Some(BrokerTransportFailure), "gone"), (Some(BrokerTransportFailure), "away"));
        let (login, tls) = ((Some(Authentication), "login"), (Some(SSL), "tls"));
        for (said, text, fault, is_hopeless) in [
            (&[][..], "", None, false),
            (&[line], "line", None, false),
            (&[down], "down", None, true),
            (&[down, line, down], "line", None, true),
            (&[gone, line, down], "gone", None, true),
            (&[gone, away], "away", None, false),
            (&[gone, login, down, away], "login", Some(Fault::Login), true),
            (&[login, tls], "tls", Some(Fault::Encryption), true),
        ] {
            let complaint = after(said);
            assert!(complaint.text().unwrap_or_default().starts_with(text), "{said:?}");
            assert_eq!(complaint.text().is_none(), text.is_empty(), "{said:?}");
            assert_eq!((complaint.fault(), complaint.is_hopeless()), (fault, is_hopeless), "{said:?}");
        }
    }

    #[test]
    fn a_complaint_names_what_can_be_done() {
        let closed = "Disconnected: connection closed by peer: receive 0 after POLLIN (after 1ms in state APIVERSION_QUERY)";
        for (code, text, cure) in [
            (
                Some(Authentication),
                "SASL SCRAM-SHA-256 mechanism handshake failed: no".to_owned(),
                "mechanism in",
            ),
            (Some(Authentication), "SASL authentication error: invalid credentials".to_owned(), "password"),
            (None, format!("kafka-1:9092/bootstrap: {closed}"), "want TLS?"),
            (None, format!("sasl_plaintext://kafka-1:9092/bootstrap: {closed}"), "want TLS?"),
            (None, format!("ssl://kafka-1:9092/bootstrap: {closed}"), ""),
            (None, "ssl://kafka-1:9092/1: Disconnected (after 0ms in state UP)".to_owned(), "want a login?"),
            (None, "sasl_ssl://kafka-1:9092/1: Disconnected (after 0ms in state UP)".to_owned(), ""),
            (
                Some(BrokerTransportFailure),
                "Disconnected (after 1ms in state SSL_HANDSHAKE)".to_owned(),
                "speak TLS?",
            ),
            (Some(BrokerTransportFailure), "Connect to 127.0.0.1:9 failed".to_owned(), ""),
        ] {
            let said = after(&[(code, &text)]).text().unwrap_or_default();
            let added = said.strip_prefix(&text).unwrap_or_else(|| panic!("{said}"));
            assert!(added.contains(cure) && added.is_empty() == cure.is_empty(), "{said}");
        }
    }

    #[test]
    fn a_complaint_names_the_broker_of_an_encrypted_connection() {
        for (text, address) in [
            ("ssl://kafka-1:9092/bootstrap: SSL handshake failed", Some("kafka-1:9092")),
            ("sasl_ssl://[::1]:9092/1: SSL handshake failed", Some("[::1]:9092")),
            ("kafka-1:9092/1: Connection refused", None),
            ("1/1 brokers are down", None),
        ] {
            assert_eq!(after(&[(Some(SSL), text)]).address(), address, "{text}");
        }
    }
}
