//! Requests that both protocols can say, and that are answered alike.

use std::net::SocketAddr;

use http::{HeaderName, HeaderValue, Method, Request, Uri};

use crate::support::{Answer, Http1, call_http2};

/// A request that both protocols can say.
#[derive(Clone)]
pub(crate) struct Said {
    pub(crate) method: &'static str,
    pub(crate) target: &'static str,
    pub(crate) host: &'static str,
    pub(crate) fields: Vec<(&'static str, &'static str)>,
    pub(crate) body: &'static str,
}

pub(crate) fn said(method: &'static str, target: &'static str) -> Said {
    Said { method, target, host: "shop.example", fields: Vec::new(), body: "" }
}

impl Said {
    pub(crate) fn host(self, host: &'static str) -> Self {
        Self { host, ..self }
    }

    pub(crate) fn field(mut self, name: &'static str, value: &'static str) -> Self {
        self.fields.push((name, value));
        self
    }

    pub(crate) fn over_http1(&self, address: SocketAddr) -> Answer {
        let mut text = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.target, self.host);
        for (name, value) in &self.fields {
            text.extend([name, ": ", value, "\r\n"]);
        }
        if !self.body.is_empty() {
            text.extend(["content-length: ", &self.body.len().to_string(), "\r\n"]);
        }
        text.extend(["\r\n", self.body]);
        Http1::connect(address).call(text.as_bytes()).expect("an answer")
    }

    pub(crate) fn over_http2(&self, address: SocketAddr) -> Answer {
        // Without an authority, so that `host` can be any bytes.
        let mut request = Request::new(());
        *request.method_mut() = Method::from_bytes(self.method.as_bytes()).expect("a method");
        *request.uri_mut() = Uri::try_from(self.target).expect("a target");
        let host = [("host", self.host)];
        for (name, value) in host.iter().chain(&self.fields) {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
            request.headers_mut().append(HeaderName::from_static(name), value);
        }
        call_http2(address, request, self.body.as_bytes())
    }

    /// Both protocols give the same answer, which has this status and contains these words.
    pub(crate) fn check(&self, address: SocketAddr, status: u16, words: &str) {
        let what = format!("{} {} {:?} for {:?}", self.method, self.target, self.fields, self.host);
        let (first, second) = (self.over_http1(address), self.over_http2(address));
        assert_eq!(first, second, "{what}");
        assert_eq!(first.status, status, "{what}: {first:?}");
        assert!(format!("{first:?}").contains(words), "{what}: {first:?} lacks {words}");
    }
}
