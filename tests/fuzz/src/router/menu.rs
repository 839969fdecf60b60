//! Messages that clients say: types, URIs, ids and options from lists, so that few bytes make sense together.

use bourse_wamp::{Dict, Rule, Value, uri::Match};

use super::Script;
use super::book::Known;

const URIS: [&str; 24] = [
    "com.a",
    "com.b",
    "com.a.b",
    "com.",
    "",
    "com..b",
    "xbr.marketmaker.get_status",
    "xbr.marketmaker.x",
    "xbr.provider.alice.sell",
    "xbr.provider.p.sell",
    "bourse.x",
    "not a uri",
    "wamp.session.count",
    "wamp.session.list",
    "wamp.session.get",
    "wamp.session.kill",
    "wamp.session.kill_by_authid",
    "wamp.registration.list",
    "wamp.registration.match",
    "wamp.registration.list_callees",
    "wamp.subscription.list",
    "wamp.subscription.get",
    "wamp.",
    "wamp.session.on_join",
];
const MATCHES: [&str; 4] = ["exact", "prefix", "wildcard", "other"];
const POLICIES: [&str; 6] = ["single", "first", "last", "roundrobin", "random", "other"];
const MODES: [&str; 4] = ["skip", "kill", "killnowait", "other"];
const ROLES: [&str; 4] = ["anonymous", "delegate", "operator", "marketmaker"];

/// The rules that delegates are held to.
pub(super) fn rules() -> Vec<Rule> {
    vec![
        Rule {
            uri: "com.b".to_owned(),
            call: Some(false),
            subscribe: Some(false),
            ..Rule::default()
        },
        Rule {
            uri: "wamp.subscription.".to_owned(),
            matching: Match::Prefix,
            call: Some(true),
            subscribe: Some(true),
            ..Rule::default()
        },
    ]
}

fn pick<'a>(list: &[&'a str], byte: u8) -> &'a str {
    list[usize::from(byte) % list.len()]
}

/// An id that the client knows of, or a small number.
fn id(known: &[u64], byte: u8) -> Value {
    let number = u64::from(byte);
    let known = known.get(usize::from(byte)).copied();
    known.unwrap_or(number + 1).into()
}

fn options(entries: Vec<(bool, &str, Value)>) -> Value {
    let entries = entries.into_iter().filter(|(there, _, _)| *there);
    Value::Map(entries.map(|(_, name, value)| (name.to_owned(), value)).collect())
}

fn hello(realm: &str, authid: Option<&str>) -> Vec<Value> {
    let features = |names: &[&str]| {
        let features: Dict = names
            .iter()
            .map(|name| ((*name).to_owned(), true.into()))
            .collect();
        Value::Map(Dict::from([("features".to_owned(), features.into())]))
    };
    let roles = Dict::from([
        ("caller".to_owned(), features(&["progressive_call_results"])),
        (
            "callee".to_owned(),
            features(&["call_canceling", "registration_revocation"]),
        ),
        ("publisher".to_owned(), features(&[])),
        ("subscriber".to_owned(), features(&[])),
    ]);
    let mut details = Dict::from([("roles".to_owned(), roles.into())]);
    if let Some(authid) = authid {
        details.insert("authid".to_owned(), authid.into());
        details.insert("authmethods".to_owned(), vec![Value::from("ticket")].into());
    }
    vec![1_u64.into(), realm.into(), details.into()]
}

/// The message that an action means.
pub(super) fn message(what: u8, script: &mut Script<'_>, known: &Known) -> Vec<Value> {
    let empty = || Value::Map(Dict::new());
    match what {
        ..22 => hello("realm1", None),
        22 => hello("realm1", Some("alice")),
        23 => hello("realm1", Some("op")),
        24 => hello("realm2", None),
        25 => vec![5_u64.into(), "secret".into(), empty()],
        26 => vec![5_u64.into(), "wrong".into(), empty()],
        27 => vec![6_u64.into(), empty(), "wamp.close.close_realm".into()],
        28..=35 => call(script, known),
        36..=41 => {
            let (request, uri, how) = (script.small(), script.small(), script.small());
            let options = options(vec![
                (how & 1 != 0, "match", pick(&MATCHES, how >> 1).into()),
                (how & 8 != 0, "invoke", pick(&POLICIES, how >> 4).into()),
            ]);
            vec![
                64_u64.into(),
                id(&[], request % 8),
                options,
                pick(&URIS, uri).into(),
            ]
        }
        42..=44 => vec![
            66_u64.into(),
            id(&[], script.small() % 8),
            id(&known.registrations, script.small()),
        ],
        45..=49 => {
            let (request, uri, how) = (script.small(), script.small(), script.small());
            let options = options(vec![(how & 1 != 0, "match", pick(&MATCHES, how >> 1).into())]);
            vec![
                32_u64.into(),
                id(&[], request % 8),
                options,
                pick(&URIS, uri).into(),
            ]
        }
        50..=52 => vec![
            34_u64.into(),
            id(&[], script.small() % 8),
            id(&known.subscriptions, script.small()),
        ],
        53..=59 => publish(script, known),
        _ => {
            let (request, how) = (script.small(), script.small());
            let options = options(vec![(how & 1 != 0, "mode", pick(&MODES, how >> 1).into())]);
            vec![49_u64.into(), id(&[], request % 8), options]
        }
    }
}

fn call(script: &mut Script<'_>, known: &Known) -> Vec<Value> {
    let (request, uri, how) = (script.small(), script.small(), script.small());
    let options = options(vec![
        (how & 1 != 0, "receive_progress", true.into()),
        (how & 2 != 0, "timeout", (u64::from(how) * 10).into()),
        (how & 4 != 0, "disclose_me", true.into()),
        (how & 8 != 0, "x_callee", known.session.into()),
        (how & 0xf0 == 0xf0, "progress", true.into()),
    ]);
    let args = match how >> 4 {
        0 => Vec::new(),
        1 => vec![known.session.into()],
        2 => vec![id(&known.registrations, script.small())],
        3 => vec![id(&known.subscriptions, script.small())],
        4 => vec!["alice".into()],
        5 => vec![Value::List(vec![pick(&ROLES, script.small()).into()])],
        _ => vec![pick(&URIS, script.small()).into()],
    };
    let procedure = pick(&URIS, uri).into();
    vec![
        48_u64.into(),
        id(&[], request % 8),
        options,
        procedure,
        args.into(),
    ]
}

fn publish(script: &mut Script<'_>, known: &Known) -> Vec<Value> {
    let (request, uri, how) = (script.small(), script.small(), script.small());
    let options = options(vec![
        (how & 1 != 0, "acknowledge", true.into()),
        (how & 2 != 0, "exclude_me", false.into()),
        (how & 4 != 0, "eligible", vec![Value::from(known.session)].into()),
        (
            how & 8 != 0,
            "eligible_authrole",
            vec![Value::from(pick(&ROLES, how >> 4))].into(),
        ),
        (how & 16 != 0, "exclude_authid", vec![Value::from("alice")].into()),
        (how & 32 != 0, "disclose_me", true.into()),
        (how & 0xc0 == 0xc0, "exclude", "everybody".into()),
    ]);
    let topic = pick(&URIS, uri).into();
    vec![16_u64.into(), id(&[], request % 8), options, topic]
}

/// A word for each client: two that serve, call, publish and cancel, and one that looks on and ends them.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    const ONE: u8 = 0;
    const TWO: u8 = 1 << 6;
    const OP: u8 = 2 << 6;
    let uri = |uri: &str| u8::try_from(URIS.iter().position(|known| *known == uri).expect("on the list"));
    let at = |text| uri(text).expect("few");
    let joins = [ONE | 21, TWO | 22, TWO | 25, OP | 23, OP | 25];
    let looks_on = [OP | 45, 0, at("wamp."), 0b011];
    let stories: [Vec<u8>; 6] = [
        // A call of a procedure with its answer in parts, and one that fails.
        [
            &[ONE | 36, 0, at("com.a"), 0][..],
            &[TWO | 28, 1, at("com.a"), 1, ONE | 10, 0, ONE | 10, 0, ONE | 13, 0],
            &[TWO | 28, 2, at("com.a"), 0, ONE | 15, 0, ONE | 42, 3, 0],
        ]
        .concat(),
        // Calls that are cancelled in each way, and one whose time is up.
        [
            &[
                ONE | 36,
                0,
                at("com.a"),
                0,
                TWO | 28,
                1,
                at("com.a"),
                0,
                TWO | 60,
                1,
                0b001,
            ][..],
            &[TWO | 28, 1, at("com.a"), 0, TWO | 60, 1, 0b011, ONE | 13, 0],
            &[TWO | 28, 2, at("com.a"), 0, TWO | 60, 2, 0b101, ONE | 13, 0],
            &[TWO | 28, 3, at("com.a"), 2, ONE | 1, 255],
        ]
        .concat(),
        // Shared and pattern registrations.
        [
            &[
                ONE | 36,
                0,
                at("com."),
                0b0011_1011,
                TWO | 36,
                0,
                at("com."),
                0b0011_1011,
            ][..],
            &[
                ONE | 28,
                1,
                at("com.a"),
                0,
                ONE | 28,
                2,
                at("com.a.b"),
                0,
                TWO | 13,
                0,
                ONE | 13,
                0,
            ],
        ]
        .concat(),
        // Events to all, to some and to none.
        [
            &[
                ONE | 45,
                0,
                at("com.a"),
                0,
                ONE | 45,
                1,
                at("com."),
                0b011,
                TWO | 45,
                0,
                at("com.a"),
                0,
            ][..],
            &[
                TWO | 53,
                1,
                at("com.a"),
                3,
                TWO | 53,
                2,
                at("com.a"),
                5,
                TWO | 53,
                3,
                at("com.a"),
                0xff,
            ],
            &[ONE | 50, 1, 0],
        ]
        .concat(),
        // The router's own procedures.
        [
            &[
                ONE | 36,
                0,
                at("com.a"),
                0,
                OP | 28,
                1,
                at("wamp.registration.list"),
                0,
            ][..],
            &[
                OP | 28,
                2,
                at("wamp.session.get"),
                0x10,
                OP | 28,
                3,
                at("wamp.session.kill_by_authid"),
                0x40,
            ],
            &[
                OP | 28,
                4,
                at("wamp.session.count"),
                0x50,
                1,
                OP | 28,
                5,
                at("wamp.registration.match"),
                0x60,
                0,
            ],
        ]
        .concat(),
        // The market's procedure, frames of any bytes, and a connection that ends.
        [
            &[
                ONE | 28,
                1,
                at("xbr.marketmaker.get_status"),
                0x60,
                1,
                TWO | 36,
                0,
                at("xbr.provider.alice.sell"),
                0,
            ][..],
            &[ONE | 3, 2, b'[', b']', TWO | 2, 3, 1, 0, 0, OP, OP | 27],
        ]
        .concat(),
    ];
    let mut seeds = Vec::new();
    for choice in [0, 1, 2, 0x80, 0x81, 0x82] {
        for story in &stories {
            let clients = [choice, choice ^ 0x80, (choice & 0x80) | ((choice + 1) % 3)];
            seeds.push([&clients[..], &joins, &looks_on, story].concat());
        }
    }
    seeds
}
