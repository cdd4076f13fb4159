//! Claims of many customers.

use onrush_gate::RouteGroup;
use onrush_node::{Call, Outcome};

use super::sender::Sender;
use super::{Batched, Item, check_count, refusal};
use crate::api::App;
use crate::api::app::mismatched;
use crate::api::reservations::admit;
use crate::grpc::claim::{self, status_message};
use crate::grpc::generated::onrush::v1::reserve_result::Result as ResultMessage;
use crate::grpc::generated::onrush::v1::{ReserveManyRequest, ReserveManyResponse, ReserveResult, Reserved};
use crate::grpc::name;
use crate::problem::Problem;

/// `Reservations/ReserveMany`.
pub(in crate::grpc) struct Claims;

impl Batched for Claims {
    type Request = ReserveManyRequest;
    type Response = ReserveManyResponse;

    fn read(app: &App, sender: &Sender, request: ReserveManyRequest) -> Result<Vec<Item>, Problem> {
        let ReserveManyRequest { sale, claims } = request;
        check_count("claims", claims.len())?;
        let turn = sender.turn(app);
        let (identity, sale) = (sender.identify(app), name("sale", &sale));
        let item = |message| {
            let mut admission = turn.admit(RouteGroup::Reserve)?;
            let identity = identity.as_ref().map_err(Problem::clone)?;
            let sale = sale.as_ref().map_err(Problem::clone)?;
            let call = admit(app, identity, &mut admission, turn.now, |read_challenge| {
                claim::read(identity, sale, message, read_challenge)
            })?;
            Ok(Call::Reserve(call))
        };
        Ok(claims.iter().map(item).collect())
    }

    fn write(app: &App, results: impl Iterator<Item = Result<Outcome, Problem>>) -> ReserveManyResponse {
        let result = |result| match result {
            Ok(Outcome::Reserved { reservation, status, created_at, expires_at, replayed, call }) => {
                let id = app.backend.ids(&call.sale).write(reservation);
                ResultMessage::Reserved(Reserved {
                    reservation: String::from_utf8_lossy(&id).into_owned(),
                    status: status_message(status).into(),
                    created_at_ms: created_at,
                    expires_at_ms: expires_at,
                    replayed,
                })
            }
            Ok(other) => mismatched(&other),
            Err(problem) => ResultMessage::Refused(refusal(&problem)),
        };
        let results = results.map(|one| ReserveResult { result: Some(result(one)) });
        ReserveManyResponse { results: results.collect() }
    }
}
