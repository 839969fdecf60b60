//! The market's authenticator, by its two procedures: who a client is whose key somebody vouches for (W-11, W-13, W-53).
//!
//! Without a router; what the one in this process makes of it is in `logins.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::config::{Access, Config};
use bourse_app::simulation::{Outside, Sellers, Stage, library};
use bourse_app::{Environment, System, uri};
use bourse_chain::{ChannelOpen, MarketLogin, MarketMemberLogin, Signer};
use bourse_market::{
    Address, Amount, ChannelId, ChannelKind, ClientKey, MarketId, Nanos, SessionId, Signature,
};
use bourse_store::SystemDisk;
use bourse_tests::{error_text, map_of, now, refused, tokens};
use bourse_wamp::{CallError, CallResult, Dict, Invocation, Value, WampError};
use parking_lot::Mutex;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

const AUTHENTICATE: &str = "xbr.marketmaker.authenticator.authenticate";
const LOGOUT: &str = "xbr.marketmaker.authenticator.logout";
const DAY: u64 = 24 * 60 * 60 * 1_000_000_000;
const KEY: ClientKey = ClientKey([0xab; 32]);
/// The id of the session that is to be.
const SESSION: u64 = 77;

struct NoSellers;

impl Sellers for NoSellers {
    fn call(
        &self,
        _: SessionId,
        _: String,
        _: Vec<Value>,
        _: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<CallResult, CallError>> + Send + '_>> {
        Box::pin(pending())
    }

    fn drop_registration(&self, _: &str, _: SessionId) {}
}

/// The system's, but for the time.
struct Clock(Mutex<Nanos>);

impl Environment for Clock {
    fn now(&self) -> Nanos {
        *self.0.lock()
    }

    fn fresh_id(&self) -> [u8; 16] {
        System.fresh_id()
    }

    fn random(&self, bytes: &mut [u8]) {
        System.random(bytes);
    }
}

struct Desk {
    stage: Stage,
    clock: Arc<Clock>,
    member: Signer,
    _folder: tempfile::TempDir,
}

/// A word for a key.
#[derive(Clone)]
struct Word {
    extra: Dict,
}

impl Word {
    fn with(mut self, name: &str, value: Value) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }
}

/// The key alone.
fn bare() -> Word {
    Word {
        extra: Dict::from([("pubkey".to_owned(), Value::from(hex::encode(KEY.0)))]),
    }
}

impl Desk {
    /// A market, and a member of it.
    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.realm.access = Access::Members;
        config.store.path = folder.path().join("data");
        config.store.map_size = 64 << 20;
        std::fs::create_dir(&config.store.path).unwrap();
        change(&mut config);
        let clock = Arc::new(Clock(Mutex::new(Nanos(now()))));
        let outside = Outside {
            environment: Arc::clone(&clock) as _,
            disk: Arc::new(SystemDisk),
            sellers: Arc::new(NoSellers),
            library: library(&config).unwrap(),
            events: Box::new(|_, _| {}),
        };
        let desk = Self {
            stage: Stage::open(&config, outside).await.unwrap(),
            clock,
            member: Signer::generate(),
            _folder: folder,
        };
        desk.fund(desk.member.address()).await;
        desk
    }

    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn fund(&self, address: Address) {
        let args = vec![Value::from(address.0), Value::from(tokens(10).to_be_bytes())];
        self.call(("~x", "anonymous"), 1, "bourse.dev.fund", args, Dict::new())
            .await
            .unwrap();
    }

    async fn call(
        &self,
        (authid, role): (&str, &str),
        session: u64,
        procedure: &str,
        args: Vec<Value>,
        kwargs: Dict,
    ) -> Result<Value, WampError> {
        let invocation = Invocation {
            procedure: procedure.to_owned(),
            args,
            kwargs,
            caller: Some(session),
            caller_authid: Some(authid.to_owned()),
            caller_authrole: Some(role.to_owned()),
            ..Invocation::default()
        };
        let answer = self.stage.call(invocation).await?;
        Ok(answer.args.into_iter().next().unwrap_or_default())
    }

    /// Asks as a router does.
    async fn ask(&self, details: Dict) -> Result<Value, WampError> {
        let args = vec![Value::from("realm1"), Value::Null, Value::Map(details)];
        self.call(("router", "trusted"), 1, AUTHENTICATE, args, Dict::new())
            .await
    }

    async fn log_in(&self, word: &Word) -> Result<Value, WampError> {
        self.log_in_as(SESSION, word).await
    }

    /// What a router asks of the session that is to be, which has proven nothing yet.
    async fn log_in_as(&self, session: u64, word: &Word) -> Result<Value, WampError> {
        self.ask(Dict::from([
            ("authmethod".to_owned(), Value::from("cryptosign")),
            ("authextra".to_owned(), Value::Map(word.extra.clone())),
            ("session".to_owned(), Value::from(session)),
        ]))
        .await
    }

    fn authid(&self) -> String {
        authid_of(&self.member)
    }

    async fn log_out(&self) -> Result<Value, WampError> {
        self.call((&self.authid(), "user"), SESSION, LOGOUT, vec![], Dict::new())
            .await
    }

    /// A call of a session that the router let in as this member, who alone may make it. The first of a session tells that it
    /// proved to hold its key.
    async fn own_call(&self, member: &Signer, session: u64) -> Result<Value, WampError> {
        let args = vec![Value::from(member.address().0), Value::from(1u64)];
        let procedure = "xbr.marketmaker.get_channels_by_actor";
        self.call(
            (&authid_of(member), "user"),
            session,
            procedure,
            args,
            Dict::new(),
        )
        .await
    }

    fn now(&self) -> u64 {
        self.clock.now().0
    }

    fn wait(&self, nanos: u64) {
        self.clock.0.lock().0 += nanos;
    }

    /// Our own form, signed by `signer` for this market.
    fn dated(&self, signer: &Signer, issued: u64, expires: u64) -> Word {
        self.dated_for(signer, self.stage.network().market, issued, expires)
    }

    fn dated_for(&self, signer: &Signer, market: MarketId, issued: u64, expires: u64) -> Word {
        let login = MarketLogin {
            market,
            member: signer.address(),
            client_key: KEY,
            issued: Nanos(issued),
            expires: Nanos(expires),
        };
        let signature = signer.sign(&login.digest(&self.stage.network().domain));
        word(signer.address(), signature)
            .with("issued", Value::from(issued))
            .with("expires", Value::from(expires))
    }

    /// The member's, for a day from now.
    fn good(&self) -> Word {
        self.dated(&self.member, self.now(), self.now() + DAY)
    }
}

fn word(party: Address, signature: Signature) -> Word {
    bare()
        .with("wallet_address", Value::from(party.0))
        .with("signature", Value::from(signature.0))
}

/// The form of the old market maker.
fn plain(signer: &Signer) -> Word {
    let login = MarketMemberLogin {
        member: signer.address(),
        client_pubkey: KEY.0,
    };
    word(signer.address(), signer.sign(&login.digest()))
}

fn authid_of(member: &Signer) -> String {
    format!("member-{}", hex::encode(member.address().0))
}

fn role_of(answer: &Value) -> &Value {
    &map_of(answer)["role"]
}

/// The same signature with the other s: as valid to the curve, and refused.
fn high_s(signature: Signature) -> Signature {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba,
        0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
    ];
    let mut high = signature.0;
    let s: [u8; 32] = signature.0[32..64].try_into().unwrap();
    let other = Amount::from_be_bytes(ORDER)
        .checked_sub(Amount::from_be_bytes(s))
        .unwrap();
    high[32..64].copy_from_slice(&other.to_be_bytes());
    high[64] = 55 - high[64];
    Signature(high)
}

#[tokio::test]
async fn a_member_is_told_as_documented_and_its_key_alone_is_enough_from_then_on() {
    let desk = Desk::new().await;
    let stranger = desk.log_in(&bare()).await.unwrap();
    assert_eq!(role_of(&stranger), &Value::from("anonymous"));
    let Value::Str(authid) = &map_of(&stranger)["authid"] else {
        panic!("{stranger:?}")
    };
    let groups: Vec<_> = authid.strip_prefix("anonymous-").unwrap().split('-').collect();
    assert!(
        groups.len() == 6 && groups.iter().all(|group| group.len() == 4),
        "{authid}"
    );

    let member = desk.authid();
    for word in [desk.good(), bare()] {
        let answer = desk.log_in(&word).await.unwrap();
        let expected = Dict::from([
            // W-53: a text, where the old one sent bytes.
            ("pubkey".to_owned(), Value::from(hex::encode(KEY.0))),
            ("realm".to_owned(), Value::from("realm1")),
            ("authid".to_owned(), Value::from(member.as_str())),
            ("role".to_owned(), Value::from("user")),
            ("cache".to_owned(), Value::from(false)),
            (
                "extra".to_owned(),
                Value::Map(Dict::from([
                    ("actor_type".to_owned(), Value::from(3u64)),
                    ("pubkey".to_owned(), Value::from(hex::encode(KEY.0))),
                ])),
            ),
        ]);
        assert_eq!(map_of(&answer), &expected);
        desk.own_call(&desk.member, SESSION).await.unwrap();
    }
    desk.wait(DAY);
    let answer = desk.log_in(&bare()).await.unwrap();
    assert_eq!(role_of(&answer), &Value::from("anonymous"), "it has expired");
}

#[tokio::test]
async fn w_11_a_login_of_another_market_or_another_time_is_none() {
    let desk = Desk::new().await;
    let (now, member) = (desk.now(), &desk.member);
    let elsewhere = desk.dated_for(member, MarketId([9; 16]), now, now + DAY);
    refused(desk.log_in(&elsewhere).await, uri::INVALID_SIGNATURE);
    let moved = desk.good().with("expires", Value::from(now + 2 * DAY));
    refused(desk.log_in(&moved).await, uri::INVALID_SIGNATURE);
    for (issued, expires) in [
        (now - 2 * DAY, now - DAY),
        (now, now + 31 * DAY),
        (now + DAY, now + 2 * DAY),
    ] {
        let word = desk.dated(member, issued, expires);
        refused(desk.log_in(&word).await, uri::INVALID_AUTH_REQUEST);
    }
    let another = desk
        .good()
        .with("wallet_address", Value::from(Signer::generate().address().0));
    refused(desk.log_in(&another).await, uri::INVALID_SIGNATURE);
    let answer = desk.log_in(&bare()).await.unwrap();
    assert_eq!(
        role_of(&answer),
        &Value::from("anonymous"),
        "nothing of that stayed"
    );
}

#[tokio::test]
async fn w_11_the_old_form_is_refused_unless_the_operator_wants_it() {
    let desk = Desk::new().await;
    let error = refused(desk.log_in(&plain(&desk.member)).await, uri::INVALID_AUTH_REQUEST);
    assert!(error_text(&error).contains("compat.plain_login"), "{error:?}");
    let desk = Desk::with(|config| config.compat.plain_login = true).await;
    let answer = desk.log_in(&plain(&desk.member)).await.unwrap();
    assert_eq!(role_of(&answer), &Value::from("user"));
    // That, too, is a call of the session's.
    desk.log_out().await.unwrap();
    refused(desk.log_in(&plain(&desk.member)).await, uri::NOT_AUTHORIZED);
    desk.wait(1);
    desk.log_in(&desk.good()).await.unwrap();
}

#[tokio::test]
async fn w_13_the_other_form_of_a_logins_signature_is_refused() {
    let desk = Desk::with(|config| config.compat.plain_login = true).await;
    for word in [desk.good(), plain(&desk.member)] {
        let Value::Bytes(signature) = &word.extra["signature"] else {
            panic!()
        };
        let high = high_s(Signature::try_from(signature.as_slice()).unwrap());
        refused(
            desk.log_in(&word.with("signature", Value::from(high.0))).await,
            uri::INVALID_SIGNATURE,
        );
    }
}

#[tokio::test]
async fn somebody_who_is_nobody_here_is_let_in_as_a_stranger_and_nothing_is_kept() {
    let desk = Desk::new().await;
    let nobody = Signer::generate();
    let word = desk.dated(&nobody, desk.now(), desk.now() + DAY);
    assert_eq!(
        role_of(&desk.log_in(&word).await.unwrap()),
        &Value::from("anonymous")
    );
    // Were it kept, the key would be taken.
    let answer = desk.log_in(&desk.good()).await.unwrap();
    assert_eq!(role_of(&answer), &Value::from("user"));
    desk.own_call(&desk.member, SESSION).await.unwrap();
    let other = Signer::generate();
    desk.fund(other.address()).await;
    let word = desk.dated(&other, desk.now(), desk.now() + DAY);
    refused(desk.log_in(&word).await, uri::NOT_AUTHORIZED);
}

#[tokio::test]
async fn a_key_that_somebody_else_claims_without_holding_it_is_its_owners_still() {
    let desk = Desk::new().await;
    let thief = Signer::generate();
    desk.fund(thief.address()).await;
    let claim = desk.dated(&thief, desk.now(), desk.now() + DAY);
    // The router asks before it has a proof, which a thief cannot give: no session 78 ever calls.
    let answer = desk.log_in_as(SESSION + 1, &claim).await.unwrap();
    assert_eq!(map_of(&answer)["pubkey"], Value::from(hex::encode(KEY.0)));
    let answer = desk.log_in(&bare()).await.unwrap();
    assert_eq!(
        role_of(&answer),
        &Value::from("anonymous"),
        "the claim leads to nobody"
    );

    let answer = desk.log_in(&desk.good()).await.unwrap();
    assert_eq!(map_of(&answer)["authid"], Value::from(desk.authid()));
    desk.own_call(&desk.member, SESSION).await.unwrap();
    let answer = desk.log_in_as(SESSION + 2, &bare()).await.unwrap();
    assert_eq!(map_of(&answer)["authid"], Value::from(desk.authid()));
    refused(desk.log_in_as(SESSION + 3, &claim).await, uri::NOT_AUTHORIZED);
    // Were a router to take the thief's proof now, the claim came too late.
    refused(desk.own_call(&thief, SESSION + 1).await, uri::NOT_AUTHORIZED);
}

#[tokio::test]
async fn a_session_that_the_router_lets_in_as_somebody_else_is_not_in_by_what_was_decided_for_it() {
    let desk = Desk::new().await;
    let other = Signer::generate();
    desk.fund(other.address()).await;
    desk.log_in(&desk.good()).await.unwrap();
    refused(desk.own_call(&other, SESSION).await, uri::NOT_AUTHORIZED);
}

#[tokio::test]
async fn w_53_a_key_that_is_taken_back_counts_for_no_session_that_came_by_it() {
    let desk = Desk::new().await;
    let good = desk.good();
    let (second, third) = (SESSION + 1, SESSION + 2);
    for session in [SESSION, second, third] {
        desk.log_in_as(session, &good).await.unwrap();
    }
    for session in [SESSION, second] {
        desk.own_call(&desk.member, session).await.unwrap();
    }
    desk.wait(5);
    desk.log_out().await.unwrap();
    // Whether it had called before, or was only about to.
    for session in [second, third] {
        refused(desk.own_call(&desk.member, session).await, uri::NOT_AUTHORIZED);
    }
    desk.wait(5);
    let again = desk.log_in_as(SESSION + 3, &desk.good()).await.unwrap();
    assert_eq!(role_of(&again), &Value::from("user"));
    desk.own_call(&desk.member, SESSION + 3).await.unwrap();
    refused(desk.own_call(&desk.member, second).await, uri::NOT_AUTHORIZED);
}

#[tokio::test]
async fn a_login_that_is_over_does_not_revoke_what_it_placed() {
    let desk = Desk::with(|config| config.realm.access = Access::Open).await;
    let authid = desk.authid();
    let member = || (authid.as_str(), "user");
    desk.log_in(&desk.good()).await.unwrap();
    let key = Value::from([5u8; 16]);
    let offer = vec![
        key.clone(),
        Value::from([7u8; 16]),
        Value::from("com.example."),
        Value::from(0u64),
        Value::from(Signer::generate().address().0),
        Value::Bytes(vec![1; 65]),
        Value::Null,
        Value::from(tokens(1).to_be_bytes()),
    ];
    let place = "xbr.marketmaker.place_offer";
    desk.call(member(), SESSION, place, offer, Dict::new())
        .await
        .unwrap();
    desk.log_in_as(SESSION + 1, &desk.good()).await.unwrap();
    let revoke = |session| {
        let procedure = "xbr.marketmaker.revoke_offer";
        desk.call(member(), session, procedure, vec![key.clone()], Dict::new())
    };
    desk.log_out().await.unwrap();
    refused(revoke(SESSION + 1).await, uri::NOT_AUTHORIZED);
    desk.wait(5);
    desk.log_in_as(SESSION + 2, &desk.good()).await.unwrap();
    revoke(SESSION + 2).await.unwrap();
}

#[tokio::test]
async fn a_delegate_vouches_for_a_key_of_its_own() {
    let desk = Desk::new().await;
    let (delegate, network) = (Signer::generate(), desk.stage.network().clone());
    let message = ChannelOpen {
        kind: ChannelKind::Payment,
        opened_at: Amount::from_units(1),
        market: network.market,
        channel: ChannelId([4; 16]),
        actor: desk.member.address(),
        delegate: delegate.address(),
        marketmaker: network.marketmaker,
        recipient: network.owner,
        amount: tokens(1),
    };
    let args = vec![
        Value::from(message.actor.0),
        Value::from(message.market.0),
        Value::from(message.channel.0),
        Value::from(network.domain.chain_id),
        Value::from(1u64),
        Value::from(network.domain.verifying_contract.0),
        Value::from(1u64),
        Value::from(message.delegate.0),
        Value::from(message.marketmaker.0),
        Value::from(message.recipient.0),
        Value::from(message.amount.to_be_bytes()),
        Value::from(desk.member.sign(&message.digest(&network.domain)).0),
    ];
    desk.call(
        ("~x", "anonymous"),
        1,
        "xbr.marketmaker.open_channel",
        args,
        Dict::new(),
    )
    .await
    .unwrap();
    let answer = desk
        .log_in(&desk.dated(&delegate, desk.now(), desk.now() + DAY))
        .await
        .unwrap();
    let authid = format!("delegate-{}", hex::encode(delegate.address().0));
    assert_eq!(role_of(&answer), &Value::from("delegate"));
    assert_eq!(map_of(&answer)["authid"], Value::from(authid.as_str()));
    let active = "xbr.marketmaker.get_active_payment_channel";
    let args = vec![Value::from(delegate.address().0)];
    desk.call((&authid, "delegate"), SESSION, active, args, Dict::new())
        .await
        .unwrap();
}

#[tokio::test]
async fn w_53_logging_out_takes_the_key_back_and_an_old_login_does_not_bring_it_back() {
    let desk = Desk::new().await;
    let good = desk.good();
    desk.log_in(&good).await.unwrap();
    desk.wait(5);
    let told = desk.log_out().await.unwrap();
    assert_eq!(
        map_of(&told),
        &Dict::from([
            ("logged_out".to_owned(), Value::from(desk.now())),
            ("from_session".to_owned(), Value::from(SESSION)),
            ("pubkey".to_owned(), Value::from(KEY.0)),
        ])
    );
    refused(desk.log_in(&good).await, uri::NOT_AUTHORIZED);
    let answer = desk.log_in(&bare()).await.unwrap();
    assert_eq!(role_of(&answer), &Value::from("anonymous"));
    // The session is as anybody's from then on.
    refused(desk.log_out().await, uri::NOT_AUTHORIZED);
    desk.wait(5);
    let again = desk.log_in(&desk.good()).await.unwrap();
    assert_eq!(role_of(&again), &Value::from("user"));
}

#[tokio::test]
async fn w_11_a_session_whose_login_has_expired_calls_as_anybody() {
    let desk = Desk::new().await;
    desk.log_in(&desk.good()).await.unwrap();
    desk.own_call(&desk.member, SESSION).await.unwrap();
    desk.wait(DAY);
    refused(desk.own_call(&desk.member, SESSION).await, uri::NOT_AUTHORIZED);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_and_arguments_come_by_position_and_by_keyword() {
    let desk = Desk::new().await;
    let good = desk.good();
    let details = |method: Value, extra: Value| {
        Dict::from([
            ("authmethod".to_owned(), method),
            ("authextra".to_owned(), extra),
            ("session".to_owned(), Value::from(SESSION)),
        ])
    };
    let without_session = |mut details: Dict| {
        details.remove("session");
        details
    };
    let extra = || Value::Map(good.extra.clone());
    let cryptosign = || Value::from("cryptosign");
    for (details, says) in [
        (Dict::from([("authextra".to_owned(), extra())]), "authmethod"),
        (details(Value::from("ticket"), extra()), "authmethod"),
        (details(Value::from(7u64), extra()), "authmethod"),
        (Dict::from([("authmethod".to_owned(), cryptosign())]), "authextra"),
        (details(cryptosign(), Value::from("x")), "authextra"),
        (details(cryptosign(), Value::Map(Dict::new())), "pubkey"),
        (without_session(details(cryptosign(), extra())), "session"),
    ] {
        let error = refused(desk.ask(details).await, uri::INVALID_AUTH_REQUEST);
        assert!(error_text(&error).contains(says), "{error:?}");
    }
    let router = ("router", "trusted");
    let named = Dict::from([
        ("realm".to_owned(), Value::from("realm1")),
        ("authid".to_owned(), Value::from("whoever")),
        ("details".to_owned(), Value::Map(details(cryptosign(), extra()))),
    ]);
    let by_name = desk
        .call(router, 1, AUTHENTICATE, vec![], named.clone())
        .await
        .unwrap();
    assert_eq!(by_name, desk.log_in(&good).await.unwrap());
    for (argument, wrong) in [
        ("realm", Value::from(7u64)),
        ("authid", Value::Bytes(vec![1])),
        ("details", Value::from("x")),
        ("details", Value::Null),
        ("more", Value::from(1u64)),
    ] {
        let mut args = named.clone();
        args.insert(argument.to_owned(), wrong);
        let error = refused(
            desk.call(router, 1, AUTHENTICATE, vec![], args).await,
            uri::INVALID_ARGUMENT,
        );
        assert!(error_text(&error).contains(argument), "{error:?}");
    }
    let mut elsewhere = named;
    elsewhere.insert("realm".to_owned(), Value::from("realm2"));
    refused(
        desk.call(router, 1, AUTHENTICATE, vec![], elsewhere).await,
        uri::INVALID_AUTH_REQUEST,
    );
    let args = vec![Value::from(1u64)];
    refused(
        desk.call((&desk.authid(), "user"), SESSION, LOGOUT, args, Dict::new())
            .await,
        uri::INVALID_ARGUMENT,
    );
}
