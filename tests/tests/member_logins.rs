//! Members and delegates log in by their signature on the market's own router, and log out again (W-11, W-53).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::config::{Access, Ticket};
use bourse_app::uri;
use bourse_chain::Signer;
use bourse_market::ChannelKind;
use bourse_tests::{Client, Ear, Plain, World, call, fund, map_of, open, refused, tokens};
use bourse_wamp::{CallResult, Dict, Session, Value};
use std::time::Duration;

const LOGOUT: &str = "xbr.marketmaker.authenticator.logout";

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
    // The others are still there, but what came by the same key is in by nothing any more.
    let own_call = async |session: &Session| {
        let args = vec![Value::from(member.address().0), Value::from(1u64)];
        call(session, "xbr.marketmaker.get_channels_by_actor", args).await
    };
    refused(own_call(&second).await, uri::NOT_AUTHORIZED);
    call(&second, "xbr.marketmaker.status", vec![]).await.unwrap();
    own_call(&third).await.unwrap();
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
    assert!(Plain::is_challenged_in_vain(&world, &client.key, &client.extra).await);
    assert!(
        client.join(&world, &Dict::new()).await.is_err(),
        "what nobody proved is not kept"
    );
}

#[tokio::test]
async fn a_members_word_for_a_key_that_it_does_not_hold_takes_nothing_from_whoever_does() {
    let world = world().await;
    let (anybody, owner, thief) = (world.session().await, Signer::generate(), Signer::generate());
    for member in [&owner, &thief] {
        fund(&anybody, member.address(), tokens(1)).await;
    }
    let client = Client::new();
    let (key, claim) = (client.key.clone(), client.vouched(&world, &thief).extra);
    assert!(Plain::is_challenged_in_vain(&world, &key, &claim).await);
    let client = Client {
        key,
        extra: Dict::new(),
    };
    assert!(
        client.join(&world, &Dict::new()).await.is_err(),
        "the claim leads its owner nowhere"
    );
    let client = client.vouched(&world, &owner);
    let authid = format!("member-{}", hex::encode(owner.address().0));
    for extra in [&client.extra, &Dict::new()] {
        let session = client.join(&world, extra).await.unwrap();
        assert_eq!(session.authid(), authid);
    }
    // Now that it is proven to be the owner's, a word of somebody else's is refused before any challenge.
    assert!(client.join(&world, &claim).await.is_err());
}

#[tokio::test]
async fn nobody_without_a_login_answers_under_the_provider_id_of_one_also_while_it_is_away() {
    let world = World::with(|config| {
        let file = config.store.path.join("ticket");
        std::fs::write(&file, "sesame").unwrap();
        config.wamp.ticket.push(Ticket {
            authid: "corner-shop".to_owned(),
            role: "delegate".to_owned(),
            file,
        });
    })
    .await;
    let anybody = world.session().await;
    let serve = async |session: &Session, id: &str| {
        let procedure = format!("xbr.provider.{id}.sell");
        session
            .register(&procedure, async |_| Ok(CallResult::default()))
            .await
    };
    let adr = hex::encode(Signer::generate().address().0);
    for id in [
        format!("delegate-{adr}"),
        format!("member-{adr}"),
        "corner-shop".to_owned(),
    ] {
        let refused = serve(&anybody, &id).await.unwrap_err().to_string();
        assert!(refused.contains(&format!("log in as {id}")), "{refused}");
    }
    // Programs of XBR name themselves by a key or an address, and need no login.
    for id in [format!("0x{adr}"), "delegate-of-nobody".to_owned()] {
        serve(&anybody, &id).await.unwrap();
    }
    let owner = world.session_as("corner-shop", "sesame").await.unwrap();
    serve(&owner, "corner-shop").await.unwrap();
}

#[tokio::test]
async fn w_12_a_session_hears_what_concerns_its_login_until_the_key_is_taken_back() {
    let world = world().await;
    let (anybody, member) = (world.session().await, Signer::generate());
    fund(&anybody, member.address(), tokens(1)).await;
    let [client, other] = [(); 2].map(|()| Client::new().vouched(&world, &member));
    let first = client.join(&world, &client.extra).await.unwrap();
    let second = client.join(&world, &Dict::new()).await.unwrap();
    let third = other.join(&world, &other.extra).await.unwrap();
    let delegate = Signer::generate().address();
    let own = format!("xbr.marketmaker.delegate.{delegate}.on_payment_channel_open");
    let offers = "xbr.marketmaker.on_offer_placed";
    let mut deaf = [Ear::at(&second, &own).await, Ear::at(&second, offers).await];
    let mut hears = [Ear::at(&third, &own).await, Ear::at(&third, offers).await];
    call(&first, LOGOUT, vec![]).await.unwrap();
    open(
        &world,
        &anybody,
        ChannelKind::Payment,
        &member,
        delegate,
        tokens(1),
    )
    .await;
    let args = vec![
        Value::from([5u8; 16]),
        Value::from([7u8; 16]),
        Value::from("com.example."),
        Value::from(0u64),
        Value::from(delegate.0),
        Value::Bytes(vec![1; 65]),
        Value::Null,
        Value::from(tokens(1).to_be_bytes()),
    ];
    call(&third, "xbr.marketmaker.place_offer", args).await.unwrap();
    for ear in &mut hears {
        ear.next().await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(deaf.iter_mut().all(Ear::is_quiet));
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
