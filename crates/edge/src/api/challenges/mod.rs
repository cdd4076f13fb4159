//! Challenges: given out for a customer in a sale, and shown. They come back with the reservation.

mod body;
mod operations;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderValue, StatusCode, Uri, header};
use onrush_core::{ChallengeKind, GateMode, SaleView, SessionTerms};
use onrush_node::{Call, Name, Outcome};

use super::answer::{Answer, WithoutBody, WithoutQuery, json, json_body, name_at, segment, with_header};
use super::app::{App, mismatched};
use super::asker::AskedBy;
use super::route::Route;
use crate::gate::{Identity, KINDS};
use crate::http::query::parameters;
use crate::limits::BODY_BYTES_MAX;
use crate::problem::Problem;
use body::{parse_customer, write_given};
pub(super) use operations::schemas;
pub(crate) use operations::shows;

/// Routes of the public listener.
pub(super) fn routes() -> [Route; 3] {
    let [given, read, shown] = operations::all();
    [Route::new(given, give), Route::new(read, give_to_widget), Route::new(shown, show)]
}

async fn give(State(app): State<Arc<App>>, AskedBy(sender): AskedBy, request: Request) -> Answer {
    let uri = request.uri().clone();
    let body = json_body(request, BODY_BYTES_MAX).await?;
    let customer = parse_customer(&body)?;
    given(&app, &uri, &sender, customer, StatusCode::CREATED).await
}

/// The widget asks with GET, and takes 200 alone.
async fn give_to_widget(
    State(app): State<Arc<App>>,
    AskedBy(sender): AskedBy,
    request: WithoutBody,
) -> Answer {
    given(&app, &request.uri, &sender, None, StatusCode::OK).await
}

async fn given(
    app: &App,
    uri: &Uri,
    sender: &Identity,
    customer: Option<Name>,
    status: StatusCode,
) -> Answer {
    let sale = name_at(uri, 2, "sale")?;
    let [kind] = parameters(uri.query(), ["kind"])?;
    let customer = sender.customer(customer).inspect_err(|problem| app.gate.count_refusal(problem))?;
    let sale = match app.ask(Call::ReadSale { sale }).await? {
        Outcome::Sale(sale) => sale,
        other => mismatched(&other),
    };
    if sale.gate.session == SessionTerms::Required && sale.gate.mode == GateMode::Enforce {
        // Whoever cannot reserve has no use for a challenge, and would make everybody's harder.
        sender.proof().inspect_err(|problem| app.gate.count_refusal(problem))?;
    }
    let kind = kind_of(&sale, kind.as_deref())?;
    let given = app.gate.challenges().give(kind, &sale.sale, &customer, app.backend.now_ms())?;
    Ok(unkept(json(status, |out| write_given(out, &given))))
}

/// The kind that was asked for, or the first that the sale asks for.
///
/// # Errors
/// The sale asks for none, or not for that one.
pub(crate) fn kind_of(sale: &SaleView, asked: Option<&str>) -> Result<ChallengeKind, Problem> {
    let kinds = sale.gate.challenge.kinds();
    let Some(asked) = asked else {
        return kinds.first().copied().ok_or_else(|| Problem::malformed("The sale asks for no challenge."));
    };
    match KINDS.into_iter().find(|kind| kind.as_str() == asked) {
        None => Err(Problem::invalid("kind", "must be image or proof_of_work")),
        Some(kind) if kinds.contains(&kind) => Ok(kind),
        Some(_) => Err(Problem::invalid("kind", "is not what the sale asks for")),
    }
}

async fn show(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    shown(&app, segment(&request.uri, 2)).await
}

/// The picture or the sound that this last segment of a path names.
pub(crate) async fn shown(app: &App, file: &str) -> Answer {
    let (challenges, now) = (app.gate.challenges(), app.backend.now_ms());
    let (bytes, media_type) = match file.rsplit_once('.') {
        Some((id, "png")) => (challenges.picture(id, now).await?, "image/png"),
        Some((id, "wav")) => (challenges.sound(id, now).await?, "audio/wav"),
        _ => return Err(Problem::challenge_over()),
    };
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    Ok(unkept(response))
}

fn unkept(response: Response) -> Response {
    with_header(response, header::CACHE_CONTROL, "no-store")
}
