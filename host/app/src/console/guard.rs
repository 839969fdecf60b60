//! Who may ask the console, and have it change something.
//!
//! A browser carries the questions of any page it shows, also to this machine. So a question is only heard if it comes from
//! the console's own page, or from no page at all; and where a listener on this machine alone stands for its user, only under
//! a name that nobody else's page can have: another's name may lead here (DNS rebinding), an address cannot.

use super::Operator;
use super::problem::Problem;
use axum::http::header::{AUTHORIZATION, FORWARDED, HOST, HeaderName, ORIGIN, VIA};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue};
use std::net::{IpAddr, SocketAddr};

/// Set by browsers alone, and not by scripts: how a page stands to what it asks.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Set by proxies: then whoever asks is not on this machine, or nobody knows.
const PROXIED: [HeaderName; 5] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-real-ip"),
];

/// Decides who may.
pub(super) struct Guard {
    operator: Option<Operator>,
    /// Only this machine can reach the listener.
    local: bool,
}

/// What somebody who asks may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rights {
    /// See what is in the market.
    pub(super) read: bool,
    /// Change it.
    pub(super) change: bool,
}

/// Whose word a request brings.
enum Word {
    None,
    Operators,
    Wrong,
}

impl Guard {
    pub(super) fn new(operator: Option<Operator>, listen: SocketAddr) -> Self {
        Self {
            operator,
            local: listen.ip().is_loopback(),
        }
    }

    /// Whether there is a token at all.
    pub(super) fn has_operator(&self) -> bool {
        self.operator.is_some()
    }

    /// Whether only this machine can reach the listener.
    pub(super) fn is_local(&self) -> bool {
        self.local
    }

    /// What whoever asks may do.
    ///
    /// # Errors
    ///
    /// If another's page asks.
    pub(super) fn rights(&self, headers: &HeaderMap) -> Result<Rights, Problem> {
        from_own_page(headers)?;
        Ok(Rights {
            read: self.reads(headers).is_ok(),
            change: self.changes(headers).is_ok(),
        })
    }

    /// Lets through who may see what is in a market: the operator, and on a listener of this machine alone its user.
    ///
    /// # Errors
    ///
    /// In words, what is missing.
    pub(super) fn may_read(&self, headers: &HeaderMap) -> Result<(), Problem> {
        from_own_page(headers)?;
        self.reads(headers)
    }

    /// Lets through who may change a market: the operator.
    ///
    /// # Errors
    ///
    /// In words, what is missing.
    pub(super) fn may_change(&self, headers: &HeaderMap) -> Result<(), Problem> {
        from_own_page(headers)?;
        self.changes(headers)
    }

    fn reads(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match self.word(headers) {
            Word::Operators => Ok(()),
            Word::Wrong => Err(wrong()),
            Word::None if !self.local => Err(Problem::token(
                "others than this machine can reach this listener, so what is in a market is for its operator alone: give \
                 the operator's token",
            )),
            Word::None if !named_locally(headers) => Err(Problem::forbidden(
                "foreign_host",
                "without the operator's token this listener answers as localhost or 127.0.0.1 alone, not under another name",
            )),
            Word::None if PROXIED.iter().any(|header| headers.contains_key(header)) => Err(Problem::token(
                "a proxy brought this question here, and nobody knows who asked it: give the operator's token",
            )),
            Word::None => Ok(()),
        }
    }

    fn changes(&self, headers: &HeaderMap) -> Result<(), Problem> {
        if self.operator.is_none() {
            return Err(Problem::forbidden(
                "no_token",
                "nobody may change a market here: http.token_file is not set. Name a file there and start the host again; \
                 it makes a token in it",
            ));
        }
        match self.word(headers) {
            Word::Operators => Ok(()),
            Word::Wrong => Err(wrong()),
            Word::None => Err(Problem::token("this needs the operator's token")),
        }
    }

    fn word(&self, headers: &HeaderMap) -> Word {
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let Some(first) = given.next() else {
            return Word::None;
        };
        let token = first.to_str().ok().and_then(bearer);
        let known = token.zip(self.operator.as_ref());
        match known.is_some_and(|(token, operator)| operator.is(token)) && given.next().is_none() {
            true => Word::Operators,
            false => Word::Wrong,
        }
    }
}

fn wrong() -> Problem {
    Problem::token("this is not the operator's token")
}

/// The token of `Bearer TOKEN`.
fn bearer(text: &str) -> Option<&str> {
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The one host that a request names.
fn host(headers: &HeaderMap) -> Option<Authority> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().filter(|_| hosts.next().is_none())?;
    host.to_str().ok()?.parse().ok()
}

/// Whether a request names this machine, in a way that no page of another can.
fn named_locally(headers: &HeaderMap) -> bool {
    let Some(authority) = host(headers) else {
        return false;
    };
    let host = authority.host();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Turns away what another's page asks.
fn from_own_page(headers: &HeaderMap) -> Result<(), Problem> {
    let foreign = || {
        Problem::forbidden(
            "foreign_page",
            "a page of another site asks here, and none may: open the console by its own address",
        )
    };
    let own = |site: &HeaderValue| matches!(site.as_bytes(), b"same-origin" | b"none");
    if !headers.get_all(SITE).iter().all(own) {
        return Err(foreign());
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else {
        return Ok(());
    };
    let named = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let page = named.and_then(|(_, page)| page.parse::<Authority>().ok());
    match origins.next().is_none() && page.is_some() && page == host(headers) {
        true => Ok(()),
        false => Err(foreign()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(listen: &str, token: bool) -> Guard {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let operator = token.then(|| {
            Operator::load(&file).unwrap();
            std::fs::write(&file, "correct-horse-battery").unwrap();
            Operator::load(&file).unwrap()
        });
        Guard::new(operator, listen.parse().unwrap())
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    const TOKEN: (&str, &str) = ("authorization", "Bearer correct-horse-battery");

    #[track_caller]
    fn may(guard: &Guard, pairs: &[(&'static str, &str)], read: bool, change: bool) {
        let headers = headers(pairs);
        let found = (
            guard.may_read(&headers).is_ok(),
            guard.may_change(&headers).is_ok(),
        );
        assert_eq!(found, (read, change), "{pairs:?}");
    }

    #[test]
    fn this_machine_reads_and_the_operator_changes() {
        let guard = guard("127.0.0.1:8082", true);
        for host in ["127.0.0.1:8082", "localhost:9000", "[::1]:8082", "LOCALHOST"] {
            may(&guard, &[("host", host)], true, false);
            may(&guard, &[("host", host), TOKEN], true, true);
        }
    }

    #[test]
    fn nobody_changes_anything_where_there_is_no_token() {
        let guard = guard("127.0.0.1:8082", false);
        may(&guard, &[("host", "localhost")], true, false);
        may(&guard, &[("host", "localhost"), TOKEN], false, false);
    }

    #[test]
    fn a_name_that_leads_here_is_no_way_in() {
        let guard = guard("127.0.0.1:8082", true);
        for host in [
            "evil.example",
            "evil.example:8082",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "localhost@evil.example",
            "10.0.0.1",
            "",
        ] {
            may(&guard, &[("host", host)], false, false);
        }
        may(&guard, &[], false, false);
        let mut twice = headers(&[("host", "localhost")]);
        twice.append(HOST, "evil.example".parse().unwrap());
        assert!(guard.may_read(&twice).is_err());
        // Who has the token has it under any name: a proxy may keep its own.
        may(&guard, &[("host", "market.example"), TOKEN], true, true);
    }

    #[test]
    fn a_page_of_another_site_gets_nothing_even_with_the_token() {
        let guard = guard("127.0.0.1:8082", true);
        let host = ("host", "127.0.0.1:8082");
        for foreign in [
            ("origin", "http://evil.example"),
            ("origin", "http://127.0.0.1:9999"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            may(&guard, &[host, foreign], false, false);
            may(&guard, &[host, foreign, TOKEN], false, false);
        }
        let own = [
            host,
            ("origin", "http://127.0.0.1:8082"),
            ("sec-fetch-site", "same-origin"),
            TOKEN,
        ];
        may(&guard, &own, true, true);
    }

    #[test]
    fn beyond_this_machine_and_behind_a_proxy_reading_is_the_operators_too() {
        let remote = guard("0.0.0.0:8082", true);
        may(&remote, &[("host", "10.0.0.1:8082")], false, false);
        may(&remote, &[("host", "localhost")], false, false);
        may(&remote, &[("host", "10.0.0.1:8082"), TOKEN], true, true);
        let local = guard("127.0.0.1:8082", true);
        for proxied in ["x-forwarded-for", "via", "forwarded", "x-real-ip"] {
            may(
                &local,
                &[("host", "localhost"), (proxied, "1.2.3.4")],
                false,
                false,
            );
            may(
                &local,
                &[("host", "localhost"), (proxied, "1.2.3.4"), TOKEN],
                true,
                true,
            );
        }
    }

    #[test]
    fn a_wrong_token_opens_nothing_not_even_what_is_open() {
        let guard = guard("127.0.0.1:8082", true);
        for wrong in [
            "Bearer wrong",
            "Bearer ",
            "Bearer",
            "Basic correct-horse-battery",
            "correct-horse-battery",
            "",
        ] {
            may(
                &guard,
                &[("host", "localhost"), ("authorization", wrong)],
                false,
                false,
            );
        }
        let mut twice = headers(&[("host", "localhost"), TOKEN]);
        twice.append(AUTHORIZATION, "Bearer wrong".parse().unwrap());
        assert!(guard.may_change(&twice).is_err());
    }
}
