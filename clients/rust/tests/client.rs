//! The client against a server in this process.

#[allow(dead_code, reason = "nobody calls its `main` here")]
#[path = "../examples/reserve_many.rs"]
mod reserve_many;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use onrush_client::{Claim, Client, Error, Line, Refusal, Reservation, ReservationStatus};
use onrush_edge::{CatalogSettings, Components, GateSettings, Scenarios, Server, Settings};
use onrush_log::memory::MemoryLog;
use onrush_node::{MachineClock, Partition, Partitions, Retention};

/// A server over a log in memory.
struct Rig {
    server: Option<Server>,
    partition: Arc<Partition>,
}

impl Rig {
    fn start() -> Self {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let hour = Duration::from_hours(1);
        let catalog = CatalogSettings { embedded: vec!["products".into()], ..CatalogSettings::default() };
        let settings = Settings {
            listen: any_port,
            operator_listen: any_port,
            operator_key: None,
            threads: 1,
            connections_max: 100,
            header_timeout: hour,
            body_timeout: hour,
            idle_timeout: hour,
            write_timeout: hour,
            unsent_bytes_max: usize::MAX,
            drain_timeout: hour,
            scenarios: Scenarios::default(),
            gate: GateSettings::default(),
            catalog,
        };
        let log = Arc::new(MemoryLog::new(0));
        let of_node = onrush_node::Settings::default();
        let opened = Partition::open(log, of_node, Arc::new(MachineClock), Retention::default());
        let partition = opened.expect("a partition").0;
        let partitions = Arc::new(Partitions::one(Arc::clone(&partition)));
        let server = Server::start(settings, &partitions, Components::default()).expect("a server");
        Self { server: Some(server), partition }
    }

    fn address(&self) -> String {
        format!("http://{}", self.server.as_ref().expect("a server").address())
    }

    /// Puts something on the operator's listener.
    fn put(&self, target: &str, body: &str) {
        let address = self.server.as_ref().expect("a server").operator_address();
        let mut stream = TcpStream::connect(address).expect("a connection");
        let length = body.len();
        let request = format!(
            "PUT {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("a request that is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.drain();
        }
        self.partition.close();
    }
}

fn run(client: impl Future<Output = Result<(), Error>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(client).expect("answers");
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, Error>) -> Refusal {
    match answer {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reservation_is_made_read_confirmed_and_released() {
    let rig = Rig::start();
    rig.put("/v1/sales/s", r#"{"hold_ttl_ms":60000,"stocks":[{"stock":"unit","quantity_total":2}]}"#);
    run(async {
        let client = Client::connect(&rig.address()).await?;
        let claim = Claim::of("ann").line("unit", 2).key("k").details(r#"{"a":1}"#);
        let made = client.reserve("s", claim.clone()).await?;
        assert_eq!((made.status, made.replayed), (ReservationStatus::Held, false));
        assert!(client.reserve("s", claim).await?.replayed);
        let found = client.reservation("s", &made.reservation).await?;
        let lines = vec![Line { stock: "unit".into(), quantity: 2 }];
        let expected = Reservation {
            reservation: made.reservation.clone(),
            sale: "s".into(),
            customer: "ann".into(),
            status: ReservationStatus::Held,
            lines,
            details: br#"{"a":1}"#.to_vec(),
            created_at_ms: made.created_at_ms,
            expires_at_ms: made.expires_at_ms,
        };
        assert_eq!(found, expected);
        let confirmed = client.confirm("s", &made.reservation).await?;
        assert_eq!((confirmed.status, confirmed.expires_at_ms), (ReservationStatus::Confirmed, None));
        let sold_out = refusal(client.reserve("s", Claim::of("bob").line("unit", 1)).await);
        assert_eq!((&*sold_out.code, sold_out.retry_after), ("insufficient_stock", None));
        let released = client.release("s", &made.reservation).await?;
        assert_eq!(client.reservations_of("s", "ann").await?, [released]);
        assert_eq!(refusal(client.reservation("s", "nothing").await).code, "reservation_not_found");
        Ok(())
    });
}

#[test]
fn counters_and_rows() {
    let rig = Rig::start();
    rig.put("/v1/catalog/products/1", r#"{"a":1}"#);
    run(async {
        let client = Client::connect(&rig.address()).await?;
        assert_eq!((client.add("home", 2).await?, client.add("home", 3).await?), (2, 5));
        let (batches, mut answers) = client.add_many().await?;
        batches.send(vec![("home".into(), 1), ("a b".into(), 1), ("other".into(), 9)]).await?;
        drop(batches);
        let ends = answers.next().await?.expect("an answer");
        let codes: Vec<_> = ends.iter().map(|end| end.as_ref().map_err(|refusal| &*refusal.code)).collect();
        assert_eq!(codes, [Ok(&6), Err("invalid_request"), Ok(&9)]);
        assert!(answers.next().await?.is_none());
        let found = client.rows("products", vec!["1".into(), "2".into()]).await?;
        assert_eq!((&*found.rows[0].json, found.missing), (&br#"{"a":1}"#[..], vec!["2".to_owned()]));
        Ok(())
    });
}

#[test]
fn the_example_sells_what_there_is() {
    let rig = Rig::start();
    rig.put("/v1/sales/s", r#"{"stocks":[{"stock":"unit","quantity_total":700}]}"#);
    run(async {
        let counts = reserve_many::reserve_all(&rig.address(), "s", "unit", 1_050).await?;
        assert_eq!(counts, (700, 350));
        // The same keys find the same reservations.
        let again = reserve_many::reserve_all(&rig.address(), "s", "unit", 1_050).await?;
        assert_eq!(again, (700, 350));
        Ok(())
    });
}

#[test]
fn a_stream_that_the_server_ends_says_why() {
    let rig = Rig::start();
    rig.put("/v1/sales/s", r#"{"stocks":[{"stock":"unit","quantity_total":700}]}"#);
    run(async {
        let client = Client::connect(&rig.address()).await?;
        let (batches, mut answers) = client.reserve_many("s").await?;
        batches.send(Vec::new()).await?;
        assert_eq!(refusal(answers.next().await).code, "invalid_request");
        Ok(())
    });
}

#[test]
fn nobody_who_answers_is_an_error_and_so_is_a_token_that_is_none() {
    run(async {
        let nobody = Client::connect("http://127.0.0.1:1").await;
        assert!(matches!(nobody, Err(Error::Unreachable(_))), "{nobody:?}");
        let rig = Rig::start();
        let token = Client::connect(&rig.address()).await?.with_session("a\nb");
        assert!(matches!(token, Err(Error::Unsendable(_))), "{token:?}");
        Ok(())
    });
}
