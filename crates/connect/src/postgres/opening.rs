//! From a new connection to a session that holds the schema: nothing is changed before it is known that the server is the right one.

use onrush_sinks::{EXCHANGE_TIMEOUT, Expected, Source, TargetError};

use super::columns;
use super::connection::{Connection, within};
use super::errors::unavailable;
use super::migrations::migrate;
use super::ownership::{Fence, take_over};
use super::servers::{address, check_not_left_behind};
use super::session::Session;
use super::settings::Settings;
use super::statements::Statements;

/// What a schema is opened with.
pub(super) struct Opening {
    pub(super) settings: Settings,
    pub(super) source: Source,
    /// The name of the target in its process.
    pub(super) runner: String,
    /// The fence that it held when its connection broke.
    pub(super) held: Option<u64>,
    /// What is known of the server that answered last.
    pub(super) expected: Expected,
}

impl Opening {
    /// Connects and takes the schema over; returns also the address of the server.
    pub(super) async fn open(self) -> Result<(Session, Fence, String), TargetError> {
        let Self { settings, source, runner, held, expected } = self;
        let application = format!("onrush sink {}", source.sink);
        let config = settings.primary(&application).map_err(TargetError::Unavailable)?;
        let connection = Connection::open(&settings, config).await?;
        let schema = settings.schema;
        let prepared = within(EXCHANGE_TIMEOUT, "open the schema", async {
            check_encoding(&connection).await?;
            check_not_left_behind(&connection, &schema, &source.sink, &expected, held).await?;
            migrate(&connection, &schema).await?;
            let columns = columns::check(&connection, &schema).await?;
            let fence =
                take_over(&connection, &schema, &source, &runner, held.is_some(), expected.left_fence())
                    .await?;
            Ok((columns, fence, address(&connection).await?))
        });
        let (columns, fence, server) = prepared.await?;
        // Rows come in as arrays whose length the planner cannot know, into tables that may have grown since they were analysed.
        let plan_by_index = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off";
        connection.run("prepare the session", plan_by_index).await?;
        let statements = Statements::prepare(&connection).await?;
        let mark = format!("{runner}.{}", fence.number);
        connection.run("mark the session", &format!("SET onrush.session = '{mark}'")).await?;
        let session =
            Session { connection, statements, schema, sink: source.sink, fence: fence.number, mark, columns };
        Ok((session, fence, server))
    }
}

/// Only a database in UTF-8 takes every text.
async fn check_encoding(connection: &Connection) -> Result<(), TargetError> {
    let doing = "read the encoding of the database";
    let row = connection.client().query_one("SELECT current_setting('server_encoding')", &[]).await;
    match row.map_err(|error| unavailable(doing, &error))?.get(0) {
        "UTF8" => Ok(()),
        encoding => {
            Err(TargetError::Refused(format!("the database has the encoding {encoding}; use one with UTF8")))
        }
    }
}
