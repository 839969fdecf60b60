//! Where a router is, as people write it. Parsed once; nothing here connects.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use tokio_tungstenite::tungstenite::http::Uri;

/// The path of WebSocket requests where a URL of a unix socket names none.
const UNIX_RESOURCE: &str = "/ws";

/// The URL of a router.
///
/// | written | means |
/// |---|---|
/// | `ws://host[:80]/path` | WebSocket |
/// | `wss://host[:443]/path` | WebSocket under TLS |
/// | `rs://host:port` | RawSocket |
/// | `rss://host:port` | RawSocket under TLS |
/// | `unix:///folder/socket` | RawSocket over a unix socket |
/// | `ws+unix:///folder/socket[:/path]` | WebSocket over a unix socket; the path is `/ws` if it is not given |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterUrl {
    text: String,
    pub(super) framing: Framing,
    pub(super) place: Place,
}

/// How messages are framed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// The URL that the opening request is for, always with the scheme ws or wss.
    WebSocket {
        request: String,
    },
    RawSocket,
}

/// What is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The host without the brackets of IPv6.
    Tcp {
        host: String,
        port: u16,
        tls: bool,
    },
    Unix(PathBuf),
}

/// Why a text is no URL of a router.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url} cannot be connected to: {reason}; a URL such as {right} would be right")]
pub struct UrlError {
    /// The URL as given.
    pub url: String,
    /// What is wrong with it.
    pub reason: String,
    /// One that is right.
    pub right: &'static str,
}

impl RouterUrl {
    /// Whether the connection is under TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self.place, Place::Tcp { tls: true, .. })
    }

    /// Whether only this machine can be meant: a unix socket, or a loopback address.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match &self.place {
            Place::Unix(_) => true,
            Place::Tcp { host, .. } => {
                host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
            }
        }
    }

    /// RawSocket at an address.
    #[must_use]
    pub fn raw_socket(addr: SocketAddr) -> Self {
        Self {
            text: format!("rs://{addr}"),
            framing: Framing::RawSocket,
            place: Place::Tcp {
                host: addr.ip().to_string(),
                port: addr.port(),
                tls: false,
            },
        }
    }
}

impl FromStr for RouterUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let error = |reason: &str, right| UrlError {
            url: text.to_owned(),
            reason: reason.to_owned(),
            right,
        };
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| error("it has no scheme", "ws://127.0.0.1:8080/ws"))?;
        let right = match scheme {
            "ws" => "ws://127.0.0.1:8080/ws",
            "wss" => "wss://market.example/ws",
            "rs" => "rs://127.0.0.1:8081",
            "rss" => "rss://market.example:8444",
            "unix" => "unix:///run/bourse/wamp.sock",
            "ws+unix" => "ws+unix:///run/bourse/wamp.sock",
            _ => {
                let reason = format!("the scheme {scheme} is none of ws, wss, rs, rss, unix and ws+unix");
                return Err(error(&reason, "ws://127.0.0.1:8080/ws"));
            }
        };
        let parsed = match scheme {
            "unix" | "ws+unix" => unix(scheme, rest),
            _ => tcp(scheme, text),
        };
        let (framing, place) = parsed.map_err(|reason| error(&reason, right))?;
        Ok(Self {
            text: text.to_owned(),
            framing,
            place,
        })
    }
}

fn tcp(scheme: &str, text: &str) -> Result<(Framing, Place), String> {
    let uri: Uri = text.parse().map_err(|error| format!("it is no URL ({error})"))?;
    let authority = uri.authority().ok_or("it has no host")?;
    if authority.as_str().contains('@') {
        return Err("who logs in, and with what, is not part of it".to_owned());
    }
    if text.contains('#') {
        return Err("it has a fragment, after #".to_owned());
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err("it has no host".to_owned());
    }
    // `Authority::port` passes over what is no port.
    let after_host = authority
        .as_str()
        .strip_prefix(authority.host())
        .unwrap_or_default();
    let port = match after_host.strip_prefix(':') {
        Some(port) => port.parse::<u16>().ok().filter(|port| *port > 0),
        None => match scheme {
            "ws" => Some(80),
            "wss" => Some(443),
            _ => return Err("it has no port, and RawSocket has none by convention".to_owned()),
        },
    };
    let port = port.ok_or("its port is not a number from 1 to 65535")?;
    let place = Place::Tcp {
        host: host.to_owned(),
        port,
        tls: matches!(scheme, "wss" | "rss"),
    };
    if matches!(scheme, "ws" | "wss") {
        let request = text.to_owned();
        return Ok((Framing::WebSocket { request }, place));
    }
    match uri.path() {
        "" | "/" if uri.query().is_none() => Ok((Framing::RawSocket, place)),
        _ => Err("RawSocket has no paths".to_owned()),
    }
}

fn unix(scheme: &str, rest: &str) -> Result<(Framing, Place), String> {
    if !rest.starts_with('/') {
        return Err("the path of a socket starts with /, so that there are three of them".to_owned());
    }
    let (path, resource) = match rest.split_once(':') {
        Some((path, resource)) if scheme == "ws+unix" => (path, resource),
        _ => (rest, UNIX_RESOURCE),
    };
    if path.ends_with('/') {
        return Err("it names a folder, not a socket".to_owned());
    }
    let framing = match scheme {
        "unix" => Framing::RawSocket,
        _ if !resource.starts_with('/') => {
            return Err(format!(
                "the path of the request, {resource:?}, does not start with /"
            ));
        }
        // A name is needed for the request's head; nobody looks it up.
        _ => {
            let request = format!("ws://localhost{resource}");
            request
                .parse::<Uri>()
                .map_err(|error| format!("the path of the request, {resource:?}, is none ({error})"))?;
            Framing::WebSocket { request }
        }
    };
    Ok((framing, Place::Unix(path.into())))
}

impl fmt::Display for RouterUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Framing, Place) {
        let url: RouterUrl = text.parse().unwrap();
        assert_eq!(url.to_string(), text);
        (url.framing, url.place)
    }

    fn at(host: &str, port: u16, tls: bool) -> Place {
        Place::Tcp {
            host: host.into(),
            port,
            tls,
        }
    }

    #[test]
    fn every_scheme_says_where_and_how() {
        let ws = |request: &str| Framing::WebSocket {
            request: request.into(),
        };
        for (text, framing, place) in [
            (
                "ws://a.example/ws",
                ws("ws://a.example/ws"),
                at("a.example", 80, false),
            ),
            (
                "ws://[::1]:9/x?y=1",
                ws("ws://[::1]:9/x?y=1"),
                at("::1", 9, false),
            ),
            (
                "wss://a.example/ws",
                ws("wss://a.example/ws"),
                at("a.example", 443, true),
            ),
            (
                "rs://127.0.0.1:8081",
                Framing::RawSocket,
                at("127.0.0.1", 8081, false),
            ),
            ("rss://[::1]:8444/", Framing::RawSocket, at("::1", 8444, true)),
            (
                "unix:///run/a.sock",
                Framing::RawSocket,
                Place::Unix("/run/a.sock".into()),
            ),
            (
                "ws+unix:///run/a.sock",
                ws("ws://localhost/ws"),
                Place::Unix("/run/a.sock".into()),
            ),
            (
                "ws+unix:///run/a.sock:/x",
                ws("ws://localhost/x"),
                Place::Unix("/run/a.sock".into()),
            ),
        ] {
            assert_eq!(parsed(text), (framing, place), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_beside_a_url_of_the_same_kind_that_is_right() {
        for (text, reason) in [
            ("127.0.0.1:8080", "no scheme"),
            ("http://a.example/ws", "the scheme http is none of"),
            ("ws:///ws", "it"),
            ("ws://bob:secret@a.example/ws", "who logs in"),
            ("ws://a.example:0/ws", "port"),
            ("ws://a.example:99999/ws", "port"),
            ("ws://a.example:/ws", "port"),
            ("ws://a b/ws", "no URL"),
            ("wss://a.example/ws#top", "fragment"),
            ("rs://a.example", "no port"),
            ("rs://a.example:8081/ws", "no paths"),
            ("rss://a.example:8081?x", "no paths"),
            ("unix://run/a.sock", "three of them"),
            ("unix:///run/", "folder"),
            ("ws+unix:///run/a.sock:ws", "does not start with /"),
        ] {
            let error = text.parse::<RouterUrl>().unwrap_err();
            assert!(error.reason.contains(reason), "{text}: {error}");
            error.right.parse::<RouterUrl>().unwrap();
            let said = error.to_string();
            assert!(said.contains(text) && said.contains(error.right), "{said}");
        }
    }
}
