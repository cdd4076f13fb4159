//! Reservations.

use std::sync::Arc;

use onrush_core::{ReservationRef, ReservationStatus, ReservationView, TimeMs};
use onrush_node::{Asker, Call, Name, Outcome, ReserveCall};
use tonic::{Request, Response, Status, Streaming};

use super::batches::{Batches, Claims};
use super::caller::{admission_of, identify};
use super::claim::{self, status_message};
use super::generated::onrush::v1::reservations_server::Reservations;
use super::generated::onrush::v1::{
    ConfirmRequest, ConfirmResponse, Line, ReleaseRequest, ReleaseResponse, Reservation,
    ReservationsGetRequest, ReservationsGetResponse, ReservationsListRequest, ReservationsListResponse,
    ReserveManyRequest, ReserveRequest, ReserveResponse,
};
use super::{Answer, name, status_of};
use crate::api::App;
use crate::api::app::mismatched;
use crate::api::reservations::{admit, ask_for_all, ask_for_one, read_id};
use crate::gate::{Admission, Identity};
use crate::problem::Problem;

pub(super) struct Service(pub(super) Arc<App>);

impl Service {
    async fn reserve(
        &self,
        request: Request<ReserveRequest>,
        admission: &mut Admission,
    ) -> Result<ReserveResponse, Problem> {
        let sender = identify(&self.0, &request, true)?;
        let ReserveRequest { sale, claim } = request.into_inner();
        let (sale, claim) = (name("sale", &sale)?, claim.unwrap_or_default());
        let now = self.0.backend.now_ms();
        let call = admit(&self.0, &sender, admission, now, |read_challenge| {
            claim::read(&sender, &sale, &claim, read_challenge)
        })?;
        match self.0.ask(Call::Reserve(call)).await? {
            Outcome::Reserved { reservation, status, created_at, expires_at, replayed, call } => {
                let id = self.0.backend.ids(&call.sale).write(reservation);
                let id = String::from_utf8_lossy(&id).into_owned();
                let reservation = Some(reserved(id, status, *call, created_at, expires_at));
                Ok(ReserveResponse { reservation, replayed })
            }
            other => mismatched(&other),
        }
    }

    /// The reservation of this id that `call` is about, as it is after it.
    async fn one(
        &self,
        sender: Result<Identity, Problem>,
        sale: &str,
        id: &str,
        call: impl FnOnce(Name, ReservationRef, Asker) -> Call,
    ) -> Result<Option<Reservation>, Status> {
        let found = async {
            let asker = sender?.asker();
            let sale = name("sale", sale)?;
            let reservation = read_id(&self.0, &sale, id)?;
            ask_for_one(&self.0, call(sale, reservation, asker)).await
        };
        found.await.map(|view| Some(self.message(*view))).map_err(|problem| status_of(&problem))
    }

    fn message(&self, view: ReservationView) -> Reservation {
        let id = self.0.backend.ids(&view.sale).write(view.reservation);
        let line = |(stock, quantity)| Line { stock, quantity };
        Reservation {
            reservation: String::from_utf8_lossy(&id).into_owned(),
            sale: view.sale,
            customer: view.customer,
            status: status_message(view.status).into(),
            lines: view.lines.into_iter().map(line).collect(),
            details: view.details,
            created_at_ms: view.created_at,
            expires_at_ms: view.expires_at,
        }
    }
}

#[tonic::async_trait]
impl Reservations for Service {
    async fn reserve(&self, request: Request<ReserveRequest>) -> Answer<ReserveResponse> {
        let mut admission = admission_of(&request);
        let reserved = self.reserve(request, &mut admission).await.map_err(|problem| status_of(&problem))?;
        let mut response = Response::new(reserved);
        if let Some(standing) = admission.standing() {
            response.extensions_mut().insert(standing);
        }
        Ok(response)
    }

    type ReserveManyStream = Batches<Claims>;

    async fn reserve_many(
        &self,
        request: Request<Streaming<ReserveManyRequest>>,
    ) -> Answer<Self::ReserveManyStream> {
        Ok(Response::new(Batches::new(&self.0, request)))
    }

    async fn get(&self, request: Request<ReservationsGetRequest>) -> Answer<ReservationsGetResponse> {
        let sender = identify(&self.0, &request, false);
        let ReservationsGetRequest { sale, reservation } = request.get_ref();
        let call = |sale, reservation, asker| Call::ReadReservation { sale, reservation, asker };
        let reservation = self.one(sender, sale, reservation, call).await?;
        Ok(Response::new(ReservationsGetResponse { reservation }))
    }

    async fn list(&self, request: Request<ReservationsListRequest>) -> Answer<ReservationsListResponse> {
        let found = async {
            let asker = identify(&self.0, &request, false)?.asker();
            let ReservationsListRequest { sale, customer } = request.get_ref();
            let (sale, customer) = (name("sale", sale)?, name("customer", customer)?);
            ask_for_all(&self.0, sale, customer, asker).await
        };
        let views = found.await.map_err(|problem| status_of(&problem))?;
        let reservations = views.into_iter().map(|view| self.message(view)).collect();
        Ok(Response::new(ReservationsListResponse { reservations }))
    }

    async fn confirm(&self, request: Request<ConfirmRequest>) -> Answer<ConfirmResponse> {
        let sender = identify(&self.0, &request, true);
        let ConfirmRequest { sale, reservation } = request.get_ref();
        let call = |sale, reservation, asker| Call::Confirm { sale, reservation, asker };
        let reservation = self.one(sender, sale, reservation, call).await?;
        Ok(Response::new(ConfirmResponse { reservation }))
    }

    async fn release(&self, request: Request<ReleaseRequest>) -> Answer<ReleaseResponse> {
        let sender = identify(&self.0, &request, true);
        let ReleaseRequest { sale, reservation } = request.get_ref();
        let call = |sale, reservation, asker| Call::Release { sale, reservation, asker };
        let reservation = self.one(sender, sale, reservation, call).await?;
        Ok(Response::new(ReleaseResponse { reservation }))
    }
}

fn reserved(
    reservation: String,
    status: ReservationStatus,
    call: ReserveCall,
    created_at_ms: TimeMs,
    expires_at_ms: Option<TimeMs>,
) -> Reservation {
    let lines = call.lines.into_iter();
    Reservation {
        reservation,
        sale: call.sale.into_string(),
        customer: call.customer.into_string(),
        status: status_message(status).into(),
        lines: lines.map(|line| Line { stock: line.stock.into_string(), quantity: line.quantity }).collect(),
        details: call.details.into_vec(),
        created_at_ms,
        expires_at_ms,
    }
}
