//! A market's history, made by asking the shipped policies in the real sandbox.

use crate::backtest::entry::{Entry, Place, Sale};
use crate::backtest::source::Source;
use crate::policies::SHIPPED;
use bourse_market::{
    Address, Amount, ApiId, DecisionId, Demand, Figures, KeyId, MarketId, Nanos, Offer, OfferId, Placer,
    Price, PricingTerms, PurchaseId, SessionId, Signature, Subject,
};
use bourse_policy::{
    Action, Engine, EngineOptions, Grants, Hex, Imports, Limits, PriceRequest, Record, Revision,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// When every history begins.
pub(super) const BEGINS: u64 = 1_760_000_000_000_000_000;

/// Decisions of surge and dutch, with the purchases that came of them.
pub(super) struct History {
    pub(super) entries: Vec<Entry>,
    /// What the host would have said of the API over half a minute, at each decision.
    pub(super) half_minute: Vec<Figures>,
    pub(super) engine: Engine,
    folder: TempDir,
}

/// Demand at one moment.
struct At<'a>(&'a Demand, Nanos);

impl Imports for At<'_> {
    fn demand(&self, subject: Subject, window_ms: u32) -> Figures {
        self.0.figures(subject, self.1, window_ms)
    }
}

/// A shipped policy.
pub(super) fn shipped(engine: &Engine, name: &str) -> Revision {
    let (_, bytes) = SHIPPED.iter().find(|(shipped, _)| *shipped == name).unwrap();
    engine.load(name, bytes).unwrap()
}

/// A sandbox with few instances, for many tests at once.
pub(super) fn engine() -> Engine {
    Engine::new(EngineOptions {
        instances: 16,
        ..EngineOptions::default()
    })
    .unwrap()
}

impl History {
    /// So many decisions: two of three by surge, the others by dutch; every fourth a purchase.
    pub(super) fn of(decisions: usize) -> Self {
        let engine = engine();
        let (surge, dutch) = (shipped(&engine, "surge"), shipped(&engine, "dutch"));
        let mut rng = StdRng::seed_from_u64(11);
        let mut demand = Demand::new();
        let mut now = BEGINS;
        let mut entries = Vec::with_capacity(decisions);
        let mut half_minute = Vec::with_capacity(decisions);
        for index in 0..decisions {
            now += rng.random_range(2_000_000..2_000_000_000);
            let offer = offer(rng.random_range(0..12), now);
            let buyer = Address([rng.random_range(1..6); 20]);
            let revision = if rng.random_ratio(2, 3) { &surge } else { &dutch };
            let (floor, cap) = (Amount::from_tokens(3), Amount::from_tokens(18));
            let request = PriceRequest {
                now: Nanos(now),
                market: MarketId([9; 16]),
                action: if rng.random_bool(0.5) {
                    Action::Quote
                } else {
                    Action::Buy
                },
                buyer: Some(buyer),
                params: r#"{"valid_ms":4000}"#,
                offer: &offer,
                base: None,
                floor,
                cap,
                max_valid_ms: 30_000,
            };
            let grants = Grants {
                market: true,
                ..Grants::NONE
            };
            let at = At(&demand, Nanos(now));
            half_minute.push(at.demand(Subject::Api(offer.api), 30_000));
            // Time decides nothing here, however busy the machine is.
            let limits = Limits {
                deadline: Duration::from_secs(600),
                ..Limits::default()
            };
            let decided = revision.price(&request, &at, grants, &limits);
            let mut record = decided.record;
            record.id = Some(Hex(DecisionId((index as u128).to_be_bytes())));
            if request.action == Action::Quote {
                demand.record_quote(Nanos(now), offer.key, offer.api, offer.seller, Some(buyer));
            }
            let price = decided.outcome.unwrap().amount;
            let sold = rng.random_bool(0.25).then(|| Nanos(now + 1_000_000));
            if let Some(at) = sold {
                let (key, api, seller) = (offer.key, offer.api, offer.seller);
                demand.record_sale(&bourse_market::Sale {
                    at,
                    key,
                    api,
                    seller,
                    buyer,
                    price,
                });
            }
            entries.push(Entry {
                place: Place::Line(index as u64 + 1),
                record,
                purchase: sold.map(|_| PurchaseId((index as u128).to_be_bytes())),
                sale: sold.map(|at| Sale::new(at, price, buyer)),
                shadow: false,
            });
        }
        Self {
            entries,
            half_minute,
            engine,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Its export.
    pub(super) fn source(&self) -> Source {
        self.written(self.entries.iter().map(Entry::to_line))
    }

    /// Any lines as a log.
    pub(super) fn written(&self, lines: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Source {
        let path = self.path("decisions.jsonl");
        let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
        for line in lines {
            file.write_all(line.as_ref()).unwrap();
            file.write_all(b"\n").unwrap();
        }
        file.flush().unwrap();
        drop(file);
        Source::open(&path, 1 << 20).unwrap()
    }

    /// A file of its own.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The decisions of one policy, with their index.
    pub(super) fn by(&self, policy: &str) -> impl Iterator<Item = (usize, &Entry)> {
        let entries = self.entries.iter().enumerate();
        entries.filter(move |(_, entry)| entry.record.policy == policy)
    }
}

/// One of twelve keys of three APIs and four sellers.
fn offer(which: u8, now: u64) -> Offer {
    Offer {
        id: OfferId([which; 16]),
        key: KeyId([which; 16]),
        api: ApiId([which % 3; 16]),
        catalog: None,
        uri: format!("com.example.series{which}"),
        seller: Address([which % 4 + 1; 20]),
        provider_id: Some(format!("seller{}", which % 4)),
        placer: Placer {
            session: SessionId(1),
            authid: None,
        },
        placed_at: Nanos(now - u64::from(which) * 60_000_000_000),
        valid_from: None,
        expires: None,
        revoked: None,
        signature: Signature([0; 65]),
        signature_verified: false,
        claimed: false,
        unlisted: false,
        price: Price::Dynamic,
        pricing: PricingTerms::default(),
        copies: None,
        remaining: None,
        categories: BTreeMap::from([("tier".to_owned(), "gold".to_owned())]),
    }
}

/// The figures that a record was told, by a policy that asked once.
pub(super) fn told(record: &Record) -> Figures {
    match record.imports.first().map(|call| &call.answer) {
        Some(bourse_policy::Answer::Figures(figures)) => (*figures).into(),
        other => panic!("no figures but {other:?}"),
    }
}
