//! Every procedure by its face: arguments by position and by keyword, faults that name their argument, results with
//! the documented keys and types.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_chain::Signer;
use bourse_market::{Amount, ChannelKind, Seq};
use bourse_tests::{
    Buyer, Seller, World, assert_balanced, bytes_of, call, call_named, error_text, open_args, open_message,
    page, refused, tokens,
};
use bourse_wamp::{CallError, CallOptions, Dict, Integer, Session, Value, WampError};
use std::collections::BTreeSet;

const INVALID_ARGUMENT: &str = "wamp.error.invalid_argument";

const OFFER: &str = "timestamp:int offer:b16 seller:b20 seller_session_id:int? seller_authid:str? key:b16 api:b16 \
    uri:str valid_from:int? signature:b65 price:b32? categories:dict? expires:int? copies:int? remaining:int? dynamic:bool";
const CHANNEL: &str = "market_oid:b16 member_oid:b16? channel_oid:b16 timestamp:int open_at:b32? seq:int \
    channel_type:int marketmaker:b20 actor:b20 delegate:b20 recipient:b20 amount:b32 timeout:int state:int \
    closing_at:b32? closed_at:b32? close_mm_sig:b65? close_del_sig:b65? close_channel_seq:int close_balance:b32 \
    close_is_final:bool closed_tx:b32? suspended:str? quarantined:int?";
const CONSENT: &str = "consent_oid:b16 market_oid:b16 member:b20 delegate:b20 delegate_type:int catalog_oid:b16 \
    timestamp:int updated:b32 consent:bool service_prefix:str tid:b32? signature:b65? synced:bool";
const CONSENT_IN_FULL: &str = "consent_oid:b16 market_oid:b16 member:b20 delegate:b20 delegate_type:int \
    catalog_oid:b16 timestamp:int updated:b32 consent:bool service_prefix:str tid:b32? signature:b65? synced:bool \
    attributes:dict";
const BALANCE: &str = "remaining:b32 inflight:b32 seq:int";
const RECEIPT: &str = "key_id:b16 delegate:b20 buyer_pubkey:b32 sealed_key:b80 offer_id:b16 free_rated:bool \
    amount:b32 amount_paid:b32 channel_seq:int payment_channel:b16 remaining:b32 inflight:b32 signature:b65";

/// Fails unless `value` has exactly the keys of `shape`, each of its type. `?` admits null.
fn assert_shape(what: &str, value: &Value, shape: &str) {
    if shape == "list" || shape == "int" || shape == "null" {
        assert!(fits(value, shape), "{what}: expected {shape}, got {value:?}");
        return;
    }
    let Value::Map(fields) = value else {
        panic!("{what}: expected a dictionary, got {value:?}")
    };
    let known: Vec<(&str, &str)> = shape
        .split_whitespace()
        .map(|field| field.split_once(':').unwrap())
        .collect();
    let documented: BTreeSet<&str> = known.iter().map(|(key, _)| *key).collect();
    let got: BTreeSet<&str> = fields.keys().map(String::as_str).collect();
    assert_eq!(got, documented, "{what}: its keys");
    for (key, kind) in known {
        let field = &fields[key];
        let fine = match kind.strip_suffix('?') {
            Some(kind) => *field == Value::Null || fits(field, kind),
            None => fits(field, kind),
        };
        assert!(fine, "{what}: {key} should be {kind}, is {field:?}");
    }
}

fn fits(value: &Value, kind: &str) -> bool {
    match (value, kind) {
        (Value::Int(_), "int")
        | (Value::Str(_), "str")
        | (Value::Bool(_), "bool")
        | (Value::Map(_), "dict")
        | (Value::List(_), "list")
        | (Value::Null, "null") => true,
        (Value::Bytes(bytes), kind) => {
            kind.strip_prefix('b').and_then(|len| len.parse().ok()) == Some(bytes.len())
        }
        _ => false,
    }
}

/// A procedure with two sets of good arguments (the same twice where calling twice is nothing else), how many of
/// them must be there, and what it answers.
struct Case {
    procedure: &'static str,
    good: [Vec<(&'static str, Value)>; 2],
    required: usize,
    shape: &'static str,
}

fn case(
    procedure: &'static str,
    good: Vec<(&'static str, Value)>,
    required: usize,
    shape: &'static str,
) -> Case {
    Case {
        procedure,
        good: [good.clone(), good],
        required,
        shape,
    }
}

/// Every procedure of the market, ready to be called.
async fn cases(world: &World, seller: &Seller, buyer: &Buyer) -> Vec<Case> {
    let key = seller.offer(Some(tokens(1))).await;
    let revoked = seller.offer(Some(tokens(1))).await;
    let offer_args = seller.offer_args(Some(tokens(1)), Dict::new());
    let placed = call_named(&seller.session, "xbr.marketmaker.place_offer", vec![], offer_args)
        .await
        .unwrap();
    let delegate = |address: bourse_market::Address| vec![("delegate_adr", Value::from(address.0))];
    let channel = |id: bourse_market::ChannelId| vec![("channel_oid", Value::from(id.0))];
    let listed = |name, address: bourse_market::Address, kind: u64| {
        vec![
            (name, Value::from(address.0)),
            ("channel_type", Value::from(kind)),
            ("filter_open", Value::from(true)),
        ]
    };
    let place = || {
        let terms = [
            ("policy", Value::from("dutch")),
            ("floor", Value::from(tokens(1).to_be_bytes())),
        ];
        let terms: Dict = terms
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        vec![
            ("key_id", Value::from(rand::random::<[u8; 16]>())),
            ("api_id", Value::from([7; 16])),
            ("uri", Value::from("com.example.")),
            ("valid_from", Value::from(1u64)),
            ("delegate_adr", Value::from(seller.signer.address().0)),
            ("delegate_signature", Value::from([1; 65])),
            ("privkey", Value::Null),
            ("price", Value::from(tokens(1).to_be_bytes())),
            (
                "categories",
                Dict::from([("colour".to_owned(), Value::from("red"))]).into(),
            ),
            ("expires", Value::from(4_000_000_000_000_000_000u64)),
            ("copies", Value::from(7u64)),
            ("provider_id", Value::from(seller.provider_id.clone())),
            ("pricing", terms.into()),
        ]
    };
    let open = || {
        let message = open_message(
            world,
            ChannelKind::Paying,
            &seller.actor,
            seller.signer.address(),
            tokens(1),
        );
        let names = [
            "member_adr",
            "market_oid",
            "channel_oid",
            "verifying_chain_id",
            "current_block_number",
            "verifying_contract_adr",
            "channel_type",
            "delegate",
            "marketmaker",
            "recipient",
            "amount",
            "signature",
        ];
        let mut args: Vec<_> = names
            .into_iter()
            .zip(open_args(world, &message, &seller.actor))
            .collect();
        args.push(("attributes", Dict::new().into()));
        args
    };
    let buy = |seq: u32| {
        let balance = tokens(100 - u64::from(seq - 1));
        let order = buyer.order_at(key, tokens(1), Seq(seq), balance);
        let names = [
            "delegate_adr",
            "buyer_pubkey",
            "key_id",
            "channel_oid",
            "channel_seq",
            "amount",
            "balance",
            "signature",
        ];
        names.into_iter().zip(order.args()).collect::<Vec<_>>()
    };
    let message = bourse_chain::RevokeOffer {
        market: world.market(),
        key: revoked,
        delegate: seller.signer.address(),
    };
    let signature = seller.signer.sign(&message.digest(&world.domain()));
    let revoke = vec![
        ("key_id", Value::from(revoked.0)),
        ("signature", Value::from(signature.0)),
    ];
    vec![
        case(
            "status",
            vec![],
            0,
            "status:str current_block_no:int accounts:dict",
        ),
        case(
            "get_status",
            vec![],
            0,
            "now:int chain:int block:dict status:int followed:int? degraded:str? degraded_since:int? caught_up:bool? \
             outbox_waiting:int? outbox_trouble:str?",
        ),
        case(
            "get_config",
            vec![("include_eula_text", Value::from(false))],
            0,
            "now:int chain:int verifying_chain_id:int verifying_contract_adr:str contracts:dict? eula:dict \
             coin:str? owner:str market:str marketmaker:str max_unsettled:b32?",
        ),
        case("get_gas_price", vec![], 0, "int"),
        Case {
            procedure: "place_offer",
            good: [place(), place()],
            required: 6,
            shape: OFFER,
        },
        case(
            "get_offer",
            vec![("offer_id", Value::from(bytes_of(&placed, "offer")))],
            1,
            OFFER,
        ),
        case(
            "get_quote",
            vec![("key_id", Value::from(key.0))],
            1,
            "timestamp:int key:b16 price:b32 expires:int dynamic:bool",
        ),
        Case {
            procedure: "buy_key",
            good: [buy(2), buy(3)],
            required: 8,
            shape: RECEIPT,
        },
        Case {
            procedure: "open_channel",
            good: [open(), open()],
            required: 12,
            shape: "transaction:b32 market_oid:b16 channel_oid:b16 state:int bound:bool",
        },
        case("get_payment_channel", channel(buyer.channel), 1, CHANNEL),
        case("get_paying_channel", channel(seller.channel), 1, CHANNEL),
        case("get_payment_channel_balance", channel(buyer.channel), 1, BALANCE),
        case("get_paying_channel_balance", channel(seller.channel), 1, BALANCE),
        case(
            "get_active_payment_channel",
            delegate(buyer.signer.address()),
            1,
            CHANNEL,
        ),
        case(
            "get_active_paying_channel",
            delegate(seller.signer.address()),
            1,
            CHANNEL,
        ),
        case(
            "get_active_paying_channel",
            delegate(buyer.signer.address()),
            1,
            "null",
        ),
        case(
            "get_channels_by_delegate",
            listed("delegate_adr", buyer.signer.address(), 1),
            2,
            "list",
        ),
        case(
            "get_channels_by_actor",
            listed("member_adr", seller.actor.address(), 2),
            2,
            "list",
        ),
        case("revoke_offer", revoke, 1, OFFER),
    ]
}

/// What members said of their consents, and what is found of them.
fn of_consents(world: &World) -> Vec<Case> {
    let (member, delegate, catalog) = (Signer::generate(), [0xD; 20], [0xC; 16]);
    let said = bourse_chain::Consent {
        member: member.address(),
        updated: Amount::from_units(1),
        market: world.market(),
        delegate: bourse_market::Address(delegate),
        delegate_type: 1,
        catalog: bourse_market::CatalogId(catalog),
        consent: true,
        service_prefix: "com.example.".to_owned(),
    };
    let signature = member.sign(&said.digest(&world.domain()));
    let (member, market) = (member.address().0, world.market().0);
    let list = |value: Value| Value::List(vec![value]);
    vec![
        case(
            "set_consent",
            vec![
                ("member_adr", Value::from(member)),
                ("market_oid", Value::from(market)),
                ("verifying_chain_id", Value::from(world.domain().chain_id)),
                ("current_block_number", Value::from(1u64)),
                (
                    "verifying_contract_adr",
                    Value::from(world.domain().verifying_contract.0),
                ),
                ("delegate", Value::from(delegate)),
                ("delegate_type", Value::from(1u64)),
                ("catalog_oid", Value::from(catalog)),
                ("consent", Value::from(true)),
                ("service_prefix", Value::from("com.example.")),
                ("signature", Value::from(signature.0)),
                ("attributes", Dict::new().into()),
                ("contract_signature", Value::Null),
            ],
            11,
            CONSENT_IN_FULL,
        ),
        case(
            "get_consent",
            vec![
                ("market_oid", Value::from(market)),
                ("member", Value::from(member)),
                ("delegate", Value::from(delegate)),
                ("delegate_type", Value::from(1u64)),
                ("catalog_oid", Value::from(catalog)),
                ("include_attributes", Value::from(false)),
            ],
            5,
            CONSENT,
        ),
        case(
            "find_consents",
            vec![
                ("created_from", Value::from(1u64)),
                ("limit", Value::from(1u64)),
                ("include_owners", list(Value::from(member))),
                ("include_delegates", list(Value::from(delegate))),
                ("include_markets", list(Value::from(market))),
                ("include_apis", list(Value::from(catalog))),
                ("include_titles", list(Value::from("Weather"))),
                ("include_descriptions", list(Value::from("The sky"))),
                ("include_tags", list(Value::from("rain"))),
                ("include_details", Value::from(true)),
                ("cursor", Value::Null),
            ],
            0,
            "list",
        ),
        case(
            "get_catalogs_by_owner",
            vec![
                ("owner_adr", Value::from(member)),
                ("limit", Value::from(1u64)),
                ("cursor", Value::Null),
            ],
            1,
            "list",
        ),
        case(
            "query_offers",
            vec![
                ("api_id", Value::from([7; 16])),
                ("from_ts", Value::from(0u64)),
                ("until_ts", Value::from(u64::MAX)),
                ("uri", Value::from("com.example.")),
                ("categories", Dict::new().into()),
                ("seller_id", Value::from(delegate)),
                ("limit", Value::from(7u64)),
                ("cursor", Value::Null),
            ],
            2,
            "list",
        ),
    ]
}

/// Procedures of which only the arguments are looked at here: they end something, or need a chain.
fn of_arguments_alone(world: &World, buyer: &Buyer) -> Vec<Case> {
    let state = [
        ("channel_oid", Value::from(buyer.channel.0)),
        ("verifying_chain_id", Value::from(world.domain().chain_id)),
        ("current_block_number", Value::from(1u64)),
        (
            "verifying_contract_adr",
            Value::from(world.domain().verifying_contract.0),
        ),
        ("closing_balance", Value::from(tokens(100).to_be_bytes())),
        ("closing_seq", Value::from(1u64)),
        ("closing_is_final", Value::from(true)),
        ("delegate_signature", Value::from([1; 65])),
    ];
    vec![
        case("close_channel", state.to_vec(), 8, ""),
        case(
            "get_transaction_receipt",
            vec![("transaction", Value::from([1; 32]))],
            1,
            "",
        ),
        case(
            "bourse.market.renew_voucher",
            vec![
                ("channel_oid", Value::from(buyer.channel.0)),
                ("close_at", Value::from(1u64)),
                ("signature", Value::from([1; 65])),
            ],
            3,
            "",
        ),
        case(
            "bourse.dev.fund",
            vec![
                ("address", Value::from([1; 20])),
                ("amount", Value::from(tokens(1).to_be_bytes())),
            ],
            2,
            "",
        ),
    ]
}

#[tokio::test]
async fn the_cases_of_this_file_are_every_procedure_of_the_table() {
    let (world, seller, buyer) = fixture().await;
    let mut cases = cases(&world, &seller, &buyer).await;
    cases.extend(of_consents(&world));
    cases.extend(of_arguments_alone(&world, &buyer));
    let tried: BTreeSet<_> = cases.iter().map(|case| uri(case.procedure)).collect();
    // The two of the authenticator are called as a router does, in `authenticator.rs`.
    let listed: BTreeSet<_> = bourse_app::access::TABLE
        .iter()
        .map(|row| row.procedure.to_owned())
        .filter(|procedure| !procedure.starts_with("xbr.marketmaker.authenticator."))
        .collect();
    assert_eq!(tried, listed);
}

fn uri(procedure: &str) -> String {
    match procedure.starts_with("bourse.") {
        true => procedure.to_owned(),
        false => format!("xbr.marketmaker.{procedure}"),
    }
}

fn named(args: &[(&'static str, Value)]) -> Dict {
    args.iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

fn positional(args: &[(&'static str, Value)]) -> Vec<Value> {
    args.iter().map(|(_, value)| value.clone()).collect()
}

async fn fixture() -> (World, Seller, Buyer) {
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let buyer = Buyer::new(&world, tokens(100)).await;
    (world, seller, buyer)
}

#[tokio::test]
async fn every_procedure_answers_its_documented_keys_by_position_and_by_keyword() {
    let (world, seller, mut buyer) = fixture().await;
    let mut all = cases(&world, &seller, &buyer).await;
    all.extend(of_consents(&world));
    for case in all {
        let Case {
            procedure,
            good: [first, second],
            required,
            shape,
        } = case;
        let by_position = call(&seller.session, &uri(procedure), positional(&first)).await;
        assert_shape(procedure, &by_position.unwrap(), shape);
        // The first by position, the rest by keyword.
        let (head, tail) = second.split_at(second.len().min(1));
        let by_keyword = call_named(&seller.session, &uri(procedure), positional(head), named(tail)).await;
        assert_shape(procedure, &by_keyword.unwrap(), shape);
        if !["place_offer", "open_channel"].contains(&procedure) {
            // A replay, where the procedure buys: every argument by its name.
            let all = call_named(&seller.session, &uri(procedure), vec![], named(&second)).await;
            assert_shape(procedure, &all.unwrap(), shape);
            if procedure != "revoke_offer" && procedure != "buy_key" {
                let least = call(&seller.session, &uri(procedure), positional(&second[..required])).await;
                assert_shape(procedure, &least.unwrap(), shape);
            }
        }
    }
    (buyer.seq, buyer.balance) = (Seq(3), tokens(98));
    world.assert_sound();
    assert_eq!(buyer.posted().await, (buyer.seq, buyer.balance));
}

/// Values that are no good where `good` is.
fn wrong(good: &Value) -> Vec<Value> {
    let number = Value::from(7u64);
    match good {
        Value::Bytes(bytes) => {
            let mut longer = bytes.clone();
            longer.push(0);
            vec![
                Value::Bytes(bytes[1..].to_vec()),
                Value::Bytes(longer),
                Value::Bytes(vec![]),
                "x".into(),
                number,
            ]
        }
        Value::Int(_) => vec![
            Value::from(-1i64),
            Value::Int(Integer::from(u128::from(u64::MAX) + 1)),
            Value::Float(1.5),
            "1".into(),
            Value::from([1; 8]),
            Value::Bool(true),
        ],
        Value::Str(_) => vec![number, Value::from([1; 4]), Value::List(vec![])],
        Value::Bool(_) => vec![Value::from(2u64), "true".into()],
        Value::Map(_) => vec![number, Value::List(vec![]), "x".into()],
        Value::List(_) => vec![
            number.clone(),
            "x".into(),
            Value::List(vec![]),
            Value::List(vec![number]),
            Value::List(vec![Value::from([1; 4])]),
        ],
        other => panic!("no wrong values for {other:?}"),
    }
}

/// What a fault of an argument is called; two procedures have names of their own for a bad address.
fn fault_uri(procedure: &str, argument: &str) -> &'static str {
    match (procedure, argument) {
        ("get_channels_by_delegate", "delegate_adr") => "xbr.marketmaker.error.invalid_delegate_adr",
        ("get_channels_by_actor", "member_adr") => "xbr.marketmaker.error.invalid_member_adr",
        _ => INVALID_ARGUMENT,
    }
}

#[track_caller]
fn assert_names(error: &WampError, argument: &str) {
    assert_eq!(
        error.kwargs.get("argument"),
        Some(&Value::from(argument)),
        "{error:?}"
    );
    assert!(
        error_text(error).starts_with(&format!("{argument}: ")),
        "{error:?}"
    );
}

#[tokio::test]
async fn every_fault_of_an_argument_names_it() {
    let (world, seller, buyer) = fixture().await;
    let before = world.host().counts().unwrap();
    let mut cases = cases(&world, &seller, &buyer).await;
    cases.extend(of_consents(&world));
    cases.extend(of_arguments_alone(&world, &buyer));
    let offers = world.host().counts().unwrap().offers;
    let session = &seller.session;
    for Case {
        procedure,
        good: [good, _],
        required,
        ..
    } in &cases
    {
        let uri = uri(procedure);
        for (at, (name, value)) in good.iter().enumerate() {
            let expected = fault_uri(procedure, name);
            if *value != Value::Null {
                for bad in wrong(value) {
                    let mut args = good.clone();
                    args[at].1 = bad.clone();
                    let by_position = refused(call(session, &uri, positional(&args)).await, expected);
                    assert_names(&by_position, name);
                    let by_keyword = refused(call_named(session, &uri, vec![], named(&args)).await, expected);
                    assert_eq!(by_keyword, by_position, "{procedure} {name} {bad:?}");
                }
            }
            if at < *required {
                let mut args = good.clone();
                args.remove(at);
                let missing = refused(call_named(session, &uri, vec![], named(&args)).await, expected);
                assert_names(&missing, name);
                args.insert(at, (name, Value::Null));
                assert_names(
                    &refused(call(session, &uri, positional(&args)).await, expected),
                    name,
                );
            }
        }
        if let Some((name, value)) = good.first() {
            let twice = Dict::from([((*name).to_owned(), value.clone())]);
            let twice = refused(
                call_named(session, &uri, positional(good), twice).await,
                INVALID_ARGUMENT,
            );
            assert_names(&twice, name);
        }
        let mut many = positional(good);
        many.push(Value::Null);
        // What is optional but not listed above must be given too, before there are too many.
        many.extend(vec![Value::Null; 4]);
        let many = refused(call(session, &uri, many).await, INVALID_ARGUMENT);
        assert!(error_text(&many).contains("expected at most"), "{many:?}");
        let unknown = Dict::from([("colour".to_owned(), Value::Null)]);
        let unknown = refused(
            call_named(session, &uri, positional(good), unknown).await,
            INVALID_ARGUMENT,
        );
        assert_names(&unknown, "colour");
    }
    let after = world.host().counts().unwrap();
    assert_eq!(
        (after.purchases, after.channels, after.offers),
        (0, before.channels, offers),
        "nothing happened"
    );
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn the_faucet_gives_up_to_ten_million_tokens_a_call_and_counts_them() {
    let world = World::start().await;
    let session = world.session().await;
    let fund =
        async |address: Value, amount: Value| call(&session, "bourse.dev.fund", vec![address, amount]).await;
    let address = Value::from([1; 20]);
    let limit = tokens(10_000_000);
    for calls in 1..=2 {
        let funded = fund(address.clone(), Value::from(limit.to_be_bytes()))
            .await
            .unwrap();
        assert_shape("bourse.dev.fund", &funded, "address:b20 balance:b32");
        assert_eq!(
            bourse_tests::amount_of(&funded, "balance"),
            tokens(10_000_000 * calls)
        );
    }
    let above = limit.checked_add(Amount::from_units(1)).unwrap();
    for amount in [
        Value::from(above.to_be_bytes()),
        Value::from([0xff; 32]),
        Value::from(5u64),
        Value::from([1; 31]),
    ] {
        assert_names(
            &refused(fund(address.clone(), amount).await, INVALID_ARGUMENT),
            "amount",
        );
    }
    let one = Value::from(tokens(1).to_be_bytes());
    assert_names(
        &refused(fund(Value::from([1; 19]), one.clone()).await, INVALID_ARGUMENT),
        "address",
    );
    let named = Dict::from([("amount".to_owned(), one), ("address".to_owned(), address)]);
    call_named(&session, "bourse.dev.fund", vec![], named)
        .await
        .unwrap();
    world.assert_sound();
    assert_eq!(world.verify().sums.endowed, tokens(1_000_000_000 + 20_000_001));
}

#[tokio::test]
async fn unknown_objects_are_no_such_object() {
    let (world, _seller, buyer) = fixture().await;
    let nobody = || vec![Value::from([9; 16])];
    for procedure in [
        "get_offer",
        "get_quote",
        "revoke_offer",
        "get_payment_channel",
        "get_paying_channel",
        "get_payment_channel_balance",
        "get_paying_channel_balance",
    ] {
        refused(
            call(&buyer.session, &uri(procedure), nobody()).await,
            "crossbar.error.no_such_object",
        );
    }
    // A channel of one kind is none of the other.
    for procedure in ["get_paying_channel", "get_paying_channel_balance"] {
        let payment = vec![Value::from(buyer.channel.0)];
        refused(
            call(&buyer.session, &uri(procedure), payment).await,
            "crossbar.error.no_such_object",
        );
    }
    refused(
        call(&buyer.session, "xbr.marketmaker.no_such", vec![]).await,
        "wamp.error.no_such_procedure",
    );
    world.assert_sound();
}

async fn list(session: &Session, procedure: &str, args: Vec<Value>) -> Vec<Value> {
    call(session, &uri(procedure), args)
        .await
        .unwrap()
        .as_list()
        .unwrap()
        .to_vec()
}

#[tokio::test]
async fn channels_are_listed_oldest_first_and_only_those_with_anything_left_if_asked() {
    let (world, seller, mut buyer) = fixture().await;
    let (actor, delegate) = (&buyer.actor, buyer.signer.address());
    let mut ids = vec![Value::from(buyer.channel.0)];
    for _ in 0..3 {
        let id = bourse_tests::open(
            &world,
            &buyer.session,
            ChannelKind::Payment,
            actor,
            delegate,
            tokens(5),
        )
        .await;
        ids.push(Value::from(id.0));
    }
    let (kind, actor) = (Value::from(1u64), Value::from(buyer.actor.address().0));
    let delegate = Value::from(delegate.0);
    for filter in [
        vec![],
        vec![Value::from(true)],
        vec![Value::from(false)],
        vec![Value::Null],
    ] {
        let by_delegate = [vec![delegate.clone(), kind.clone()], filter.clone()].concat();
        assert_eq!(
            list(&buyer.session, "get_channels_by_delegate", by_delegate).await,
            ids
        );
        let by_actor = [vec![actor.clone(), kind.clone()], filter].concat();
        assert_eq!(list(&buyer.session, "get_channels_by_actor", by_actor).await, ids);
    }
    let key = seller.offer(Some(tokens(100))).await;
    buyer.buy(key).await.unwrap();
    let open = list(
        &buyer.session,
        "get_channels_by_delegate",
        vec![delegate.clone(), kind.clone()],
    )
    .await;
    assert_eq!(open, ids[1..]);
    let all = vec![delegate.clone(), kind, Value::from(false)];
    assert_eq!(list(&buyer.session, "get_channels_by_delegate", all).await, ids);
    let active = call(
        &buyer.session,
        &uri("get_active_payment_channel"),
        vec![delegate.clone()],
    )
    .await
    .unwrap();
    assert_eq!(Value::from(bytes_of(&active, "channel_oid")), ids[1]);

    for wrong in [0u64, 3, 4] {
        let args = vec![delegate.clone(), Value::from(wrong)];
        for procedure in ["get_channels_by_delegate", "get_channels_by_actor"] {
            let error = call(&buyer.session, &uri(procedure), args.clone()).await;
            refused(error, "xbr.marketmaker.error.invalid_channel_type");
        }
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn lists_of_channels_come_whole_to_who_knows_of_no_pages_and_page_by_page_to_who_asks() {
    let (world, _seller, buyer) = fixture().await;
    let (delegate, actor) = (buyer.signer.address(), &buyer.actor);
    let mut ids = vec![Value::from(buyer.channel.0)];
    for _ in 0..4 {
        let kind = ChannelKind::Payment;
        let id = bourse_tests::open(&world, &buyer.session, kind, actor, delegate, tokens(5)).await;
        ids.push(Value::from(id.0));
    }
    let cases = [
        ("get_channels_by_delegate", "delegate_adr", delegate),
        ("get_channels_by_actor", "member_adr", actor.address()),
    ];
    for (procedure, name, address) in cases {
        let ask = async |more: &[(&'static str, Value)]| {
            let whose = [
                (name, Value::from(address.0)),
                ("channel_type", Value::from(1u64)),
            ];
            let kwargs = named(&[&whose[..], more].concat());
            let options = CallOptions::default();
            match buyer.session.call(&uri(procedure), vec![], kwargs, options).await {
                Ok(result) => Ok((result.args, result.kwargs)),
                Err(CallError::Wamp(error)) => Err(error),
                Err(error) => panic!("{procedure}: {error}"),
            }
        };
        // One list and nothing beside it: clients take anything else for another kind of answer.
        let whole = ask(&[]).await.unwrap();
        assert_eq!(whole, (vec![Value::List(ids.clone())], Dict::new()));
        let mut found = Vec::new();
        let mut cursor = Value::Null;
        for pages in 1.. {
            let (args, kwargs) = ask(&[("limit", Value::from(2u64)), ("cursor", cursor)])
                .await
                .unwrap();
            let Some(Value::List(page)) = args.into_iter().next() else {
                panic!("expected a list")
            };
            assert!(page.len() <= 2);
            found.extend(page);
            cursor = kwargs["cursor"].clone();
            if cursor == Value::Null {
                assert_eq!(pages, 3);
                break;
            }
        }
        assert_eq!(found, ids, "{procedure}");
        for (limit, got) in [(0u64, "got 0"), (1001, "got 1001")] {
            let error = refused(ask(&[("limit", Value::from(limit))]).await, INVALID_ARGUMENT);
            let text = error_text(&error);
            assert!(
                text.contains("expected 1 to 1000") && text.contains(got),
                "{text}"
            );
        }
        let short = ("cursor", Value::from(vec![1u8; 23]));
        let error = refused(ask(&[short]).await, INVALID_ARGUMENT);
        assert!(error_text(&error).contains("24 bytes"), "{error:?}");
    }
}

#[tokio::test]
async fn the_health_check_says_what_the_status_says() {
    let world = World::start().await;
    let (status, said) = page(world.http(), "/healthz").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(said.contains("RUNNING"), "{said}");
}
