//! Where a listener listens, as people write it: an IP address and a port.

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

#[cfg(test)]
mod tests {
    use super::*;

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
