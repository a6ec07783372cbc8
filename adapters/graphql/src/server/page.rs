//! GraphiQL, whole in this crate: the page works without any other server. See `assets/README.md` for what is in it.

use super::request::{Answer, Refusal, of_bytes};
use http::{HeaderValue, StatusCode, header};
use portolan_kernel::Bytes;

const PAGE: &str = include_str!("../../assets/graphiql.html");

/// What the page loads: the name, the media type, the bytes, which are compressed by gzip.
const ASSETS: [(&str, &str, &[u8]); 5] = [
    ("react.js", "text/javascript; charset=utf-8", include_bytes!("../../assets/react.js.gz")),
    ("react-dom.js", "text/javascript; charset=utf-8", include_bytes!("../../assets/react-dom.js.gz")),
    ("graphiql.js", "text/javascript; charset=utf-8", include_bytes!("../../assets/graphiql.js.gz")),
    ("graphql-ws.js", "text/javascript; charset=utf-8", include_bytes!("../../assets/graphql-ws.js.gz")),
    ("graphiql.css", "text/css; charset=utf-8", include_bytes!("../../assets/graphiql.css.gz")),
];

pub(super) fn page() -> Answer {
    let mut answer = of_bytes(StatusCode::OK, "text/html; charset=utf-8", Bytes::from_static(PAGE.as_bytes()));
    // Whatever the page shows comes from here, and nobody frames it. A WebSocket of the same host is `'self'` too.
    let policy = "default-src 'self' 'unsafe-inline' data:; connect-src 'self'; frame-ancestors 'none'";
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    answer
}

pub(super) fn asset(name: &str) -> Result<Answer, Refusal> {
    let found = ASSETS.iter().find(|(own, ..)| *own == name);
    let (_, media_type, bytes) = found
        .ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "no-such-route", "there is no such part of the page"))?;
    let mut answer = of_bytes(StatusCode::OK, media_type, Bytes::from_static(bytes));
    // Every browser takes gzip.
    answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=86400"));
    Ok(answer)
}
