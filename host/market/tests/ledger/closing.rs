//! Closing channels: only where the ledger stands, once, and every unit back in an account.

use crate::world::*;
use bourse_market::*;

fn close(request: CloseRequest) -> Command {
    Command::Close(Box::new(request))
}

/// The refusal of a state that is not the posted one, where KEY was bought once at 10.
fn not_posted(channel: ChannelId, remaining: u64, got_seq: Seq, got_balance: Amount) -> Refusal {
    Refusal::NotPosted {
        channel,
        seq: Seq(2),
        remaining: tokens(remaining),
        due: None,
        got_seq,
        got_balance,
    }
}

#[test]
fn a_closed_channel_keeps_its_final_state_with_both_signatures() {
    let mut world = World::proven();
    for (id, left) in [(PAYMENT, 90), (PAYING, 40)] {
        let before = world.channel(id);
        let channel = world.close(id);
        let closing = Closing {
            at: world.now,
            close_at: Amount::from_units(1),
            seq: Seq(2),
            balance: tokens(left),
            returned: Amount::ZERO,
            is_final: true,
            delegate_signature: signature(0xd),
            marketmaker_signature: signature(0xf),
        };
        let expected = Channel {
            state: ChannelState::Closed,
            closing: Some(Box::new(closing)),
            ..before
        };
        assert_eq!(channel, expected);
        assert_eq!(world.channel(id), expected);
        assert!(!channel.is_live());
    }
}

#[test]
fn what_was_spent_goes_to_the_recipient_and_the_rest_to_whoever_deposited_it() {
    let mut world = World::proven();
    // The buyer holds 50 outside its channel; the market maker began with 1000 and locked 50.
    world.close(PAYMENT);
    assert_eq!(world.account(BUYER_ACTOR).balance, tokens(50 + 90));
    assert_eq!(world.account(MM).balance, tokens(950 + 10));
    world.close(PAYING);
    assert_eq!(world.account(SELLER_ACTOR).balance, tokens(10));
    assert_eq!(world.account(MM).balance, tokens(960 + 40));
    assert_eq!(world.account(BUYER).balance, Amount::ZERO);
    assert_eq!(world.account(SELLER).balance, Amount::ZERO);
}

#[test]
fn one_account_may_get_both_parts() {
    let mut world = World::endowed();
    let open = OpenRequest {
        actor: MM,
        signer: MM,
        ..world.open_payment()
    };
    world.accept(Command::Open(Box::new(open)));
    world.close(PAYMENT);
    assert_eq!(world.account(MM).balance, tokens(1000));
}

#[test]
fn w_03_a_state_that_is_not_the_posted_one_is_refused_with_the_posted_pair_and_the_channel_stays_open() {
    let mut world = World::proven();
    let more = tokens(100);
    let unit = Amount::from_units(1);
    for (id, left) in [(PAYMENT, 90), (PAYING, 40)] {
        let remaining = tokens(left);
        let states = [
            // The whole deposit back; nothing left; the seller gets it all; one unit to either side; an old seq.
            (Seq(1), more),
            (Seq(2), more),
            (Seq(2), Amount::ZERO),
            (Seq(2), Amount::MAX),
            (Seq(2), remaining.checked_add(unit).unwrap()),
            (Seq(2), remaining.checked_sub(unit).unwrap()),
            (Seq(1), remaining),
            (Seq(3), remaining),
        ];
        for (seq, balance) in states {
            let request = CloseRequest {
                seq,
                balance,
                ..world.close_request(id)
            };
            world.refuse(close(request), not_posted(id, left, seq, balance));
        }
        assert_eq!(world.channel(id).state, ChannelState::Open);
    }
    world.buy();
}

#[test]
fn only_the_delegate_closes_its_channel() {
    let mut world = World::proven();
    for id in [PAYMENT, PAYING] {
        let delegate = world.channel(id).delegate;
        for signer in [STRANGER, BUYER_ACTOR, SELLER_ACTOR, MM, BUYER, SELLER] {
            if signer == delegate {
                continue;
            }
            let request = CloseRequest {
                signer,
                ..world.close_request(id)
            };
            let expected = delegate;
            world.refuse(close(request), Refusal::WrongSigner { signer, expected });
        }
    }
    let unknown = ChannelId([9; 16]);
    let request = CloseRequest {
        id: unknown,
        ..world.close_request(PAYING)
    };
    world.refuse(close(request), Refusal::ChannelUnknown { channel: unknown });
}

#[test]
fn a_state_that_is_not_final_or_names_no_block_closes_nothing() {
    let mut world = World::proven();
    let request = CloseRequest {
        is_final: false,
        ..world.close_request(PAYMENT)
    };
    let refusal = Refusal::NotFinal {
        channel: PAYMENT,
        seq: Seq(2),
        remaining: tokens(90),
    };
    world.refuse(close(request), refusal);
    let request = CloseRequest {
        close_at: Amount::ZERO,
        ..world.close_request(PAYMENT)
    };
    world.refuse(close(request), Refusal::ZeroBlock);
}

#[test]
fn a_purchase_under_way_keeps_both_its_channels_open_until_it_has_ended() {
    for posted in [true, false] {
        let mut world = World::proven();
        let request = world.request();
        let purchase = world.reserve(request).id;
        for id in [PAYMENT, PAYING] {
            let request = world.close_request(id);
            world.refuse(
                close(request),
                Refusal::PurchasePending {
                    purchase,
                    same: false,
                },
            );
        }
        if posted {
            world.post(purchase);
        } else {
            world.void(purchase, false);
        }
        let seq = Seq(if posted { 3 } else { 2 });
        assert_eq!(world.close(PAYMENT).closing.unwrap().seq, seq);
        assert_eq!(world.close(PAYING).closing.unwrap().seq, seq);
    }
}

#[test]
fn a_closed_channel_accepts_nothing_ever_again() {
    let mut world = World::proven();
    let (next, paid) = (world.request(), world.close_request(PAYMENT));
    world.close(PAYMENT);
    let channel = PAYMENT;
    world.refuse(
        Command::Reserve(Box::new(next)),
        Refusal::ChannelNotOpen { channel },
    );
    for (seq, balance) in [(Seq(2), tokens(89)), (Seq(3), tokens(80)), (Seq(1), tokens(100))] {
        let other = CloseRequest {
            seq,
            balance,
            ..paid.clone()
        };
        world.refuse(close(other), Refusal::ChannelNotOpen { channel });
    }
    let newer = CloseRequest {
        close_at: Amount::from_units(2),
        ..paid
    };
    world.refuse(close(newer), Refusal::ChannelNotOpen { channel });

    world.close(PAYING);
    let channel = PAYING;
    for by_operator in [false, true] {
        let release = Command::ReleaseChannel { channel, by_operator };
        world.refuse(release, Refusal::ChannelNotOpen { channel });
    }
    let again = OpenRequest {
        amount: tokens(1),
        ..world.open_paying()
    };
    world.refuse(Command::Open(Box::new(again)), Refusal::ChannelExists { channel });
}

#[test]
fn the_same_close_again_is_answered_again_and_moves_nothing() {
    let mut world = World::proven();
    let request = world.close_request(PAYING);
    let closed = world.close(PAYING);
    let before = world.ledger.clone();
    // Another moment and another signature of ours, as a second attempt has; the first ones stay.
    let again = CloseRequest {
        at: Nanos(9_000_000),
        marketmaker_signature: signature(0x77),
        ..request.clone()
    };
    let outcome = Outcome::Closed {
        channel: Box::new(closed),
        again: true,
    };
    assert_eq!(world.accept(close(again)), outcome);
    assert_eq!(before, world.ledger);
    let stranger = CloseRequest {
        signer: STRANGER,
        ..request
    };
    let refusal = Refusal::WrongSigner {
        signer: STRANGER,
        expected: SELLER,
    };
    world.refuse(close(stranger), refusal);
}

#[test]
fn a_receipt_is_replayed_when_both_its_channels_are_closed() {
    let mut world = World::trading();
    let request = world.request();
    let id = world.reserve(request.clone()).id;
    let receipt = world.post(id);
    world.close(PAYMENT);
    world.close(PAYING);
    let again = ReserveRequest {
        order: Order {
            id: world.fresh_id(),
            ..request.order
        },
        ..request
    };
    let outcome = world.accept(Command::Reserve(Box::new(again)));
    assert_eq!(outcome, Outcome::Replayed(Box::new(receipt)));
}

#[test]
fn a_suspended_channel_closes_at_the_posted_pair_alone_and_its_seller_bears_what_it_adopted() {
    let mut world = World::proven();
    world.buy_unclear();
    // The seller holds our signature over the state it was asked for, and may count it as its own.
    let adopted = CloseRequest {
        seq: Seq(3),
        balance: tokens(30),
        ..world.close_request(PAYING)
    };
    world.refuse(close(adopted), not_posted(PAYING, 40, Seq(3), tokens(30)));
    assert!(world.channel(PAYING).suspended.is_some());
    let closed = world.close(PAYING);
    assert_eq!((closed.suspended, closed.unresolved), (None, 1));
    assert_eq!(world.account(SELLER_ACTOR).balance, tokens(10));
    assert_eq!(world.account(MM).balance, tokens(950 + 40));
}

#[test]
fn a_channel_of_somebody_elses_delegate_gives_its_whole_deposit_back() {
    let mut world = World::trading();
    let id = ChannelId([0xe2; 16]);
    let rogue = OpenRequest {
        id,
        actor: STRANGER,
        signer: STRANGER,
        recipient: STRANGER,
        ..world.open_paying()
    };
    world.accept(Command::Open(Box::new(rogue)));
    assert_eq!(world.account(MM).balance, tokens(900));
    world.close(id);
    assert_eq!(world.account(MM).balance, tokens(950));
    assert_eq!(world.account(STRANGER).balance, Amount::ZERO);
}

#[test]
fn with_a_chain_the_money_is_the_contracts_and_the_channel_is_closing() {
    let mut world = World::empty();
    world.accept(Command::Genesis(Genesis {
        local: false,
        ..genesis()
    }));
    world.accept(Command::Open(Box::new(world.open_payment())));
    let channel = world.close(PAYMENT);
    assert_eq!(channel.state, ChannelState::Closing);
    assert_eq!(world.account(BUYER_ACTOR), Account::default());
    let channel = PAYMENT;
    let other = CloseRequest {
        balance: tokens(1),
        ..world.close_request(PAYMENT)
    };
    world.refuse(close(other), Refusal::ChannelNotOpen { channel });
}
