//! Consents on the real contracts of a real node: carried there by the market maker, believed of their members alone, found
//! by block and filter whatever the chain drops (W-31, W-43).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::config::Config;
use bourse_chain::{Call, Consent, Fees, Signer, Transaction, keccak256};
use bourse_market::chain::ChainEvent;
use bourse_market::registry::{ActorType, ConsentKey};
use bourse_market::{Address, Amount, CatalogId, TransactionHash};
use bourse_tests::{
    Chain, Ear, Gateway, Mood, World, bytes_of, call, call_named, error_text, int_of, map_of, refused, until,
};
use bourse_wamp::{Dict, Session, Value, WampError};
use std::ffi::OsString;
use std::time::Duration;

const SET: &str = "xbr.marketmaker.set_consent";
const FIND: &str = "xbr.marketmaker.find_consents";
const CATALOG: CatalogId = CatalogId([0xCB; 16]);
const DELEGATE: Address = Address([0xD1; 20]);
/// Blocks above one that counts.
const DEPTH: u64 = 2;

/// A chain with a catalog, and a market on it that has followed it to the end.
async fn market(change: impl FnOnce(&mut Config)) -> Option<(Chain, World)> {
    let chain = Chain::start().await?;
    let create = chain
        .contracts
        .create_catalog(CATALOG, String::new(), String::new());
    chain.send(&chain.parties.seller, &create).await;
    let world = chain.world(DEPTH, change).await;
    settle(&chain, &world.session().await).await;
    Some((chain, world))
}

async fn status(session: &Session) -> Value {
    call(session, "xbr.marketmaker.get_status", vec![]).await.unwrap()
}

/// Mines until all that there is counts, and waits until the market has followed.
async fn settle(chain: &Chain, session: &Session) {
    chain.mine(DEPTH).await;
    let head = chain.head().await;
    until("the ledger follows the chain", async || {
        let status = status(session).await;
        let followed = map_of(&status).get("followed").and_then(Value::as_u64);
        followed == Some(head - DEPTH) && int_of(map_of(&status).get("block").unwrap(), "number") >= head
    })
    .await;
}

/// What a member says, in both forms.
#[derive(Clone)]
struct Said<'c> {
    chain: &'c Chain,
    member: &'c Signer,
    message: Consent,
    attributes: Dict,
}

impl<'c> Said<'c> {
    /// The seller says it now.
    async fn now(chain: &'c Chain, granted: bool) -> Self {
        Self {
            chain,
            member: &chain.parties.seller,
            message: Consent {
                member: chain.parties.seller.address(),
                updated: Amount::from_units(chain.head().await.into()),
                market: Chain::MARKET,
                delegate: DELEGATE,
                delegate_type: 1,
                catalog: CATALOG,
                consent: granted,
                service_prefix: "com.example.".to_owned(),
            },
            attributes: Dict::new(),
        }
    }

    fn but(&self, change: impl FnOnce(&mut Consent)) -> Self {
        let mut other = self.clone();
        change(&mut other.message);
        other
    }

    fn by(&self, member: &'c Signer, delegate_type: u8) -> Self {
        let mut other = self.but(|message| message.delegate_type = delegate_type);
        other.member = member;
        other.message.member = member.address();
        other
    }

    fn args(&self) -> Vec<Value> {
        let (message, domain) = (&self.message, self.chain.domain());
        let [block, ..] = *message.updated.limbs();
        vec![
            Value::from(message.member.0),
            Value::from(message.market.0),
            Value::Int(domain.chain_id.into()),
            Value::Int(block.into()),
            Value::from(domain.verifying_contract.0),
            Value::from(message.delegate.0),
            Value::Int(u64::from(message.delegate_type).into()),
            Value::from(message.catalog.0),
            Value::Bool(message.consent),
            Value::from(message.service_prefix.as_str()),
            Value::from(self.member.sign(&message.digest(&domain)).0),
            Value::Map(self.attributes.clone()),
        ]
    }

    fn for_contract(&self) -> [u8; 65] {
        self.member
            .sign(&self.message.contract_digest(&self.chain.domain()))
            .0
    }

    /// To the market alone.
    async fn say(&self, session: &Session) -> Result<Value, WampError> {
        call(session, SET, self.args()).await
    }

    /// To be carried to the chain, as soon as the market knows its next nonce.
    async fn carry(&self, session: &Session) -> Result<Value, WampError> {
        self.carry_with(session, self.for_contract()).await
    }

    async fn carry_with(&self, session: &Session, signature: [u8; 65]) -> Result<Value, WampError> {
        let waits = |error: &WampError| {
            let said = error_text(error);
            said.contains("nonce is not known yet") || said.contains("must follow first")
        };
        loop {
            let kwargs = Dict::from([("contract_signature".to_owned(), Value::from(signature))]);
            match call_named(session, SET, self.args(), kwargs).await {
                Err(error) if waits(&error) => tokio::time::sleep(Duration::from_millis(20)).await,
                answer => return answer,
            }
        }
    }

    /// By the member itself, past the market.
    async fn set(&self) {
        let call = self.chain.contracts.set_consent(&self.message);
        self.chain.send(self.member, &call).await;
    }

    async fn get(&self, session: &Session) -> Option<Value> {
        let message = &self.message;
        let args = vec![
            Value::from(message.market.0),
            Value::from(message.member.0),
            Value::from(message.delegate.0),
            Value::Int(u64::from(message.delegate_type).into()),
            Value::from(message.catalog.0),
        ];
        call(session, "xbr.marketmaker.get_consent", args).await.ok()
    }

    /// Whether it is given, and whether the chain says so too.
    async fn stands(&self, session: &Session) -> Option<(bool, bool)> {
        let told = self.get(session).await?;
        let flag = |name: &str| map_of(&told).get(name) == Some(&Value::Bool(true));
        Some((flag("consent"), flag("synced")))
    }

    fn key(&self) -> ConsentKey {
        let message = &self.message;
        ConsentKey {
            catalog: message.catalog,
            member: message.member,
            delegate: message.delegate,
            delegate_type: ActorType::from_code(message.delegate_type.into()).unwrap(),
            market: message.market,
        }
    }

    /// How often the contract said so.
    async fn events(&self) -> usize {
        let logged = self.chain.logged(0).await;
        let same = |event: &ChainEvent| match event {
            ChainEvent::ConsentSet { key, granted, .. } => {
                (*key, *granted) == (self.key(), self.message.consent)
            }
            _ => false,
        };
        logged
            .iter()
            .filter(|(_, event)| event.as_ref().is_ok_and(same))
            .count()
    }

    async fn mined(&self) {
        until("the consent is mined", async || self.events().await > 0).await;
    }

    /// The first half of the Keccak hash of what it is about.
    fn oid(&self) -> Vec<u8> {
        let message = &self.message;
        let about = [
            message.catalog.0.as_slice(),
            &message.member.0,
            &message.delegate.0,
            &[message.delegate_type],
            &message.market.0,
        ];
        keccak256(&about.concat())[..16].to_vec()
    }
}

async fn nonce(chain: &Chain) -> u64 {
    let us = chain.parties.marketmaker.address();
    chain.node().nonce(us).await.unwrap()
}

async fn knows(chain: &Chain, transaction: &[u8]) {
    let known = TransactionHash(transaction.try_into().unwrap());
    until("the node has it", async || {
        chain.node().knows(known).await.unwrap()
    })
    .await;
}

/// The function of XBRMarket that was meant for itself, and asks nobody's leave.
fn without_leave(checked: &Call) -> Call {
    let name = b"_setConsent(address,uint256,bytes16,address,uint8,bytes16,bool,string,bytes)";
    let mut input = checked.input.clone();
    input[..4].copy_from_slice(&keccak256(name)[..4]);
    Call {
        input,
        ..checked.clone()
    }
}

#[tokio::test]
async fn w_31_a_consent_is_carried_to_the_real_contract_once_and_synced_when_it_is_deep_enough() {
    let Some((chain, world)) = market(|_| {}).await else {
        return;
    };
    let session = world.session().await;
    let before = nonce(&chain).await;
    // Without the other signature it stays here.
    let here = Said::now(&chain, true).await;
    here.say(&session).await.unwrap();
    assert_eq!(here.stands(&session).await, Some((true, false)));

    settle(&chain, &session).await;
    let given = Said::now(&chain, true).await;
    let answer = given.carry(&session).await.unwrap();
    let transaction = bytes_of(&answer, "transaction").to_vec();
    assert_eq!(map_of(&answer).get("synced"), Some(&Value::Bool(false)));
    given.mined().await;
    assert_eq!(given.stands(&session).await, Some((true, false)));
    settle(&chain, &session).await;
    assert_eq!(given.stands(&session).await, Some((true, true)));
    let told = given.get(&session).await.unwrap();
    assert_eq!(bytes_of(&told, "tid"), transaction);
    assert_eq!(map_of(&told).get("failure"), Some(&Value::Null));
    // The same again: the same transaction, and nothing new.
    let again = given.carry(&session).await.unwrap();
    assert_eq!(bytes_of(&again, "transaction"), transaction);

    let taken = Said::now(&chain, false).await;
    taken.carry(&session).await.unwrap();
    taken.mined().await;
    settle(&chain, &session).await;
    assert_eq!(taken.stands(&session).await, Some((false, true)));
    assert_eq!(nonce(&chain).await - before, 2);
    assert_eq!((given.events().await, taken.events().await), (1, 1));

    // A stranger shows the contract the former again: it gives nothing back.
    let signature = bourse_market::Signature(given.for_contract());
    let replay = chain.contracts.set_consent_for(&given.message, &signature);
    chain.send(&chain.parties.stranger, &replay).await;
    settle(&chain, &session).await;
    assert_eq!(taken.stands(&session).await, Some((false, false)));

    // Nor does what nobody signed: for the contract it counts, and for nobody else.
    let later = Said::now(&chain, true).await;
    let nobody = bourse_market::Signature([0; 65]);
    let forged = without_leave(&chain.contracts.set_consent_for(&later.message, &nobody));
    let events = given.events().await;
    chain.send(&chain.parties.stranger, &forged).await;
    assert_eq!(given.events().await, events + 1, "the contract takes it");
    settle(&chain, &session).await;
    assert_eq!(taken.stands(&session).await, Some((false, false)));

    // What the member sets there itself counts.
    later.set().await;
    settle(&chain, &session).await;
    assert_eq!(later.stands(&session).await, Some((true, true)));
    world.assert_sound();
}

#[tokio::test]
async fn w_31_what_the_contract_would_refuse_is_refused_and_nothing_is_recorded() {
    let Some((chain, world)) = market(|config| config.market.consents_per_member = 1).await else {
        return;
    };
    let session = world.session().await;
    let before = nonce(&chain).await;
    let good = Said::now(&chain, true).await;
    // The form of the clients is not that of the contract, and the other's signature is not the member's.
    let python = good.member.sign(&good.message.digest(&chain.domain())).0;
    let stranger = chain
        .parties
        .stranger
        .sign(&good.message.contract_digest(&chain.domain()))
        .0;
    for signature in [python, stranger, [27; 65]] {
        refused(
            good.carry_with(&session, signature).await,
            "xbr.error.invalid_signature",
        );
    }
    for block in [1, chain.head().await + 9] {
        let other = good.but(|message| message.updated = Amount::from_units(block.into()));
        let error = refused(other.carry(&session).await, "wamp.error.invalid_argument");
        assert!(error_text(&error).contains("current_block_number"), "{error:?}");
    }
    for (other, says) in [
        (
            good.but(|message| message.catalog = CatalogId([1; 16])),
            "NO_SUCH_CATALOG",
        ),
        (
            good.but(|message| message.service_prefix = String::new()),
            "SERVICE_PREFIX_EMPTY",
        ),
        (
            good.but(|message| message.delegate_type = 2),
            "MEMBER_NOT_CONSUMER",
        ),
        (good.by(&chain.parties.stranger, 1), "SENDER_NOT_A_MEMBER"),
    ] {
        let error = refused(other.carry(&session).await, "xbr.error.transaction_failed");
        assert!(error_text(&error).contains(says), "{error:?}");
        assert_eq!(other.get(&session).await, None, "{says}");
    }
    assert_eq!(nonce(&chain).await, before);
    good.carry(&session).await.unwrap();
    let more = good.but(|message| message.delegate = Address([9; 20]));
    let error = refused(more.carry(&session).await, "bourse.error.overloaded");
    assert!(error_text(&error).contains("at most 1"), "{error:?}");
    world.assert_sound();

    let local = World::start().await;
    let kwargs = Dict::from([("contract_signature".to_owned(), Value::from([1u8; 65]))]);
    let mut said = good.but(|message| message.market = local.market());
    said.message.updated = Amount::from_units(1);
    let mut args = said.args();
    args[4] = Value::from(local.domain().verifying_contract.0);
    args[10] = Value::from(said.member.sign(&said.message.digest(&local.domain())).0);
    let error = refused(
        call_named(&local.session().await, SET, args, kwargs).await,
        "wamp.error.invalid_argument",
    );
    assert!(error_text(&error).contains("contract_signature"), "{error:?}");
}

/// The member leaves the network with a transaction that pays more, in the very block of its consent.
#[tokio::test]
async fn w_31_a_consent_that_is_reverted_is_told_with_the_contracts_reason_and_stands_off_the_chain() {
    let Some((chain, world)) = market(|_| {}).await else {
        return;
    };
    let session = world.session().await;
    let topic = format!(
        "xbr.marketmaker.member.{}.on_consent_failed",
        chain.parties.seller.address()
    );
    let mut ear = Ear::at(&session, &topic).await;
    let said = Said::now(&chain, true).await;
    chain.dev().mine_at_once(false).await.unwrap();
    let answer = said.carry(&session).await.unwrap();
    let transaction = bytes_of(&answer, "transaction").to_vec();
    knows(&chain, &transaction).await;
    let leave = chain.contracts.unregister_member();
    let gwei = 1_000_000_000;
    let leave = Transaction {
        chain_id: chain.domain().chain_id,
        nonce: chain.node().nonce(said.member.address()).await.unwrap(),
        to: Some(leave.to),
        input: leave.input,
        gas_limit: 200_000,
        fees: Fees::Market {
            max_fee: 400 * gwei,
            max_priority_fee: 200 * gwei,
        },
    };
    chain
        .node()
        .send_raw(&leave.sign(said.member).bytes)
        .await
        .unwrap();
    chain.mine(1 + DEPTH).await;
    let failed = ear.one().await;
    assert_eq!(bytes_of(&failed, "transaction"), transaction);
    assert_eq!(bytes_of(&failed, "delegate"), DELEGATE.0);
    let reason = map_of(&failed).get("reason").unwrap().clone();
    assert_eq!(reason, Value::from("SENDER_NOT_A_MEMBER"));
    let told = said.get(&session).await.unwrap();
    assert_eq!(map_of(&told).get("failure"), Some(&reason));
    assert_eq!(said.stands(&session).await, Some((true, false)));
    let args = vec![Value::Bytes(transaction)];
    let receipt = call(&session, "xbr.marketmaker.get_transaction_receipt", args)
        .await
        .unwrap();
    assert_eq!(int_of(&receipt, "status"), 0);
    world.assert_sound();
}

/// Whether it is the member's word is seen from the transaction. A node that does not show it keeps the ledger where it is: no
/// consent is believed for that, and none is lost.
#[tokio::test]
async fn a_consent_whose_transaction_a_node_does_not_show_waits_until_one_does() {
    let Some(chain) = Chain::start().await else { return };
    let create = chain
        .contracts
        .create_catalog(CATALOG, String::new(), String::new());
    chain.send(&chain.parties.seller, &create).await;
    let node = Gateway::to(chain.url()).await;
    let world = chain
        .world(DEPTH, |config| config.chain.rpc = Some(node.url()))
        .await;
    let session = world.session().await;
    settle(&chain, &session).await;
    node.be(Mood::lies(|method, said| match method {
        "eth_getTransactionByBlockHashAndIndex" => serde_json::Value::Null,
        _ => said,
    }));
    let said = Said::now(&chain, true).await;
    said.set().await;
    chain.mine(DEPTH + 3).await;
    until("the market says what is wrong", async || {
        let status = status(&session).await;
        matches!(map_of(&status).get("degraded"), Some(Value::Str(text)) if text.contains("it logged a consent"))
    })
    .await;
    assert_eq!(said.get(&session).await, None);
    node.be(Mood::Honest);
    settle(&chain, &session).await;
    assert_eq!(said.stands(&session).await, Some((true, true)));
    world.assert_sound();
}

/// The market's settings for a process of its own.
fn run_apart(chain: &Chain, world: &mut World, fuse: Option<OsString>) {
    let mut variables = chain.variables(chain.url(), DEPTH);
    variables.push(("BOURSE__MARKET__CONSENTS_PER_MEMBER", "100".into()));
    variables.extend(fuse.map(|fuse| ("BOURSE_CRASH_FUSE", fuse)));
    world.try_run_apart(&variables).unwrap();
}

/// Has a consent carried, is killed at a moment of `die`'s choice, and asks again after a restart: one transaction.
async fn carried_across_a_death(
    chain: &Chain,
    world: &mut World,
    number: u8,
    fuse: Option<OsString>,
    die: impl AsyncFnOnce(&mut World),
) {
    run_apart(chain, world, fuse);
    let session = world.session().await;
    settle(chain, &session).await;
    let before = nonce(chain).await;
    let said = Said::now(chain, true)
        .await
        .but(|message| message.delegate = Address([number; 20]));
    let (args, signature) = (said.args(), said.for_contract());
    let asked = tokio::spawn(async move {
        let kwargs = Dict::from([("contract_signature".to_owned(), Value::from(signature))]);
        call_named(&session, SET, args, kwargs).await
    });
    die(world).await;
    asked.abort();
    run_apart(chain, world, None);
    let session = world.session().await;
    said.carry(&session).await.unwrap();
    said.mined().await;
    settle(chain, &session).await;
    assert_eq!(said.stands(&session).await, Some((true, true)));
    assert_eq!(
        (nonce(chain).await - before, said.events().await),
        (1, 1),
        "{number}"
    );
    world.assert_sound();
    world.kill();
}

/// Killed so many milliseconds after it was asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w_31_kill_9_while_a_consent_is_carried_sends_no_transaction_twice_and_loses_none() {
    let Some((chain, mut world)) = market(|_| {}).await else {
        return;
    };
    world.stop().await;
    for (number, after) in [0, 5, 12, 25, 60].into_iter().enumerate() {
        let number = u8::try_from(number).unwrap() + 1;
        carried_across_a_death(&chain, &mut world, number, None, async |world| {
            tokio::time::sleep(Duration::from_millis(after)).await;
            world.kill();
        })
        .await;
    }
}

/// Killed at each place between the request and the end, with a host that has such places.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w_31_a_death_at_any_step_of_a_consents_transaction_sends_none_twice_and_loses_none() {
    if !cfg!(feature = "crash-points") {
        eprintln!("NOT CHECKED: this needs the feature crash-points; `cargo xtask ci` has it");
        return;
    }
    let Some((chain, mut world)) = market(|_| {}).await else {
        return;
    };
    world.stop().await;
    // The end first: that of a transaction before it could still be to come.
    let places = [
        "end-committed:1",
        "intent-committed:1",
        "attempt-committed:1",
        "transaction-sent:1",
    ];
    for (number, place) in places.into_iter().enumerate() {
        let number = u8::try_from(number).unwrap() + 1;
        let fuse = world.folder().join("fuse");
        std::fs::write(&fuse, place).unwrap();
        let blocks = chain.dev().clone();
        let armed = Some(fuse.into_os_string());
        carried_across_a_death(&chain, &mut world, number, armed, async |world| {
            until(place, async || {
                // The end comes in blocks that count.
                if place.starts_with("end") {
                    blocks.mine(1).await.unwrap();
                }
                world.has_ended()
            })
            .await;
        })
        .await;
    }
}

/// What find_consents answers.
async fn found(session: &Session, entries: &[(&str, Value)]) -> Vec<Value> {
    let kwargs = entries
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    match call_named(session, FIND, vec![], kwargs.collect()).await.unwrap() {
        Value::List(found) => found,
        other => panic!("{other:?}"),
    }
}

fn list<const N: usize>(of: &[[u8; N]]) -> Value {
    Value::List(of.iter().map(|bytes| Value::from(*bytes)).collect())
}

#[tokio::test]
async fn w_43_consents_of_several_blocks_are_found_by_block_and_filter_and_follow_the_chain_back() {
    let Some((chain, world)) = market(|_| {}).await else {
        return;
    };
    let session = world.session().await;
    let (seller, buyer) = (&chain.parties.seller, &chain.parties.buyer);
    let base = Said::now(&chain, true).await;
    let for_delegate = |byte: u8| base.but(|message| message.delegate = Address([byte; 20]));
    // One a block, on the chain: two of the seller's, one of the buyer's.
    let one = for_delegate(1);
    let two = for_delegate(2).by(buyer, 2);
    let three = for_delegate(3);
    let mut blocks = Vec::new();
    for said in [&one, &two, &three] {
        said.set().await;
        blocks.push(chain.head().await);
    }
    settle(&chain, &session).await;
    // And one that its member told the market alone, with words to find it by.
    let mut four = Said::now(&chain, true)
        .await
        .but(|message| message.delegate = Address([4; 20]));
    four.attributes = Dict::from([
        ("title".to_owned(), Value::from("Weather")),
        ("description".to_owned(), Value::from("What the sky does")),
        (
            "tags".to_owned(),
            Value::List(vec![Value::from("rain"), Value::from("sun")]),
        ),
    ]);
    four.say(&session).await.unwrap();
    let ids = |of: &[&Said]| of.iter().map(|said| Value::Bytes(said.oid())).collect::<Vec<_>>();
    let all = [&one, &two, &three, &four];
    assert_eq!(found(&session, &[]).await, ids(&all));
    let from = |block: u64| ("created_from", Value::Int(block.into()));
    let limit = |blocks: u64| ("limit", Value::Int(blocks.into()));
    let texts = |of: &[&str]| Value::List(of.iter().map(|text| Value::from(*text)).collect());
    type Filters = Vec<(&'static str, Value)>;
    let cases: Vec<(Filters, Vec<&Said>)> = vec![
        (vec![from(blocks[1])], vec![&two, &three, &four]),
        (vec![from(blocks[1]), limit(1)], vec![&two]),
        (vec![from(blocks[0]), limit(3)], vec![&one, &two, &three]),
        (vec![from(blocks[2] + 1)], vec![&four]),
        (vec![limit(1)], vec![]),
        (
            vec![("include_owners", list(&[seller.address().0]))],
            vec![&one, &three, &four],
        ),
        (
            vec![
                ("include_owners", list(&[seller.address().0, buyer.address().0])),
                limit(blocks[2]),
            ],
            vec![&one, &two, &three],
        ),
        (
            vec![("include_delegates", list(&[[1; 20], [2; 20]]))],
            vec![&one, &two],
        ),
        (
            vec![
                ("include_delegates", list(&[[1; 20], [2; 20]])),
                ("include_owners", list(&[buyer.address().0])),
            ],
            vec![&two],
        ),
        (vec![("include_markets", list(&[Chain::MARKET.0]))], all.to_vec()),
        (vec![("include_markets", list(&[[9; 16]]))], vec![]),
        (vec![("include_apis", list(&[CATALOG.0, [9; 16]]))], all.to_vec()),
        (vec![("include_titles", texts(&["Weather", "Sea"]))], vec![&four]),
        (
            vec![("include_descriptions", texts(&["What the sky does"]))],
            vec![&four],
        ),
        (vec![("include_tags", texts(&["sun", "snow"]))], vec![&four]),
        (vec![("include_tags", texts(&["snow"]))], vec![]),
    ];
    for (filters, expected) in cases {
        assert_eq!(found(&session, &filters).await, ids(&expected), "{filters:?}");
    }
    let details = found(&session, &[("include_details", Value::Bool(true))]).await;
    let told: Vec<_> = details
        .iter()
        .map(|told| {
            (
                bytes_of(told, "consent_oid").to_vec(),
                map_of(told).get("synced").cloned().unwrap(),
            )
        })
        .collect();
    let expected: Vec<_> = [(&one, true), (&two, true), (&three, true), (&four, false)]
        .iter()
        .map(|(said, synced)| (said.oid(), Value::Bool(*synced)))
        .collect();
    assert_eq!(told, expected);

    // The chain drops one that is given and a withdrawal, and has another in the place of both.
    let snapshot = chain.snapshot().await;
    let five = for_delegate(5);
    five.set().await;
    one.but(|message| message.consent = false).set().await;
    settle(&chain, &session).await;
    assert_eq!(one.stands(&session).await, Some((false, true)));
    assert_eq!(
        found(&session, &[]).await,
        ids(&[&two, &three, &four, &five, &one])
    );
    chain.revert(snapshot).await;
    chain.mine(1).await;
    let six = for_delegate(6);
    six.set().await;
    chain.mine(DEPTH + 2).await;
    settle(&chain, &session).await;
    assert_eq!(
        found(&session, &[]).await,
        ids(&[&one, &two, &three, &four, &six])
    );
    assert_eq!(one.stands(&session).await, Some((true, true)));
    assert_eq!(five.get(&session).await, None);
    let first = found(
        &session,
        &[from(blocks[0]), limit(1), ("include_details", Value::Bool(true))],
    )
    .await;
    assert_eq!(bytes_of(&first[0], "consent_oid"), one.oid());
    let updated = Amount::from_units(blocks[0].into()).to_be_bytes();
    assert_eq!(bytes_of(&first[0], "updated"), updated);
    world.assert_sound();
}
