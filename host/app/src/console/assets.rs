//! The page itself: what its author wrote is what the browser gets, out of the binary and from nowhere else.

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

/// Nothing but what this host serves is loaded, run, framed or asked; and no text ever becomes markup.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'; \
                      require-trusted-types-for 'script'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

macro_rules! assets {
    ($($path:literal $kind:ident $file:literal),* $(,)?) => {
        /// Where each is found, of what kind it is, and what is in it.
        const ASSETS: &[(&str, &str, &str)] = &[$(($path, $kind, include_str!(concat!("assets/", $file)))),*];
    };
}

assets! {
    "/console/" HTML "index.html",
    "/console/style.css" CSS "style.css",
    "/console/icon.svg" IMAGE "icon.svg",
    "/console/main.js" SCRIPT "main.js",
    "/console/api.js" SCRIPT "api.js",
    "/console/dom.js" SCRIPT "dom.js",
    "/console/show.js" SCRIPT "show.js",
    "/console/chart.js" SCRIPT "chart.js",
    "/console/live.js" SCRIPT "live.js",
    "/console/pages/overview.js" SCRIPT "pages/overview.js",
    "/console/pages/offers.js" SCRIPT "pages/offers.js",
    "/console/pages/channels.js" SCRIPT "pages/channels.js",
    "/console/pages/refusals.js" SCRIPT "pages/refusals.js",
    "/console/pages/policies.js" SCRIPT "pages/policies.js",
    "/console/pages/pager.js" SCRIPT "pages/pager.js",
    "/console/pages/report.js" SCRIPT "pages/report.js",
    "/console/pages/why.js" SCRIPT "pages/why.js",
}

pub(super) fn routes() -> Router {
    let home = || async { Redirect::permanent("/console/") };
    let mut router = Router::new().route("/", get(home)).route("/console", get(home));
    for (path, kind, text) in ASSETS {
        let tag = format!("\"{}\"", hex::encode(Sha256::digest(text)));
        let answer = move |headers: HeaderMap| {
            let answer = asset(&headers, kind, text, &tag);
            async move { answer }
        };
        router = router.route(path, get(answer));
    }
    router
}

fn asset(asked: &HeaderMap, kind: &'static str, text: &'static str, tag: &str) -> Response {
    let known = asked
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = match known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(CONTENT_TYPE, kind)], text).into_response(),
    };
    let headers = response.headers_mut();
    // Asked again each time: a new host has a new page.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(ETAG, tag);
    }
    harden(headers);
    response
}

/// What every answer of the console says about how it may be used.
pub(super) fn harden(headers: &mut HeaderMap) {
    const SAME_SITE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
    const OWN_WINDOW: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (SAME_SITE, "same-origin"),
        (OWN_WINDOW, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_nothing_that_is_not_served_from_here() {
        for (path, _, text) in ASSETS {
            for foreign in ["http://", "https://", "//cdn", "eval(", "innerHTML", "style=\""] {
                // The one address in them is the name of a language, which nobody asks for.
                let text = text.replace("http://www.w3.org/2000/svg", "");
                assert!(!text.contains(foreign), "{path} has {foreign}");
            }
            for line in text.lines().filter(|line| line.starts_with("import ")) {
                let (_, from) = line.rsplit_once(" from ").unwrap();
                let name = from.trim_matches([';', '"']).rsplit('/').next().unwrap();
                let served = ASSETS
                    .iter()
                    .any(|(path, _, _)| path.ends_with(&format!("/{name}")));
                assert!(served, "{path} imports {from}");
            }
        }
    }
}
