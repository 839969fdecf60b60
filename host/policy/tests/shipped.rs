//! The components in `policies/dist`, as every host loads them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at its first surprise"
)]

#[path = "shipped/counting.rs"]
mod counting;
#[path = "shipped/deciding.rs"]
mod deciding;
#[path = "shipped/readmes.rs"]
mod readmes;
mod support;

use bourse_market::{Address, Amount, ApiId, Figures, KeyId, Nanos, Offer, Price, Subject};
use bourse_policy::{
    Declined, Grants, Hook, Import, Limits, NoImports, PriceRequest, Priced, Revision, load_folder,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};
use support::{Scripted, engine, load, offer, request};

fn dist() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/dist")
}

/// All of them, for tests that are about all: compiling them takes seconds.
static SHIPPED: LazyLock<Vec<Revision>> = LazyLock::new(|| {
    load_folder(engine(), &dist())
        .into_iter()
        .map(|(path, loaded)| loaded.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        .collect()
});

/// One of them, compiled once.
fn shipped(name: &str) -> &'static Revision {
    static LOADED: Mutex<BTreeMap<String, &'static Revision>> = Mutex::new(BTreeMap::new());
    LOADED.lock().unwrap().entry(name.to_owned()).or_insert_with(|| {
        let component = std::fs::read(dist().join(format!("{name}.wasm"))).unwrap();
        Box::leak(Box::new(load(name, &component)))
    })
}

/// The grants that a rule must have.
fn granted(revision: &Revision) -> Grants {
    revision
        .imports()
        .iter()
        .fold(Grants::NONE, |grants, import| grants.with(*import))
}

fn dynamic() -> Offer {
    Offer {
        price: Price::Dynamic,
        ..offer()
    }
}

fn wide(offer: &Offer, now: u64) -> PriceRequest<'_> {
    PriceRequest {
        now: Nanos(now),
        params: "{}",
        base: None,
        floor: Amount::ZERO,
        cap: Amount::MAX,
        ..request(offer)
    }
}

fn surge(sales: u64, params: &str) -> Result<Priced, Declined> {
    let offer = dynamic();
    let imports = Scripted {
        figures: Figures {
            sales,
            ..Figures::default()
        },
        ..Scripted::default()
    };
    let grants = Grants::NONE.with(Import::Market);
    let asked = PriceRequest {
        params,
        ..wide(&offer, 1_000_000)
    };
    let decision = shipped("surge").price(&asked, &imports, grants, &Limits::default());
    // A thousandth of the budget would do: a policy is a microsecond of work.
    assert!(
        decision.fuel < Limits::default().fuel / 50,
        "{} fuel",
        decision.fuel
    );
    assert!(shipped("surge").replay(&decision.record).unwrap().is_exact());
    decision.outcome
}

#[test]
fn shipped_policies_describe_themselves_and_need_only_what_they_use() {
    for revision in SHIPPED.iter() {
        let description = revision.description();
        assert!(!description.summary.is_empty());
        let schema: serde_json::Value = serde_json::from_str(&description.params_schema).unwrap();
        assert!(schema.is_object(), "{}", revision.name());
    }
    let expected = [
        ("auction-floor", Hook::Pricing, Some(Import::State)),
        ("dutch", Hook::Pricing, None),
        ("fair-share", Hook::Offers, None),
        ("geo-fence", Hook::Consent, None),
        ("purpose-consent", Hook::Consent, None),
        ("quality-filter", Hook::Offers, None),
        ("quota", Hook::Consent, Some(Import::State)),
        ("subscription", Hook::Pricing, Some(Import::State)),
        ("surge", Hook::Pricing, Some(Import::Market)),
        ("tiered", Hook::Pricing, Some(Import::State)),
    ];
    assert_eq!(SHIPPED.len(), expected.len());
    for (revision, (name, hook, import)) in SHIPPED.iter().zip(expected) {
        assert_eq!(revision.name(), name);
        assert_eq!(revision.hooks(), [hook], "{name}");
        assert_eq!(revision.imports(), import.as_slice(), "{name}");
        revision.check_grants(granted(revision)).unwrap();
    }
}

#[test]
fn surge_rises_with_sales_up_to_its_multiple() {
    let quiet = surge(0, "{}").unwrap();
    assert_eq!(quiet.amount, Amount::from_tokens(10));
    let busy = surge(30, "{}").unwrap();
    assert!(
        busy.amount > quiet.amount,
        "{:?} is not above {:?}",
        busy.amount,
        quiet.amount
    );
    assert_eq!(surge(1_000_000, "{}").unwrap().amount, Amount::from_tokens(30));
}

#[test]
fn what_surge_asks_about_is_what_the_offer_names() {
    // No two bytes alike: an identifier that is turned or cut on its way is another one.
    let offer = Offer {
        key: KeyId(std::array::from_fn(|at| at as u8)),
        api: ApiId(std::array::from_fn(|at| 0xf0 ^ at as u8)),
        seller: Address(std::array::from_fn(|at| 0x80 + at as u8)),
        ..dynamic()
    };
    for (params, subject) in [
        ("{}", Subject::Api(offer.api)),
        (r#"{"scope":"key"}"#, Subject::Key(offer.key)),
        (r#"{"scope":"seller"}"#, Subject::Seller(offer.seller)),
    ] {
        let asked = PriceRequest {
            params,
            ..wide(&offer, 1_000_000)
        };
        let imports = Scripted::default();
        let grants = Grants::NONE.with(Import::Market);
        shipped("surge").price(&asked, &imports, grants, &Limits::default());
        assert_eq!(*imports.asked.borrow(), [(subject, 60_000)], "{params}");
    }
}

#[test]
fn surge_refuses_parameters_it_does_not_understand() {
    for params in ["{\"window_ms\":0}", "{\"wndow_ms\":5}", "nonsense"] {
        let refused = surge(0, params);
        assert!(
            matches!(refused, Err(Declined::Refused { .. })),
            "{params}: {refused:?}"
        );
    }
}

#[test]
fn dutch_falls_with_the_age_of_the_offer() {
    let offer = Offer {
        placed_at: Nanos(0),
        valid_from: None,
        expires: None,
        ..dynamic()
    };
    let hour = 3_600_000_000_000;
    let mut last = Amount::MAX;
    for quarter in 0..=4 {
        let asked = wide(&offer, quarter * hour / 4);
        let decision = shipped("dutch").price(&asked, &NoImports, Grants::NONE, &Limits::default());
        let amount = decision.outcome.unwrap().amount;
        assert!(amount < last, "quarter {quarter}: {amount:?} after {last:?}");
        assert!(shipped("dutch").replay(&decision.record).unwrap().is_exact());
        last = amount;
    }
    assert_eq!(last, Amount::from_tokens(5));
}

#[test]
fn a_call_of_a_shipped_policy_starves_cleanly_when_its_fuel_is_short() {
    let offer = dynamic();
    let limits = Limits {
        fuel: 500,
        ..Limits::default()
    };
    let decision = shipped("dutch").price(&wide(&offer, 1), &NoImports, Grants::NONE, &limits);
    assert_eq!(decision.record.outcome, "out_of_fuel");
    assert!(decision.fuel <= 500);
}

/// Growing costs the host two changes of its memory map in each call, for which its threads queue up.
#[test]
fn shipped_policies_price_the_largest_offers_within_the_two_pages_they_start_with() {
    let offer = Offer {
        uri: "u".repeat(1024),
        provider_id: Some("p".repeat(256)),
        categories: (0..32)
            .map(|at| (format!("{at:0256}"), "v".repeat(256)))
            .collect(),
        ..dynamic()
    };
    let limits = Limits {
        memory: 2 * (64 << 10),
        ..Limits::default()
    };
    for revision in SHIPPED.iter().filter(|revision| revision.has(Hook::Pricing)) {
        let grants = granted(revision);
        let decision = revision.price(&wide(&offer, 1_000_000), &Scripted::default(), grants, &limits);
        assert!(
            decision.outcome.is_ok(),
            "{}: {:?}",
            revision.name(),
            decision.outcome
        );
    }
}
