//! The file of further properties for librdkafka. It may hold passwords, so nothing here repeats a value of it.

use std::path::Path;

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

/// Bytes of the file, at most; a larger one is refused.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Properties that follow from what a sink or a collection promises, or from its other settings, under all their names.
const RESERVED: [&str; 31] = [
    "acks",
    "auto.commit.enable",
    "auto.offset.reset",
    "bootstrap.servers",
    "delivery.report.only.error",
    "delivery.timeout.ms",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.partition.eof",
    "enabled_events",
    "group.id",
    "log.queue",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.send.max.retries",
    "message.timeout.ms",
    "metadata.broker.list",
    "msg_order_cmp",
    "opaque",
    "partitioner",
    "produce.offset.report",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queuing.strategy",
    "request.required.acks",
    "retries",
    "statistics.interval.ms",
    "test.mock.num.brokers",
    "transactional.id",
];

/// Reads the properties in the order of the file.
pub(super) fn read(path: &Path) -> Result<Vec<(String, String)>, String> {
    let name = path.display();
    let length =
        std::fs::metadata(path).map_err(|error| format!("read properties_file {name}: {error}"))?.len();
    if length > FILE_BYTES_MAX {
        return Err(format!("properties_file {name} is larger than {FILE_BYTES_MAX} bytes"));
    }
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("read properties_file {name}: {error}"))?;
    parse(&text).map_err(|problem| format!("properties_file {name}: {problem}"))
}

fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut properties = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let (line, line_no) = (line.trim(), index + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(format!("line {line_no} is not of the form key=value"));
        };
        let (key, value) = (key.trim(), value.trim());
        // Callbacks are how a sink learns what became of a message.
        if RESERVED.contains(&key) || key.ends_with("_cb") {
            return Err(format!("line {line_no} sets {key}, which onrush sets itself"));
        }
        if key.is_empty() || value.contains('\0') {
            return Err(format!("line {line_no} is not of the form key=value"));
        }
        properties.push((key.to_owned(), value.to_owned()));
    }
    Ok(properties)
}

/// Why librdkafka does not take the properties. What it says itself has the value in it.
pub(crate) fn refusal(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, _, key, _) => {
            format!("librdkafka knows no property {key}")
        }
        KafkaError::ClientConfig(_, _, key, _) => {
            format!("librdkafka does not take the value of {key}, or was built without what it needs")
        }
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_line_is_a_property_or_a_named_problem() {
        for (text, expected) in [
            ("", Ok(vec![])),
            ("# note\n\n  linger.ms = 20 \r\n", Ok(vec![("linger.ms", "20")])),
            ("sasl.password=a=b#c", Ok(vec![("sasl.password", "a=b#c")])),
            ("ssl.ca.location=", Ok(vec![("ssl.ca.location", "")])),
            ("secret", Err("line 1 is not of the form key=value")),
            ("a=1\n=secret", Err("line 2 is not of the form key=value")),
            ("acks=1", Err("line 1 sets acks, which onrush sets itself")),
            (
                "delivery.report.only.error=true",
                Err("line 1 sets delivery.report.only.error, which onrush sets itself"),
            ),
            ("dr_msg_cb=1", Err("line 1 sets dr_msg_cb, which onrush sets itself")),
            ("\n retries =9", Err("line 2 sets retries, which onrush sets itself")),
        ] {
            let expected = expected.map(|properties| {
                properties.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
            });
            assert_eq!(parse(text), expected.map_err(str::to_owned), "{text:?}");
        }
    }
}
