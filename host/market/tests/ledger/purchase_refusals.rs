//! Every refusal of a purchase, one line each: what is wrong, and what the ledger says.

use crate::world::*;
use bourse_market::*;

const NOTHING: fn(&mut World) = |_| ();

/// A proven market at payment seq 2 with 90 left and paying seq 2 with 40 left, changed by `given`; the buyer's next
/// correct request, changed by `wrong`.
#[track_caller]
fn refused(given: impl FnOnce(&mut World), wrong: impl FnOnce(&mut ReserveRequest), expected: Refusal) {
    let mut world = World::proven();
    given(&mut world);
    let mut request = world.request();
    wrong(&mut request);
    // Forced records need not be sound, so the ledger is asked without the audit.
    let before = world.ledger.clone();
    assert_eq!(
        world.ledger.submit(&Command::Reserve(Box::new(request))),
        Err(expected)
    );
    assert_eq!(before, world.ledger);
}

#[test]
fn the_request_these_tests_spoil_is_a_good_one() {
    let mut world = World::proven();
    let request = world.request();
    world.reserve(request);
}

#[test]
fn channels() {
    let unknown = ChannelId([9; 16]);
    refused(
        NOTHING,
        |r| r.order.identity.channel = unknown,
        Refusal::ChannelUnknown { channel: unknown },
    );
    refused(
        NOTHING,
        |r| r.order.identity.channel = PAYING,
        Refusal::ChannelUnknown { channel: PAYING },
    );
    refused(
        NOTHING,
        |r| r.paying_channel = unknown,
        Refusal::ChannelUnknown { channel: unknown },
    );
    refused(
        NOTHING,
        |r| r.paying_channel = PAYMENT,
        Refusal::ChannelUnknown { channel: PAYMENT },
    );
    for state in [ChannelState::Closing, ChannelState::Closed, ChannelState::Failed] {
        for channel in [PAYMENT, PAYING] {
            let close = |w: &mut World| w.force_channel(channel, |c| c.state = state);
            refused(close, |_| (), Refusal::ChannelNotOpen { channel });
        }
    }
    for channel in [PAYMENT, PAYING] {
        let unbind = |w: &mut World| w.force_channel(channel, |c| c.bound = false);
        refused(unbind, |_| (), Refusal::ChannelUnbound { channel });
        let exhaust = |w: &mut World| w.force_channel(channel, |c| c.seq = Seq(u32::MAX));
        refused(exhaust, |_| (), Refusal::SeqExhausted { channel });
    }
}

#[test]
fn another_sellers_channel_is_not_this_sellers() {
    let other = ChannelId([0xe2; 16]);
    let given = |world: &mut World| {
        let request = OpenRequest {
            id: other,
            delegate: STRANGER,
            amount: tokens(5),
            ..world.open_paying()
        };
        world.accept(Command::Open(Box::new(request)));
    };
    refused(
        given,
        |r| r.paying_channel = other,
        Refusal::ChannelUnknown { channel: other },
    );
}

#[test]
fn signers() {
    let wrong = |signer, expected| Refusal::WrongSigner { signer, expected };
    refused(NOTHING, |r| r.order.signer = STRANGER, wrong(STRANGER, BUYER));
    refused(NOTHING, |r| r.order.buyer = STRANGER, wrong(BUYER, STRANGER));
    let both = |r: &mut ReserveRequest| (r.order.buyer, r.order.signer) = (STRANGER, STRANGER);
    refused(NOTHING, both, wrong(STRANGER, BUYER));
    refused(
        NOTHING,
        |r| r.order.signer = BUYER_ACTOR,
        wrong(BUYER_ACTOR, BUYER),
    );
}

#[test]
fn seqs() {
    for got in [0, 1, 2, 4, u32::MAX] {
        let expected = Refusal::OutOfOrder {
            expected: Seq(3),
            got: Seq(got),
            remaining: tokens(90),
        };
        refused(NOTHING, |r| r.order.identity.seq = Seq(got), expected);
    }
}

#[test]
fn offers() {
    let now = Nanos(1_000_000);
    let later = Nanos(1_000_001);
    let unknown = KeyId([9; 16]);
    refused(
        NOTHING,
        |r| r.order.identity.key = unknown,
        Refusal::OfferUnknown { key: unknown },
    );
    let ended = |at| Refusal::OfferExpired { key: KEY, at };
    refused(
        |w| w.force_offer(|o| o.revoked = Some(Nanos(5))),
        |_| (),
        ended(Nanos(5)),
    );
    refused(|w| w.force_offer(|o| o.expires = Some(now)), |_| (), ended(now));
    refused(
        |w| w.force_offer(|o| o.expires = Some(later)),
        |r| r.order.at = later,
        ended(later),
    );
    let early = Refusal::OfferNotYetValid { key: KEY, at: later };
    refused(|w| w.force_offer(|o| o.valid_from = Some(later)), |_| (), early);
    refused(
        |w| w.force_offer(|o| o.remaining = Some(0)),
        |_| (),
        Refusal::SoldOut { key: KEY },
    );
}

#[test]
fn an_offer_is_on_sale_from_its_first_moment_to_before_its_last() {
    let mut world = World::trading();
    world.force_offer(|offer| (offer.valid_from, offer.expires) = (Some(Nanos(10)), Some(Nanos(20))));
    let offer = world.offer_of(KEY);
    let on_sale = |at| check_on_sale(&offer, Nanos(at)).is_ok();
    assert_eq!([9, 10, 19, 20].map(on_sale), [false, true, true, false]);
}

/// A policy's price, signed for exactly.
fn priced(request: &mut ReserveRequest, price: u64, fee: u64) {
    let credit = tokens(price - fee);
    request.order.source = PriceSource::Policy(DecisionId([1; 16]));
    (request.order.price, request.order.fee) = (tokens(price), tokens(fee));
    request.order.identity.amount = tokens(price);
    request.order.identity.balance = tokens(90).checked_sub(tokens(price)).unwrap_or_default();
    request.paying_balance = tokens(40).checked_sub(credit).unwrap_or_default();
}

#[test]
fn prices() {
    let policy = PriceSource::Policy(DecisionId([1; 16]));
    let signed_for_10 =
        |price: u64| move |r: &mut ReserveRequest| (r.order.price, r.order.source) = (tokens(price), policy);
    let (price, amount) = (tokens(11), tokens(10));
    refused(
        NOTHING,
        signed_for_10(11),
        Refusal::InsufficientAmount { price, amount },
    );
    let price = tokens(9);
    refused(NOTHING, signed_for_10(9), Refusal::PriceChanged { price, amount });
    let (price, remaining) = (tokens(91), tokens(90));
    refused(
        NOTHING,
        |r| priced(r, 91, 0),
        Refusal::InsufficientPaymentBalance { price, remaining },
    );
    let (fee, price) = (tokens(11), tokens(10));
    refused(
        NOTHING,
        |r| r.order.fee = fee,
        Refusal::FeeAbovePrice { fee, price },
    );
    let largest = |r: &mut ReserveRequest| {
        priced(r, 10, 0);
        (r.order.price, r.order.identity.amount) = (Amount::MAX, Amount::MAX);
    };
    let price = Amount::MAX;
    refused(
        NOTHING,
        largest,
        Refusal::InsufficientPaymentBalance { price, remaining },
    );
}

#[test]
fn a_fixed_price_is_the_offers_own() {
    for source in [PriceSource::Fixed, PriceSource::Seller] {
        let cheaper = |r: &mut ReserveRequest| {
            priced(r, 9, 0);
            r.order.source = source;
        };
        refused(
            NOTHING,
            cheaper,
            Refusal::PriceChanged {
                price: tokens(10),
                amount: tokens(9),
            },
        );
    }
}

#[test]
fn balances() {
    for got in [Amount::ZERO, tokens(79), tokens(81), tokens(90), Amount::MAX] {
        refused(
            NOTHING,
            |r| r.order.identity.balance = got,
            Refusal::WrongBalance {
                expected: tokens(80),
                got,
            },
        );
    }
    let just_below = tokens(80).checked_sub(Amount::from_units(1)).unwrap();
    let expected = Refusal::WrongBalance {
        expected: tokens(80),
        got: just_below,
    };
    refused(NOTHING, |r| r.order.identity.balance = just_below, expected);
}

#[test]
fn a_used_id_is_never_used_again() {
    let mut world = World::proven();
    let posted = world.ledger.purchases().next().unwrap().id;
    let request = ReserveRequest {
        order: Order {
            id: posted,
            ..world.request().order
        },
        ..world.request()
    };
    world.refuse(
        Command::Reserve(Box::new(request)),
        Refusal::NotPending { purchase: posted },
    );
}

#[test]
fn the_paying_channel() {
    let moved = Refusal::PayingMoved { channel: PAYING };
    refused(NOTHING, |r| r.paying_seq = Seq(2), moved.clone());
    refused(NOTHING, |r| r.paying_seq = Seq(4), moved.clone());
    refused(NOTHING, |r| r.paying_balance = tokens(31), moved.clone());
    refused(NOTHING, |r| r.paying_balance = tokens(29), moved.clone());
    refused(
        |w| w.force_channel(PAYING, |c| c.pending = Some(purchase_id(99))),
        |_| (),
        moved.clone(),
    );
    // The fee is not the seller's.
    refused(NOTHING, |r| r.order.fee = tokens(1), moved);
    let (credit, remaining) = (tokens(41), tokens(40));
    refused(
        NOTHING,
        |r| priced(r, 41, 0),
        Refusal::InsufficientPayingBalance { credit, remaining },
    );
    refused(
        NOTHING,
        |r| priced(r, 42, 1),
        Refusal::InsufficientPayingBalance { credit, remaining },
    );
}

#[test]
fn suspensions() {
    let suspension = Suspension {
        at: Nanos(1),
        purchase: purchase_id(1),
        why: "silent".to_owned(),
    };
    let (of_channel, of_pair, why) = (suspension.clone(), suspension.clone(), suspension.why);
    let suspend = |w: &mut World| w.force_channel(PAYING, |c| c.suspended = Some(of_channel));
    refused(
        suspend,
        |_| (),
        Refusal::ChannelSuspended {
            channel: PAYING,
            why: why.clone(),
        },
    );
    let record = Pair {
        sessions: Vec::new(),
        suspended: Some(of_pair),
    };
    let suspend = |w: &mut World| w.ledger.commit(vec![Change::Pair(pair(), record)]);
    refused(suspend, |_| (), Refusal::PairSuspended { why });
}

#[test]
fn of_several_faults_the_first_in_order_is_told() {
    // Each line adds a fault that is told before all those above it.
    let faults: [fn(&mut World, &mut ReserveRequest); 8] = [
        |_, r| r.paying_seq = Seq(9),
        |_, r| r.order.identity.balance = tokens(1),
        |_, r| (r.order.price, r.order.source) = (tokens(11), PriceSource::Policy(DecisionId([1; 16]))),
        |w, _| w.force_offer(|o| o.revoked = Some(Nanos(5))),
        |_, r| r.order.identity.seq = Seq(7),
        |w, _| w.force_channel(PAYMENT, |c| c.state = ChannelState::Closing),
        |w, _| w.force_channel(PAYMENT, |c| c.pending = Some(purchase_id(99))),
        |_, r| r.order.signer = STRANGER,
    ];
    let (price, amount) = (tokens(11), tokens(10));
    let told = [
        Refusal::PayingMoved { channel: PAYING },
        Refusal::WrongBalance {
            expected: tokens(80),
            got: tokens(1),
        },
        Refusal::InsufficientAmount { price, amount },
        Refusal::OfferExpired {
            key: KEY,
            at: Nanos(5),
        },
        Refusal::OutOfOrder {
            expected: Seq(3),
            got: Seq(7),
            remaining: tokens(90),
        },
        Refusal::ChannelNotOpen { channel: PAYMENT },
        Refusal::PurchasePending {
            purchase: purchase_id(99),
            same: false,
        },
        Refusal::WrongSigner {
            signer: STRANGER,
            expected: BUYER,
        },
    ];
    let mut world = World::proven();
    let mut request = world.request();
    for (fault, expected) in faults.into_iter().zip(told) {
        fault(&mut world, &mut request);
        assert_eq!(
            world.ledger.submit(&Command::Reserve(Box::new(request.clone()))),
            Err(expected)
        );
    }
}

#[test]
fn only_a_pending_purchase_is_posted_or_voided() {
    let mut world = World::trading();
    let unknown = purchase_id(99);
    let gone = |purchase| Refusal::NotPending { purchase };
    world.refuse(
        Command::Post(Box::new(world.post_request(unknown))),
        gone(unknown),
    );
    world.refuse(Command::Void(world.void_request(unknown, true)), gone(unknown));
    let posted = world.buy().id;
    world.refuse(Command::Post(Box::new(world.post_request(posted))), gone(posted));
    world.refuse(Command::Void(world.void_request(posted, true)), gone(posted));
    let request = world.request();
    let voided = world.reserve(request).id;
    world.void(voided, false);
    world.refuse(Command::Post(Box::new(world.post_request(voided))), gone(voided));
    world.refuse(Command::Void(world.void_request(voided, false)), gone(voided));
}

#[test]
fn a_purchase_is_posted_with_the_decision_it_names_or_none() {
    let mut world = World::proven();
    let mut request = world.request();
    priced(&mut request, 11, 0);
    let id = world.reserve(request).id;
    let mismatch = Refusal::DecisionMismatch { purchase: id };
    let with = |world: &World, decision| PostRequest {
        decision,
        ..world.post_request(id)
    };
    world.refuse(Command::Post(Box::new(with(&world, None))), mismatch.clone());
    world.refuse(
        Command::Post(Box::new(with(&world, Some(world.decision(2))))),
        mismatch,
    );
    world.accept(Command::Post(Box::new(with(&world, Some(world.decision(1))))));
    let mut kept = world.decision(1);
    kept.header.purchase = Some(id);
    assert_eq!(world.ledger.decision(&DecisionId([1; 16])), Some(&kept));

    let request = world.request();
    let id = world.reserve(request).id;
    let surplus = PostRequest {
        decision: Some(world.decision(3)),
        ..world.post_request(id)
    };
    world.refuse(
        Command::Post(Box::new(surplus)),
        Refusal::DecisionMismatch { purchase: id },
    );
}
