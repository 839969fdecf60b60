//! The policies of `examples/policies`, built with the toolchains of their languages and called as every policy is.
//!
//! They are one policy in three languages, and `surge` can be told to do the same: what they answer is held against it.
//! Toolchains come from npm and from Debian, so this runs only where `BOURSE_LONG` is set.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at its first surprise"
)]

use bourse_build::{Builder, Built, Language};
use bourse_cases::Case;
use bourse_market::{
    Address, Amount, ApiId, Figures, KeyId, MarketId, Nanos, Offer, OfferId, Placer, Price, PricingTerms,
    SessionId, Signature, Subject,
};
use bourse_policy::testing::{field_offset, request_offset};
use bourse_policy::{
    Action, Declined, Engine, EngineOptions, Grants, Import, Imports, Instances, Limits, PriceRequest,
    Priced, Revision,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Bytes of a component with a JavaScript engine in it, and some room.
const LARGE: usize = 16 << 20;

/// Answers every question with the same number of sales, and keeps the questions.
#[derive(Default)]
struct Sales {
    sales: u64,
    asked: RefCell<Vec<(Subject, u32)>>,
}

impl Imports for Sales {
    fn demand(&self, subject: Subject, window_ms: u32) -> Figures {
        self.asked.borrow_mut().push((subject, window_ms));
        Figures {
            sales: self.sales,
            ..Figures::default()
        }
    }
}

fn long() -> bool {
    let long = std::env::var_os("BOURSE_LONG").is_some();
    if !long {
        println!("NOT CHECKED: policies in other languages: set BOURSE_LONG");
    }
    long
}

/// The folder of build output, which keeps compilers and packages between runs.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .to_path_buf()
}

/// The folder of the example.
fn example(language: Language) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples/policies")
        .join(language.as_str())
}

/// Builds a copy of the example, so that the sources stay free of what npm installs.
fn build(language: Language) -> Built {
    let from = example(language);
    let to = target().join("foreign-policies").join(language.as_str());
    copy(&from, &to);
    let started = Instant::now();
    let built = Builder::new(target().join("guest-toolchain")).build(&to).unwrap();
    println!(
        "{language}: {} bytes, built in {:.1} s",
        built.component.len(),
        started.elapsed().as_secs_f64()
    );
    assert_eq!((built.name.as_str(), built.language), ("rising", language));
    built
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name());
        if name == "node_modules" || name == "target" {
            continue;
        }
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

fn offer(price: Price) -> Offer {
    Offer {
        id: OfferId([1; 16]),
        key: KeyId([2; 16]),
        // No two bytes alike: an identifier that is turned or cut on its way is another one.
        api: ApiId(std::array::from_fn(|at| 0xf0 ^ at as u8)),
        catalog: None,
        uri: "com.example.weather".to_owned(),
        seller: Address([5; 20]),
        provider_id: Some("seller".to_owned()),
        placer: Placer {
            session: SessionId(6),
            authid: None,
        },
        placed_at: Nanos(1_000),
        valid_from: None,
        expires: None,
        revoked: None,
        signature: Signature([7; 65]),
        signature_verified: false,
        claimed: true,
        unlisted: false,
        price,
        pricing: PricingTerms::default(),
        copies: Some(9),
        remaining: Some(8),
        categories: BTreeMap::from([("region".to_owned(), "münchen".to_owned())]),
    }
}

/// What is asked, what the market says, and what `surge` must be told to do the same.
struct Question {
    params: &'static str,
    surge: &'static str,
    sales: u64,
    base: Option<Amount>,
    floor: Amount,
    cap: Amount,
}

fn cases() -> Vec<Question> {
    // Prices of all magnitudes, and among the parameters each alone and all together.
    let params = [
        ("{}", r#"{"target_sales":0,"step_bp":100}"#),
        (r#"{"step_bp":250}"#, r#"{"target_sales":0,"step_bp":250}"#),
        (
            r#"{"base":"0.000000000000000001","step_bp":0,"max_bp":10000}"#,
            r#"{"target_sales":0,"base":"0.000000000000000001","step_bp":0,"max_bp":10000}"#,
        ),
        (
            " {\t\"max_bp\" : 1000000 ,\n\"base\":\"123456789012345678901234567890.123456789012345678\", \"step_bp\":333 } ",
            r#"{"target_sales":0,"max_bp":1000000,"base":"123456789012345678901234567890.123456789012345678","step_bp":333}"#,
        ),
        (
            r#"{"base":"115792089237316195423570985008687907853269984665640564039457.584007913129639935"}"#,
            r#"{"target_sales":0,"step_bp":100,"base":"115792089237316195423570985008687907853269984665640564039457.584007913129639935"}"#,
        ),
    ];
    let wide = (Amount::ZERO, Amount::MAX);
    let bounds = [
        wide,
        (Amount::from_tokens(20), Amount::MAX),
        (Amount::ZERO, Amount::from_units(1)),
        (Amount::from_tokens(11), Amount::from_tokens(12)),
    ];
    let mut cases = Vec::new();
    for (params, surge) in params {
        for sales in [0, 1, 7, 199, 10_000, u64::from(u32::MAX), u64::MAX] {
            for base in [
                None,
                Some(Amount::ZERO),
                Some(Amount::from_limbs([u64::MAX, 5, 1 << 63, 9])),
            ] {
                for (floor, cap) in bounds {
                    cases.push(Question {
                        params,
                        surge,
                        sales,
                        base,
                        floor,
                        cap,
                    });
                }
            }
        }
    }
    cases
}

fn request<'a>(offer: &'a Offer, params: &'a str, base: Option<Amount>) -> PriceRequest<'a> {
    PriceRequest {
        now: Nanos(1_700_000_000_000_000_000),
        market: MarketId([12; 16]),
        action: Action::Buy,
        buyer: Some(Address([13; 20])),
        params,
        offer,
        base,
        floor: Amount::ZERO,
        cap: Amount::MAX,
        max_valid_ms: 4_000,
    }
}

/// What `revision` answers, with the fuel it took.
fn ask(
    revision: &Revision,
    params: &str,
    case: &Question,
    limits: &Limits,
) -> (Result<Priced, Declined>, u64) {
    let offer = offer(case.base.map_or(Price::Dynamic, Price::Fixed));
    let request = PriceRequest {
        floor: case.floor,
        cap: case.cap,
        ..request(&offer, params, case.base)
    };
    let sales = Sales {
        sales: case.sales,
        ..Sales::default()
    };
    let decision = revision.price(&request, &sales, Grants::NONE.with(Import::Market), limits);
    if decision.outcome.is_ok() {
        assert_eq!(*sales.asked.borrow(), [(Subject::Api(offer.api), 60_000)]);
    }
    // A warm instance of an engine with a garbage collector burns more fuel in some calls than in others.
    if limits.instances == Instances::Fresh {
        let replay = revision.replay(&decision.record).unwrap();
        assert!(replay.is_exact(), "{:?}", replay.differences);
    }
    (decision.outcome, decision.fuel)
}

/// Microseconds of a call: the median of many.
fn cost(revision: &Revision, params: &str, limits: &Limits) -> f64 {
    let offer = offer(Price::Dynamic);
    let request = request(&offer, params, None);
    let mut times: Vec<f64> = (0..300)
        .map(|_| {
            let started = Instant::now();
            let grants = Grants::NONE.with(Import::Market);
            revision
                .price(&request, &Sales::default(), grants, limits)
                .outcome
                .unwrap();
            started.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap()
}

/// Asks what the example's own case files ask, as `bourse policy test` does.
fn answers_its_cases(language: Language, revision: &Revision) {
    let mut asked = 0;
    for entry in fs::read_dir(example(language).join("cases")).unwrap() {
        let path = entry.unwrap().path();
        let case = Case::parse(&fs::read(&path).unwrap()).unwrap();
        let verdict = case.expect.compare(&case.input.ask(revision));
        assert!(verdict.holds(), "{}: {verdict:?}", path.display());
        asked += 1;
    }
    assert!(asked >= 5, "{asked} cases");
}

fn surge(engine: &Engine) -> Revision {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/dist/surge.wasm");
    engine.load("surge", &fs::read(path).unwrap()).unwrap()
}

/// Builds the example, loads it as a host would, and holds each of its answers against `surge`.
fn check(language: Language, options: EngineOptions, limits: Limits) {
    if !long() {
        return;
    }
    let built = build(language);
    let engine = Engine::new(options).unwrap();
    let started = Instant::now();
    let revision = engine.load(&built.name, &built.component).unwrap();
    println!("{language}: loaded in {:.1} s", started.elapsed().as_secs_f64());
    assert_eq!(revision.imports(), [Import::Market]);
    assert!(!revision.description().summary.is_empty());

    let surge = surge(&engine);
    let warm = Limits {
        instances: Instances::Warm,
        ..limits
    };
    let mut most = 0;
    let cases = cases();
    for (number, case) in cases.iter().enumerate() {
        let (expected, _) = ask(&surge, case.surge, case, &Limits::default());
        let (answer, fuel) = ask(&revision, case.params, case, &limits);
        most = most.max(fuel);
        assert_eq!(
            answer, expected,
            "case {number}: {} after {} sales",
            case.params, case.sales
        );
        let (again, _) = ask(&revision, case.params, case, &warm);
        assert_eq!(again, expected, "case {number}, warm");
    }
    let plain = cases.first().unwrap();
    let (_, fuel) = ask(&revision, plain.params, plain, &limits);
    println!(
        "{language}: {fuel} fuel without sales, {most} at most; {:.1} µs fresh, {:.1} µs warm; surge {:.1} and {:.1}",
        cost(&revision, plain.params, &limits),
        cost(&revision, plain.params, &warm),
        cost(&surge, plain.surge, &limits),
        cost(&surge, plain.surge, &warm),
    );
    answers_its_cases(language, &revision);

    for params in [
        "",
        "[]",
        "{",
        r#"{"base":10}"#,
        r#"{"base":".5"}"#,
        r#"{"base":"1."}"#,
        r#"{"base":"1.0000000000000000001"}"#,
        r#"{"base":"115792089237316195423570985008687907853269984665640564039457.584007913129639936"}"#,
        r#"{"step_bp":-1}"#,
        r#"{"step_bp":1000001}"#,
        r#"{"step_bp":99999999999999999999}"#,
        r#"{"max_bp":9999}"#,
        r#"{"max_bp":"20000"}"#,
        r#"{"stepbp":1}"#,
        r#"{"step_bp":1}}"#,
        r#"{"step_bp":1,}"#,
        r#"{"step_bp" 1}"#,
    ] {
        let (answer, _) = ask(&revision, params, plain, &limits);
        let Err(Declined::Refused { code, text }) = answer else {
            panic!("{params}: {answer:?}")
        };
        assert_eq!(code, "bad_params", "{params}");
        assert!(text.starts_with("expected base in tokens"), "{text}");
    }
}

#[test]
fn offsets_that_the_sources_write_out_are_those_of_the_package() {
    // Those in assembly/bourse.ts, and those that bourse.h asserts of its structs.
    for (field, offset) in [
        ("ctx.params", 64),
        ("offer.key", 72),
        ("offer.api", 88),
        ("offer.provider", 72 + 88),
        ("offer.price", 72 + 136),
        ("base", 272),
        ("floor", 312),
        ("cap", 344),
        ("max-valid-ms", 376),
    ] {
        assert_eq!(request_offset(field), offset, "{field}");
    }
    assert_eq!(field_offset("market", "figures", "last-at"), 88);
}

#[test]
fn a_policy_in_c_prices_as_surge_does() {
    check(Language::C, EngineOptions::default(), Limits::default());
}

#[test]
fn a_policy_in_assemblyscript_prices_as_surge_does() {
    check(
        Language::AssemblyScript,
        EngineOptions::default(),
        Limits::default(),
    );
}

#[test]
fn a_policy_in_javascript_prices_as_surge_does() {
    let options = EngineOptions {
        component: LARGE,
        ..EngineOptions::default()
    };
    let limits = Limits {
        memory: 16 << 20,
        ..Limits::default()
    };
    check(Language::JavaScript, options, limits);
}
