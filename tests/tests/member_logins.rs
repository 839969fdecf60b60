//! Members and delegates log in by their signature on the market's own router, and log out again (W-11, W-53).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::config::Access;
use bourse_app::uri;
use bourse_chain::{MarketLogin, Signer};
use bourse_market::{ChannelKind, ClientKey, Nanos};
use bourse_tests::{World, call, fund, map_of, now, open, refused, tokens};
use bourse_wamp::{
    Auth, CryptosignKey, Dict, JoinError, JoinOptions, Serializer, Session, Value, connect_ws,
};
use std::time::Duration;

const LOGOUT: &str = "xbr.marketmaker.authenticator.logout";
const DAY: u64 = 24 * 60 * 60 * 1_000_000_000;

/// A client's key, and what it says of itself.
struct Client {
    key: CryptosignKey,
    extra: Dict,
}

impl Client {
    fn new() -> Self {
        Self {
            key: CryptosignKey::from_seed(&rand::random()),
            extra: Dict::new(),
        }
    }

    /// Vouched for by `party`, for a day.
    fn vouched(mut self, world: &World, party: &Signer) -> Self {
        let login = MarketLogin {
            market: world.market(),
            member: party.address(),
            client_key: ClientKey(self.key.public_key()),
            issued: Nanos(now()),
            expires: Nanos(now() + DAY),
        };
        let signature = party.sign(&login.digest(&world.domain()));
        self.extra = Dict::from([
            ("wallet_address".to_owned(), Value::from(party.address().0)),
            ("signature".to_owned(), Value::from(signature.0)),
            ("issued".to_owned(), Value::from(login.issued.0)),
            ("expires".to_owned(), Value::from(login.expires.0)),
        ]);
        self
    }

    async fn join(&self, world: &World, extra: &Dict) -> Result<Session, JoinError> {
        let link = connect_ws(&world.url(), Serializer::Json).await.unwrap();
        let options = JoinOptions {
            realm: world.config().realm.name.clone(),
            auth: Auth::Cryptosign(self.key.clone()),
            authextra: extra.clone(),
            ..JoinOptions::default()
        };
        Session::join(link, options).await
    }
}

async fn world() -> World {
    World::with(|config| config.realm.access = Access::Members).await
}

#[tokio::test]
async fn w_53_a_member_logs_in_by_its_signature_and_logging_out_ends_that_session_alone() {
    let world = world().await;
    let (anybody, member) = (world.session().await, Signer::generate());
    fund(&anybody, member.address(), tokens(1)).await;
    let client = Client::new().vouched(&world, &member);
    let first = client.join(&world, &client.extra).await.unwrap();
    // Known by its key from then on.
    let second = client.join(&world, &Dict::new()).await.unwrap();
    let other = Client::new().vouched(&world, &member);
    let third = other.join(&world, &other.extra).await.unwrap();
    let authid = format!("member-{}", hex::encode(member.address().0));
    for session in [&first, &second, &third] {
        assert_eq!((session.authid(), session.authrole()), (authid.as_str(), "user"));
        let told = session.authextra().unwrap();
        assert_eq!(told["actor_type"], Value::from(3u64));
    }
    let told = call(&first, LOGOUT, vec![]).await.unwrap();
    assert_eq!(map_of(&told)["from_session"], Value::from(first.id()));
    tokio::time::timeout(Duration::from_secs(5), first.closed())
        .await
        .unwrap();
    // The others are still there, whatever key they came by.
    for session in [second, third] {
        call(&session, "xbr.marketmaker.get_channels_by_actor", {
            vec![Value::from(member.address().0), Value::from(1u64)]
        })
        .await
        .unwrap();
    }
    assert!(client.join(&world, &Dict::new()).await.is_err());
    assert!(
        client.join(&world, &client.extra).await.is_err(),
        "it was taken back"
    );
    let again = client.vouched(&world, &member);
    let session = again.join(&world, &again.extra).await.unwrap();
    assert_eq!(session.authrole(), "user");
}

#[tokio::test]
async fn w_11_whoever_does_not_hold_the_key_is_not_let_in_by_what_was_said_for_it() {
    let world = world().await;
    let (anybody, member) = (world.session().await, Signer::generate());
    fund(&anybody, member.address(), tokens(1)).await;
    let client = Client::new().vouched(&world, &member);
    let thief = Client::new();
    assert!(thief.join(&world, &client.extra).await.is_err());
    let mut extra = client.extra.clone();
    let key = hex::encode(client.key.public_key());
    extra.insert("pubkey".to_owned(), Value::from(key));
    assert!(thief.join(&world, &extra).await.is_err());
}

#[tokio::test]
async fn a_delegate_logs_in_by_its_own_signature_and_sees_its_channels() {
    let world = world().await;
    let anybody = world.session().await;
    let (actor, delegate) = (Signer::generate(), Signer::generate());
    let adr = delegate.address();
    let client = Client::new().vouched(&world, &delegate);
    assert!(
        client.join(&world, &client.extra).await.is_err(),
        "it has no channel yet"
    );
    let channel = open(&world, &anybody, ChannelKind::Payment, &actor, adr, tokens(3)).await;
    let session = client.join(&world, &client.extra).await.unwrap();
    assert_eq!(session.authrole(), "delegate");
    let args = vec![Value::from(channel.0)];
    for procedure in ["get_payment_channel", "get_payment_channel_balance"] {
        let procedure = format!("xbr.marketmaker.{procedure}");
        call(&session, &procedure, args.clone()).await.unwrap();
        refused(
            call(&anybody, &procedure, args.clone()).await,
            uri::NOT_AUTHORIZED,
        );
    }
}
