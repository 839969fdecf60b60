//! What the demo sells.

use crate::{KeyTerms, Pricing, SeriesTerms};
use bourse_market::{Amount, ApiId};
use bourse_wamp::Dict;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Sales count as demand for so long. Short, so that one sees prices fall.
pub(super) const WINDOW: Duration = Duration::from_secs(20);
/// How long a key is on offer.
const LIFETIME: Duration = Duration::from_secs(3_600);
/// The policy that prices the keys.
const POLICY: &str = "surge";

/// A stream of readings.
#[derive(Debug)]
pub(super) struct Product {
    /// What it is called, and the last part of the URI it is published under.
    pub(super) name: &'static str,
    /// Its price while nobody wants it, in hundredths of a token.
    base_cents: u64,
    /// Its API: demand is counted for each, so it stays the same over restarts.
    api: ApiId,
}

/// All of them, each at another price.
pub(super) const PRODUCTS: [Product; 4] = [
    Product {
        name: "temperature",
        base_cents: 1_000,
        api: ApiId(*b"demo.temperature"),
    },
    Product {
        name: "humidity",
        base_cents: 500,
        api: ApiId(*b"demo.humidity..."),
    },
    Product {
        name: "wind",
        base_cents: 250,
        api: ApiId(*b"demo.wind......."),
    },
    Product {
        name: "sunshine",
        base_cents: 2_000,
        api: ApiId(*b"demo.sunshine..."),
    },
];

/// No key of the demo costs more: the dearest, at the most that demand makes of it.
pub(super) const DEAREST: Amount = Amount::from_units(60_000_000_000_000_000_000);

/// One measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Reading {
    /// What was measured.
    pub(super) of: String,
    /// How often before.
    pub(super) number: u64,
    /// The value.
    pub(super) value: f64,
}

impl Product {
    /// Its price while nobody wants it.
    pub(super) fn base(&self) -> Amount {
        Amount::from_units(u128::from(self.base_cents) * 10_000_000_000_000_000)
    }

    /// Where it is published.
    pub(super) fn uri(&self) -> String {
        format!("io.example.weather.{}", self.name)
    }

    /// How its keys are offered: without a price, for the policy to find one.
    pub(super) fn terms(&self) -> SeriesTerms {
        let window = u64::try_from(WINDOW.as_millis()).unwrap_or(u64::MAX);
        let params = [
            ("base", self.base().to_string().into()),
            ("window_ms", window.into()),
        ];
        let params: Dict = params
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        SeriesTerms {
            api: self.api,
            uri: self.uri(),
            categories: BTreeMap::from([("source".to_owned(), "demo".to_owned())]),
            terms: KeyTerms::Dynamic(Pricing {
                policy: Some(POLICY.to_owned()),
                params,
                floor: Some(self.base()),
                cap: Some(DEAREST),
            }),
            copies: None,
            lifetime: LIFETIME,
        }
    }

    /// A reading that nobody measured.
    pub(super) fn reading(&self, number: u64) -> Reading {
        Reading {
            of: self.name.to_owned(),
            number,
            value: rand::random_range(0.0..100.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_are_the_prices_they_say() {
        let bases = PRODUCTS
            .iter()
            .map(|product| product.base().to_string())
            .collect::<Vec<_>>();
        assert_eq!(bases, ["10", "5", "2.5", "20"]);
        assert_eq!(DEAREST.to_string(), "60");
    }
}
