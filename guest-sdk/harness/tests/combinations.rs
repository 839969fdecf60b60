//! `#[bourse::policy]` makes a component of every combination of hooks, which exports those and imports what they use.
//!
//! The seven policies are written into the target folder and compiled for WebAssembly there. That takes a compiler with
//! that target, which can be a download, so this runs only where `BOURSE_LONG` is set.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at its first surprise"
)]

use bourse::testing::{
    BUYER, Change, MockHost, MockMarket, NOW, admit_request, consent_request, filter_request, offer, request,
};
use bourse::{Amount, ConsentGrant, DelegateType, Level, Offer};
use bourse_build::Builder;
use bourse_harness::{Declined, Hook, Import, Sandbox};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PARAMS: &str = r#"
#[derive(bourse::Params)]
pub struct Params {
    /// Before the first sale.
    #[param(default = "2", min = "1", max = "50")]
    pub start: Amount,
    /// Where offers must come from.
    pub country: Option<String>,
    /// Keys for each buyer.
    #[param(default = 3)]
    pub most: i64,
}
"#;

/// A hook, the name of it among the packages, its functions, and the import that they use.
const HOOKS: [(Hook, &str, &str, Import); 3] = [
    (
        Hook::Pricing,
        "prices",
        r#"
    fn quote(request: &PriceRequest<Params>, host: &impl Market) -> Result<Price, Refusal> {
        let figures = host.demand(Subject::Api(request.offer.api), 60_000);
        let amount = request.params.start.saturating_add(Amount::from_tokens(figures.sales));
        if figures.last_price.is_some_and(|last| last > request.params.start) {
            return Err(Refusal::new("sold_dear", format!("the last one went for {:?}", figures.last_price)));
        }
        Ok(request.price(amount, 1_000))
    }
"#,
        Import::Market,
    ),
    (
        Hook::Offers,
        "lists",
        r#"
    fn admit(request: &AdmitRequest<Params>, host: &impl Log) -> Result<(), Refusal> {
        host.line(Level::Warn, &request.offer.uri);
        match &request.params.country {
            Some(country) if request.offer.category("country") != Some(country) => {
                Err(Refusal::new("elsewhere", "its country is another one"))
            }
            _ => Ok(()),
        }
    }

    fn filter(request: &FilterRequest<Params>, offers: &Batch<'_>) -> Verdict {
        let country = request.params.country.as_deref();
        let mut verdict = offers.keep_if(|offer| country.is_none() || offer.category("country") == country);
        let mut best: Vec<(Option<Amount>, usize)> =
            offers.iter().enumerate().map(|(index, offer)| (offer.price(), index)).collect();
        best.sort();
        verdict.order(best.into_iter().map(|(_, index)| index));
        verdict
    }
"#,
        Import::Log,
    ),
    (
        Hook::Consent,
        "consents",
        r#"
    fn authorize(request: &ConsentRequest<Params>, host: &impl State) -> Result<(), Refusal> {
        let may_buy = |grant: &ConsentGrant| grant.granted && grant.delegate_type.buys();
        if !request.buyer_grants.iter().any(may_buy) {
            return Err(Refusal::new("no_consent", "nobody consented"));
        }
        let buyer = request.buyer.unwrap_or_default().to_string();
        host.add(&buyer, 1);
        host.set("last", Some(buyer.as_bytes()));
        if host.counter(&buyer) > request.params.most || host.get("closed").is_some() {
            return Err(Refusal::new("quota", format!("{buyer} has had {}", request.params.most)));
        }
        Ok(())
    }
"#,
        Import::State,
    ),
];

/// Hooks of the policies, and their names.
fn combinations() -> Vec<(String, Vec<usize>)> {
    (1..1 << HOOKS.len())
        .map(|bits| {
            let hooks: Vec<usize> = (0..HOOKS.len()).filter(|hook| bits & (1 << hook) != 0).collect();
            let names: Vec<&str> = hooks.iter().map(|hook| HOOKS[*hook].1).collect();
            (names.join("-"), hooks)
        })
        .collect()
}

/// Writes the seven packages into a workspace of their own.
fn write(folder: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap();
    let names: Vec<String> = combinations().into_iter().map(|(name, _)| name).collect();
    let policies = fs::read_to_string(root.join("policies/Cargo.toml")).unwrap();
    let (_, profile) = policies.split_once("[profile.release]").unwrap();
    put(
        &folder.join("Cargo.toml"),
        &format!("[workspace]\nresolver = \"3\"\nmembers = {names:?}\n[profile.release]{profile}"),
    );
    // The same versions as those of the shipped policies, so that nothing needs to be looked up.
    put(
        &folder.join("Cargo.lock"),
        &fs::read_to_string(root.join("policies/Cargo.lock")).unwrap(),
    );
    for (name, hooks) in combinations() {
        put(
            &folder.join(&name).join("Cargo.toml"),
            &format!(
                "[package]\nname = \"{name}\"\ndescription = \"Says what it is told\"\nversion = \"1.2.3\"\nedition = \
                 \"2024\"\n[lib]\ncrate-type = [\"cdylib\", \"lib\"]\n[dependencies]\nbourse-sdk = {{ path = {:?} }}\n",
                root.join("guest-sdk")
            ),
        );
        let functions: String = hooks.iter().map(|hook| HOOKS[*hook].2).collect();
        put(
            &folder.join(&name).join("src/lib.rs"),
            &format!(
                "#![allow(unused_imports)]\nuse bourse::*;\n{PARAMS}\npub struct It;\n\n#[bourse::policy]\nimpl It \
                 {{{functions}}}\n"
            ),
        );
    }
}

/// Writes a file if its content is another one, so that cargo builds nothing twice.
fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    if fs::read_to_string(path).ok().as_deref() != Some(text) {
        fs::write(path, text).unwrap();
    }
}

#[test]
fn every_combination_of_hooks_is_a_component_with_those_hooks_and_their_imports() {
    if std::env::var_os("BOURSE_LONG").is_none() {
        println!("NOT CHECKED: components of every combination of hooks: set BOURSE_LONG");
        return;
    }
    let target: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .to_owned();
    let folder = target.join("sdk-combinations");
    write(&folder);
    let builder = Builder::new(target.join("guest-toolchain"));
    let toolchain = builder.toolchain(&folder).unwrap();
    for (name, hooks) in combinations() {
        let component = builder.rust(&toolchain, &folder, &name).unwrap();
        let policy = Sandbox::load(&name, &component).unwrap();
        println!("{name}: {} bytes", policy.size());
        let expected: BTreeSet<Hook> = hooks.iter().map(|hook| HOOKS[*hook].0).collect();
        let imports: BTreeSet<Import> = hooks.iter().map(|hook| HOOKS[*hook].3).collect();
        assert_eq!(
            policy.hooks().iter().copied().collect::<BTreeSet<_>>(),
            expected,
            "{name}"
        );
        assert_eq!(
            policy.imports().iter().copied().collect::<BTreeSet<_>>(),
            imports,
            "{name}"
        );
        let description = policy.revision().description();
        assert_eq!(
            (description.name.as_str(), description.version.as_str()),
            (name.as_str(), "1.2.3")
        );
        assert_eq!(description.summary, "Says what it is told");
        let schema: serde_json::Value = serde_json::from_str(policy.params_schema()).unwrap();
        assert_eq!(schema["properties"]["start"]["default"], "2");
        for hook in expected {
            match hook {
                Hook::Pricing => prices(&policy),
                Hook::Offers => lists(&policy),
                Hook::Consent => consents(&policy),
            }
        }
    }
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, Declined>) -> (String, String) {
    match outcome {
        Err(Declined::Refused { code, text }) => (code, text),
        other => panic!("expected a refusal, not {other:?}"),
    }
}

fn prices(policy: &Sandbox) {
    let mut host = MockHost::from(MockMarket::busy(NOW, &offer(), 7, Duration::from_millis(10)));
    let answered = policy.quote(&request(r#"{"start":"1.5"}"#), &mut host);
    assert!(policy.replays(&answered));
    let price = answered.outcome.unwrap();
    assert_eq!((price.amount, price.valid_ms), ("8.5".parse().unwrap(), 1_000));
    host.market
        .sales
        .iter_mut()
        .for_each(|sale| sale.price = Amount::from_tokens(9));
    let (code, text) = refused(policy.quote(&request("{}"), &mut host).outcome);
    assert_eq!(
        (code.as_str(), text.as_str()),
        ("sold_dear", "the last one went for Some(9 tokens)")
    );
    let (code, text) = refused(policy.quote(&request(r#"{"start":"0.9"}"#), &mut host).outcome);
    assert_eq!(
        (code.as_str(), text.as_str()),
        ("bad_params", "start is 0.9: expected 1 to 50 tokens")
    );
}

fn lists(policy: &Sandbox) {
    let from = |country: &str, tokens: Option<u64>| Offer {
        categories: vec![("country".to_owned(), country.to_owned())],
        price: tokens.map(Amount::from_tokens),
        ..offer()
    };
    let mut host = MockHost::default();
    let params = r#"{"country":"de"}"#;
    let answered = policy.admit(&admit_request(params), &mut host);
    assert!(policy.replays(&answered));
    assert_eq!(refused(answered.outcome).0, "elsewhere");
    assert_eq!(host.lines(), [(Level::Warn, offer().uri)]);
    let german = bourse::AdmitRequest {
        offer: from("de", None),
        ..admit_request(params)
    };
    assert_eq!(policy.admit(&german, &mut host).outcome, Ok(()));

    let mut offers: Vec<Offer> = (0..998).map(|_| from("fr", None)).collect();
    offers.insert(3, from("de", Some(9)));
    offers.push(from("de", Some(1)));
    let answered = policy.filter(&filter_request(params), &offers, &mut host);
    assert!(policy.replays(&answered));
    assert_eq!(answered.outcome.as_deref(), Ok(&[999, 3][..]));
    println!("  filter of 1000: fuel {}", answered.fuel);
    let none = policy.filter(&filter_request(params), &[], &mut host);
    assert_eq!(none.outcome, Ok(Vec::new()));
    let answered = policy.filter(&filter_request(r#"{"land":"de"}"#), &offers, &mut host);
    assert!(
        matches!(answered.outcome, Err(Declined::Failed(_))),
        "{:?}",
        answered.outcome
    );
}

fn consents(policy: &Sandbox) {
    let mut host = MockHost::default().with_counter(&BUYER.to_string(), 2);
    let granted = |delegate_type| bourse::ConsentRequest {
        buyer_grants: vec![ConsentGrant {
            delegate: BUYER,
            delegate_type,
            granted: true,
            attributes: vec![("purpose".to_owned(), "research".to_owned())],
            ..ConsentGrant::default()
        }],
        ..consent_request("{}")
    };
    let answered = policy.authorize(&granted(DelegateType::Both), &mut host);
    assert!(policy.replays(&answered));
    assert_eq!(answered.outcome, Ok(()));
    let buyer = BUYER.to_string();
    assert_eq!(
        host.changes(),
        [
            Change::Add(buyer.clone(), 1),
            Change::Set("last".to_owned(), Some(buyer.clone().into_bytes())),
        ]
    );
    host.post();
    assert_eq!(
        refused(
            policy
                .authorize(&granted(DelegateType::Consumer), &mut host)
                .outcome
        ),
        ("quota".to_owned(), format!("{buyer} has had 3"))
    );
    assert_eq!(host.changes(), [], "a refusal changes nothing");
    let seller = policy.authorize(&granted(DelegateType::Provider), &mut host);
    assert_eq!(refused(seller.outcome).0, "no_consent");
}
