//! The calls.

use tonic::metadata::MetadataValue;
use tonic::metadata::errors::InvalidMetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, metadata::Ascii};

use crate::batches::{Answers, Batches, channel};
use crate::claim::{Claim, Made, Reservation};
use crate::error::{Error, Refusal};
use crate::generated::catalog_client::CatalogClient;
use crate::generated::counters_client::CountersClient;
use crate::generated::reservations_client::ReservationsClient;
use crate::generated::{self, add_result, reserve_result};

/// A connection to a server, which is opened again when it breaks. Clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    /// Of a customer.
    authorization: Option<MetadataValue<Ascii>>,
}

/// A row of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its key.
    pub key: String,
    /// The JSON object, as it was put.
    pub json: Vec<u8>,
    /// Stands for these bytes.
    pub etag: String,
}

/// Rows, with every change up to one version of their collection. Those of another database may be newer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// In the order in which their keys were asked for.
    pub rows: Vec<Row>,
    /// Keys that no row has.
    pub missing: Vec<String>,
    /// The version of the collection.
    pub version: u64,
    /// Milliseconds that the rows can be behind their source.
    pub lag_ms: u64,
}

impl Client {
    /// Connects to the public listener of a server, as in `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// The address is none, or nobody answers there.
    pub async fn connect(address: &str) -> Result<Self, Error> {
        let endpoint = Endpoint::from_shared(address.to_owned()).map_err(Error::Unreachable)?;
        // A batch must not wait for an acknowledgement of the one before it.
        let channel = endpoint.tcp_nodelay(true).connect().await.map_err(Error::Unreachable)?;
        Ok(Self { channel, authorization: None })
    }

    /// The same for a customer whose session token, or token of the shop, this is.
    ///
    /// # Errors
    /// The token has characters that no token has.
    pub fn with_session(self, token: &str) -> Result<Self, Error> {
        let refused =
            |_: InvalidMetadataValue| Error::Unsendable("a token is made of visible ASCII characters");
        let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse().map_err(refused)?;
        value.set_sensitive(true);
        Ok(Self { authorization: Some(value), ..self })
    }

    /// Reserves units in a sale, all lines or none. What is returned is durable.
    ///
    /// # Errors
    /// The server refuses, or has no answer. With a key the claim can be made again.
    pub async fn reserve(&self, sale: &str, claim: Claim) -> Result<Made, Error> {
        let asked = generated::ReserveRequest { sale: sale.to_owned(), claim: Some(claim.0) };
        let answer = self.reservations().reserve(self.request(asked)).await?.into_inner();
        let replayed = answer.replayed;
        let made = Reservation::try_from(answer.reservation)?;
        let Reservation { reservation, status, created_at_ms, expires_at_ms, .. } = made;
        Ok(Made { reservation, status, created_at_ms, expires_at_ms, replayed })
    }

    /// Reads a reservation as it is now.
    ///
    /// # Errors
    /// The server refuses, or has no answer.
    pub async fn reservation(&self, sale: &str, id: &str) -> Result<Reservation, Error> {
        let (sale, reservation) = (sale.to_owned(), id.to_owned());
        let asked = generated::ReservationsGetRequest { sale, reservation };
        self.reservations().get(self.request(asked)).await?.into_inner().reservation.try_into()
    }

    /// Reads the newest 1,000 reservations of a customer in a sale, oldest first.
    ///
    /// # Errors
    /// The server refuses, or has no answer.
    pub async fn reservations_of(&self, sale: &str, customer: &str) -> Result<Vec<Reservation>, Error> {
        let (sale, customer) = (sale.to_owned(), customer.to_owned());
        let asked = generated::ReservationsListRequest { sale, customer };
        let answer = self.reservations().list(self.request(asked)).await?.into_inner();
        answer.reservations.into_iter().map(|one| Some(one).try_into()).collect()
    }

    /// Makes a held reservation final. Repeating it changes nothing.
    ///
    /// # Errors
    /// The server refuses, or has no answer.
    pub async fn confirm(&self, sale: &str, id: &str) -> Result<Reservation, Error> {
        let asked = generated::ConfirmRequest { sale: sale.to_owned(), reservation: id.to_owned() };
        self.reservations().confirm(self.request(asked)).await?.into_inner().reservation.try_into()
    }

    /// Gives the units of a reservation back, held or confirmed. Repeating it changes nothing.
    ///
    /// # Errors
    /// The server refuses, or has no answer.
    pub async fn release(&self, sale: &str, id: &str) -> Result<Reservation, Error> {
        let asked = generated::ReleaseRequest { sale: sale.to_owned(), reservation: id.to_owned() };
        self.reservations().release(self.request(asked)).await?.into_inner().reservation.try_into()
    }

    /// Opens a stream on which many claims of a sale are made at once: batches of 1 to 256 go in, and for each comes the end of every
    /// claim, in order.
    ///
    /// # Errors
    /// The server refuses the stream, or has no answer.
    pub async fn reserve_many(&self, sale: &str) -> Result<(Batches<Claim>, Answers<Made>), Error> {
        let sale = sale.to_owned();
        let (batches, requests) = channel(move |claims: Vec<Claim>| generated::ReserveManyRequest {
            sale: sale.clone(),
            claims: claims.into_iter().map(|claim| claim.0).collect(),
        });
        let answers = self.reservations().reserve_many(self.request(requests)).await?.into_inner();
        Ok((batches, Answers::new(answers, |answer| answer.results.into_iter().map(made).collect())))
    }

    /// Adds 1 to 1,000,000 to a counter, and returns its total, this addition included.
    ///
    /// # Errors
    /// The server refuses, or has no answer. Then it is unknown whether it was added.
    pub async fn add(&self, counter: &str, by: u32) -> Result<u64, Error> {
        let asked = generated::AddRequest { counter: counter.to_owned(), by };
        Ok(self.counters().add(self.request(asked)).await?.into_inner().value)
    }

    /// Opens a stream on which much is added at once: batches of 1 to 256 additions, each the name of a counter and how much, go in, and
    /// for each comes the total of every addition, in order.
    ///
    /// # Errors
    /// The server refuses the stream, or has no answer.
    pub async fn add_many(&self) -> Result<(Batches<(String, u32)>, Answers<u64>), Error> {
        let addition = |(counter, by)| generated::AddRequest { counter, by };
        let (batches, requests) = channel(move |additions: Vec<(String, u32)>| generated::AddManyRequest {
            additions: additions.into_iter().map(addition).collect(),
        });
        let answers = self.counters().add_many(self.request(requests)).await?.into_inner();
        Ok((batches, Answers::new(answers, |answer| answer.results.into_iter().map(total).collect())))
    }

    /// Reads up to 100 rows of a collection of the catalogue, with every change up to one version.
    ///
    /// # Errors
    /// The server refuses, or has no answer.
    pub async fn rows(&self, collection: &str, keys: Vec<String>) -> Result<Rows, Error> {
        let asked = generated::GetRowsRequest { collection: collection.to_owned(), keys, min_version: 0 };
        let mut catalog = CatalogClient::new(self.channel.clone());
        let answer = catalog.get_rows(self.request(asked)).await?.into_inner();
        let row = |row: generated::Row| Row { key: row.key, json: row.json, etag: row.etag };
        let generated::GetRowsResponse { rows, missing, version, lag_ms } = answer;
        Ok(Rows { rows: rows.into_iter().map(row).collect(), missing, version, lag_ms })
    }

    fn reservations(&self) -> ReservationsClient<Channel> {
        ReservationsClient::new(self.channel.clone())
    }

    fn counters(&self) -> CountersClient<Channel> {
        CountersClient::new(self.channel.clone())
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request
    }
}

fn made(result: generated::ReserveResult) -> Result<Result<Made, Refusal>, Error> {
    match result.result {
        Some(reserve_result::Result::Reserved(reserved)) => Made::try_from(reserved).map(Ok),
        Some(reserve_result::Result::Refused(refusal)) => Ok(Err(refusal.into())),
        None => Err(Error::Senseless("a result is missing")),
    }
}

fn total(result: generated::AddResult) -> Result<Result<u64, Refusal>, Error> {
    match result.result {
        Some(add_result::Result::Value(total)) => Ok(Ok(total)),
        Some(add_result::Result::Refused(refusal)) => Ok(Err(refusal.into())),
        None => Err(Error::Senseless("a result is missing")),
    }
}
