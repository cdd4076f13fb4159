//! Additions to many counters.

use onrush_gate::RouteGroup;
use onrush_node::{Call, Outcome};

use super::sender::Sender;
use super::{Batched, Item, check_count, refusal};
use crate::api::App;
use crate::api::app::mismatched;
use crate::grpc::generated::onrush::v1::add_result::Result as ResultMessage;
use crate::grpc::generated::onrush::v1::{AddManyRequest, AddManyResponse, AddRequest, AddResult};
use crate::grpc::name;
use crate::problem::Problem;

/// `Counters/AddMany`.
pub(in crate::grpc) struct Additions;

impl Batched for Additions {
    type Request = AddManyRequest;
    type Response = AddManyResponse;

    fn read(app: &App, sender: &Sender, request: AddManyRequest) -> Result<Vec<Item>, Problem> {
        let AddManyRequest { additions } = request;
        check_count("additions", additions.len())?;
        let turn = sender.turn(app);
        let item = |AddRequest { counter, by }: &AddRequest| {
            turn.admit(RouteGroup::Pages)?;
            Ok(Call::AddToCounter { counter: name("counter", counter)?, by: (*by).max(1) })
        };
        Ok(additions.iter().map(item).collect())
    }

    fn write(_: &App, results: impl Iterator<Item = Result<Outcome, Problem>>) -> AddManyResponse {
        let result = |result| match result {
            Ok(Outcome::Counter { value }) => ResultMessage::Value(value),
            Ok(other) => mismatched(&other),
            Err(problem) => ResultMessage::Refused(refusal(&problem)),
        };
        let results = results.map(|one| AddResult { result: Some(result(one)) });
        AddManyResponse { results: results.collect() }
    }
}
