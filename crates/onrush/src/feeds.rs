//! The feeds that keep rows of the catalogue as they are in their sources.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
#[cfg(feature = "kafka")]
use onrush_connect::debezium;
use onrush_connect::source;
use onrush_edge::Source;
use onrush_node::Name;
use onrush_node::catalog::SourceRows;
#[cfg(feature = "kafka")]
use onrush_node::catalog::ToldRows;

use crate::failure::Failure;
use crate::settings::{CollectionSource, SourcedCollection};

/// One for each collection with rows of a source.
#[derive(Default)]
pub(crate) struct Feeds {
    postgres: Vec<source::Feed>,
    #[cfg(feature = "kafka")]
    debezium: Vec<debezium::Feed>,
}

impl Feeds {
    /// Starts them. The rows are there once they have been loaded.
    pub(crate) fn start(collections: &[SourcedCollection]) -> Result<(Self, Vec<(Name, Source)>), Failure> {
        let (mut feeds, mut sources) = (Self::default(), Vec::new());
        for collection in collections {
            let started = feeds.start_one(collection);
            let name = &collection.name;
            let source = started.with_context(|| format!("follow the source of collection {name}"))?;
            sources.push((name.clone(), source));
        }
        Ok((feeds, sources))
    }

    fn start_one(&mut self, collection: &SourcedCollection) -> anyhow::Result<Source> {
        let name = &collection.name;
        let seed = getrandom::u64().context("draw random numbers")?;
        match &collection.source {
            CollectionSource::Postgres(source, settings) => {
                let rows = Arc::new(SourceRows::new(*settings, seed));
                let feed = source::Feed::start(name, source.clone(), Arc::clone(&rows));
                self.postgres.push(feed.map_err(|error| anyhow!(error))?);
                Ok(Source::Postgres(rows))
            }
            #[cfg(feature = "kafka")]
            CollectionSource::Debezium(source, settings) => {
                let rows = Arc::new(ToldRows::new(*settings, seed));
                let feed = debezium::Feed::start(name, source.clone(), Arc::clone(&rows));
                self.debezium.push(feed.map_err(|error| anyhow!(error))?);
                Ok(Source::Debezium(rows))
            }
        }
    }

    /// Stops all of them, and waits until they have taken leave of their sources, a few seconds at most.
    pub(crate) fn stop(self) {
        #[cfg(feature = "kafka")]
        debezium::Feed::stop_all(self.debezium);
        source::Feed::stop_all(self.postgres);
    }
}
