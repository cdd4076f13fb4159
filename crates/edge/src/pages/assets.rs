//! The files that pages load: a style sheet, a script and an icon. The name of each has a hash of its bytes, so browsers keep them
//! for as long as they like and a new version has another name.

use std::sync::LazyLock;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::Response;
use axum::routing::get;
use http::{HeaderName, HeaderValue, header};
use xxhash_rust::xxh3::xxh3_64;

use crate::api::answer::{WithoutBody, WithoutQuery};
use crate::problem::Problem;

/// One file.
pub(crate) struct Asset {
    path: LazyLock<String>,
    content_type: &'static str,
    content: &'static [u8],
}

macro_rules! asset {
    ($file:literal, $stem:literal, $extension:literal, $content_type:literal) => {
        Asset {
            path: LazyLock::new(|| path($stem, $extension, include_bytes!($file))),
            content_type: $content_type,
            content: include_bytes!($file),
        }
    };
}

/// How every page looks.
pub(crate) static STYLE: Asset = asset!("style.css", "style", "css", "text/css; charset=utf-8");

/// What pages do beside their forms.
pub(crate) static SCRIPT: Asset = asset!("product.js", "product", "js", "text/javascript; charset=utf-8");

/// What a browser shows beside the title.
pub(crate) static ICON: Asset = asset!("icon.svg", "icon", "svg", "image/svg+xml");

static ALL: [&Asset; 3] = [&STYLE, &SCRIPT, &ICON];

/// How long a browser may keep one: a year. Its bytes never change under its name.
const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

impl Asset {
    /// Where it is.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

/// Where they all are.
pub(crate) fn paths() -> impl Iterator<Item = &'static str> {
    ALL.into_iter().map(Asset::path)
}

/// Their routes, which are in no document: pages name them.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let add = |router: Router<S>, asset: &'static Asset| {
        router.route(asset.path(), get(move |_: WithoutQuery, _: WithoutBody| async move { answer(asset) }))
    };
    let router = ALL.into_iter().fold(Router::new(), add);
    router.method_not_allowed_fallback(|| async { Problem::method_not_allowed(None) })
}

fn path(stem: &str, extension: &str, content: &[u8]) -> String {
    format!("/pages/{stem}-{:016x}.{extension}", xxh3_64(content))
}

fn answer(asset: &'static Asset) -> Response {
    let mut response = Response::new(Body::from(Bytes::from_static(asset.content)));
    for (name, value) in [
        (header::CONTENT_TYPE, asset.content_type),
        (header::CACHE_CONTROL, CACHE_CONTROL),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
