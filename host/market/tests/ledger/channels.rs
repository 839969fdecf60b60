//! Opening channels, and whose a delegate is.

use crate::world::*;
use bourse_market::*;

fn open(request: OpenRequest) -> Command {
    Command::Open(Box::new(request))
}

#[test]
fn a_channel_opens_at_seq_1_with_its_whole_deposit() {
    let mut world = World::endowed();
    world.fund(BUYER_ACTOR, tokens(150));
    let outcome = world.accept(open(world.open_payment()));
    let channel = world.channel(PAYMENT);
    assert_eq!(outcome, Outcome::Opened(Box::new(channel.clone())));
    assert_eq!(
        (channel.seq, channel.state, channel.bound),
        (Seq(1), ChannelState::Open, true)
    );
    assert_eq!(
        (channel.remaining, channel.inflight, channel.spent),
        (tokens(100), Amount::ZERO, Amount::ZERO)
    );
    assert!(channel.is_live());
}

#[test]
fn a_payment_channel_debits_the_member_and_a_paying_channel_the_market_maker() {
    let world = World::trading();
    assert_eq!(world.account(BUYER_ACTOR).balance, tokens(50));
    assert_eq!(world.account(MM).balance, tokens(950));
    assert_eq!(world.account(SELLER_ACTOR).balance, Amount::ZERO);
}

#[test]
fn each_fault_of_a_request_to_open_has_its_refusal() {
    type Case = (fn(&mut OpenRequest), Refusal);
    let other = MarketId([9; 16]);
    let payment: [Case; 9] = [
        (
            |open| open.market = MarketId([9; 16]),
            Refusal::WrongMarket {
                named: other,
                ours: MARKET,
            },
        ),
        (
            |open| open.marketmaker = STRANGER,
            Refusal::WrongMarketMaker {
                named: STRANGER,
                ours: MM,
            },
        ),
        (
            |open| open.recipient = STRANGER,
            Refusal::WrongRecipient {
                named: STRANGER,
                expected: MM,
            },
        ),
        (|open| open.delegate = Address([0; 20]), Refusal::ZeroDelegate),
        (|open| open.amount = Amount::ZERO, Refusal::ZeroDeposit),
        (|open| open.open_at = Amount::ZERO, Refusal::ZeroBlock),
        (
            |open| open.signer = STRANGER,
            Refusal::WrongSigner {
                signer: STRANGER,
                expected: BUYER_ACTOR,
            },
        ),
        (
            |open| open.amount = tokens(151),
            Refusal::InsufficientAccount {
                account: BUYER_ACTOR,
                holds: tokens(150),
                needs: tokens(151),
            },
        ),
        (
            |open| open.amount = Amount::MAX,
            Refusal::InsufficientAccount {
                account: BUYER_ACTOR,
                holds: tokens(150),
                needs: Amount::MAX,
            },
        ),
    ];
    let mut world = World::endowed();
    world.fund(BUYER_ACTOR, tokens(150));
    for (change, expected) in payment {
        let mut request = world.open_payment();
        change(&mut request);
        world.refuse(open(request), expected);
    }
    let paying: [Case; 2] = [
        (
            |open| open.recipient = MM,
            Refusal::WrongRecipient {
                named: MM,
                expected: SELLER_ACTOR,
            },
        ),
        (
            |open| open.amount = tokens(1001),
            Refusal::InsufficientAccount {
                account: MM,
                holds: tokens(1000),
                needs: tokens(1001),
            },
        ),
    ];
    for (change, expected) in paying {
        let mut request = world.open_paying();
        change(&mut request);
        world.refuse(open(request), expected);
    }
}

#[test]
fn an_id_in_use_is_refused_for_either_kind() {
    let mut world = World::trading();
    world.refuse(
        open(world.open_payment()),
        Refusal::ChannelExists { channel: PAYMENT },
    );
    let paying = OpenRequest {
        id: PAYMENT,
        ..world.open_paying()
    };
    world.refuse(open(paying), Refusal::ChannelExists { channel: PAYMENT });
}

#[test]
fn a_delegate_belongs_to_the_first_actor_that_named_it() {
    let mut world = World::trading();
    let id = ChannelId([0xe2; 16]);
    let rogue = OpenRequest {
        id,
        actor: STRANGER,
        signer: STRANGER,
        recipient: STRANGER,
        amount: tokens(5),
        ..world.open_paying()
    };
    world.accept(open(rogue));
    assert!(!world.channel(id).bound);
    assert!(!world.channel(id).is_live());

    let mut request = world.request_at(tokens(1));
    request.paying_channel = id;
    request.order.price = tokens(10);
    request.order.identity.amount = tokens(10);
    request.order.identity.balance = tokens(90);
    world.refuse(
        Command::Reserve(Box::new(request)),
        Refusal::ChannelUnbound { channel: id },
    );

    let binding = world.ledger.binding(&SELLER).unwrap().unwrap();
    assert_eq!((binding.actor, binding.channel), (SELLER_ACTOR, PAYING));
}

#[test]
fn an_actor_may_open_more_channels_for_its_delegate() {
    let mut world = World::trading();
    let id = ChannelId([0xe3; 16]);
    world.accept(open(OpenRequest {
        id,
        amount: tokens(5),
        ..world.open_payment()
    }));
    assert!(world.channel(id).bound);
}
