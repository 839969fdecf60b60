//! Where a listener listens, as people write it: an IP address and a port. And what the listeners need beside that.

use super::Wamp;
use super::check::Faults;
use serde::{Deserialize, Deserializer, de::Error};
use std::net::SocketAddr;

/// Reads `127.0.0.1:8080` and its like.
///
/// # Errors
///
/// What is not one, in words for whoever wrote it.
pub(crate) fn parse(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is nowhere to listen: expected an IP address and a port, such as 127.0.0.1:8080")
    })
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

pub(super) fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    deserialize(deserializer).map(Some)
}

impl Wamp {
    /// Every address that clients can connect to, by its setting.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        [
            ("wamp.listen_ws", Some(self.listen_ws)),
            ("wamp.listen_rs", Some(self.listen_rs)),
            ("wamp.listen_wss", self.listen_wss),
            ("wamp.listen_rss", self.listen_rss),
        ]
        .into_iter()
        .filter_map(|(name, address)| Some((name, address?)))
    }

    /// Whether nobody reaches them from other machines.
    pub(crate) fn is_local(&self) -> bool {
        self.addresses().all(|(_, address)| address.ip().is_loopback())
    }

    /// Whether TLS has what it needs, and is needed where it has that.
    pub(super) fn check_tls(&self, faults: &mut Faults) {
        let listens = self.listen_wss.is_some() || self.listen_rss.is_some();
        let files = [&self.tls_certificate, &self.tls_key];
        let whole = !listens || files.iter().all(|file| file.is_some());
        let listener = match self.listen_wss {
            Some(_) => "wamp.listen_wss",
            None => "wamp.listen_rss",
        };
        faults.unless(whole, listener, || {
            "wamp.listen_wss and wamp.listen_rss need a certificate: name its file in wamp.tls_certificate, and that of \
             its key in wamp.tls_key"
        });
        // At another's router there is a warning of either.
        let used = listens || self.connect.is_some() || files.iter().all(|file| file.is_none());
        let file = match self.tls_certificate {
            Some(_) => "wamp.tls_certificate",
            None => "wamp.tls_key",
        };
        faults.unless(used, file, || {
            "wamp.tls_certificate and wamp.tls_key are for TLS, and nobody listens for it: set wamp.listen_wss or \
             wamp.listen_rss"
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wamp: &Wamp) -> anyhow::Result<()> {
        let mut faults = Faults::default();
        wamp.check_tls(&mut faults);
        faults.into_result()
    }

    #[test]
    fn tls_needs_a_certificate_and_a_certificate_needs_a_listener() {
        let mut wamp = Wamp {
            listen_wss: parse("127.0.0.1:8443").ok(),
            ..Wamp::default()
        };
        for setting in ["wamp.tls_certificate", "wamp.tls_key"] {
            let error = check(&wamp).unwrap_err().to_string();
            assert!(error.contains(setting), "{error}");
            wamp.tls_certificate = Some("certificate.pem".into());
        }
        wamp.tls_key = Some("key.pem".into());
        check(&wamp).unwrap();
        wamp.listen_wss = None;
        let error = check(&wamp).unwrap_err().to_string();
        assert!(error.contains("set wamp.listen_wss"), "{error}");
    }

    #[test]
    fn one_listener_that_others_reach_is_enough_to_be_reached() {
        let mut wamp = Wamp::default();
        assert!(wamp.is_local());
        wamp.listen_rss = parse("0.0.0.0:8444").ok();
        assert!(!wamp.is_local());
        assert_eq!(wamp.addresses().last().unwrap().0, "wamp.listen_rss");
    }

    #[test]
    fn what_is_no_address_is_named_beside_one_that_is() {
        assert_eq!(parse("[::1]:0").unwrap().port(), 0);
        for wrong in ["8080", "localhost:8080", "127.0.0.1", "127.0.0.1:99999"] {
            let text = parse(wrong).unwrap_err();
            assert!(
                text.contains(wrong) && text.contains("such as 127.0.0.1:8080"),
                "{text}"
            );
        }
    }
}
