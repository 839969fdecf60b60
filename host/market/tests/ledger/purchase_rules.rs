//! The numbered rules of a purchase, as far as the ledger decides them; each test carries its rule's number.

use crate::world::*;
use bourse_market::*;

fn reserve(request: ReserveRequest) -> Command {
    Command::Reserve(Box::new(request))
}

/// The same purchase asked for again, by a fresh attempt of the host.
fn again(world: &mut World, request: &ReserveRequest) -> ReserveRequest {
    ReserveRequest {
        order: Order {
            id: world.fresh_id(),
            ..request.clone().order
        },
        ..request.clone()
    }
}

#[test]
fn rule_1_a_posted_purchase_replays_its_receipt_verbatim() {
    let mut world = World::trading();
    let first = world.request();
    let id = world.reserve(first.clone()).id;
    let receipt = world.post(id);
    // Both channels move on, the offer ends, the price changes, the channel closes: the receipt stays.
    world.buy();
    world.force_offer(|offer| offer.revoked = Some(Nanos(5)));
    let mut request = again(&mut world, &first);
    (request.order.price, request.s2, request.order.at) = (tokens(99), signature(7), Nanos(9_000_000));
    world.close(PAYMENT);
    let before = world.ledger.clone();
    assert_eq!(
        world.accept(reserve(request)),
        Outcome::Replayed(Box::new(receipt))
    );
    assert_eq!(before, world.ledger);
}

#[test]
fn rule_1_a_replay_is_answered_while_a_later_purchase_is_pending() {
    let mut world = World::trading();
    let first = world.request();
    let id = world.reserve(first.clone()).id;
    let receipt = world.post(id);
    let second = world.request();
    world.reserve(second);
    let request = again(&mut world, &first);
    assert_eq!(
        world.accept(reserve(request)),
        Outcome::Replayed(Box::new(receipt))
    );
}

#[test]
fn rule_1_each_part_of_the_identity_counts() {
    let changes: [fn(&mut Identity); 4] = [
        |identity| identity.key = KeyId([9; 16]),
        |identity| identity.buyer_pubkey = BuyerPubkey([9; 32]),
        |identity| identity.amount = tokens(11),
        |identity| identity.balance = tokens(91),
    ];
    for change in changes {
        let mut world = World::trading();
        let first = world.request();
        let id = world.reserve(first.clone()).id;
        let mut request = again(&mut world, &first);
        change(&mut request.order.identity);
        let pending = Refusal::PurchasePending {
            purchase: id,
            same: false,
        };
        world.refuse(reserve(request.clone()), pending);
        world.post(id);
        let stale = Refusal::OutOfOrder {
            expected: Seq(3),
            got: Seq(2),
            remaining: tokens(90),
        };
        world.refuse(reserve(request), stale);
    }
}

#[test]
fn rule_1_the_signature_is_no_part_of_the_identity() {
    let mut world = World::trading();
    let first = world.request();
    let id = world.reserve(first.clone()).id;
    let receipt = world.post(id);
    let request = ReserveRequest {
        order: Order {
            s1: signature(0x51),
            ..again(&mut world, &first).order
        },
        ..again(&mut world, &first)
    };
    assert_eq!(
        world.accept(reserve(request)),
        Outcome::Replayed(Box::new(receipt))
    );
}

#[test]
fn rule_1_a_replay_needs_the_delegates_signature_all_the_same() {
    let mut world = World::trading();
    let first = world.request();
    let id = world.reserve(first.clone()).id;
    world.post(id);
    let request = ReserveRequest {
        order: Order {
            signer: STRANGER,
            ..again(&mut world, &first).order
        },
        ..again(&mut world, &first)
    };
    world.refuse(
        reserve(request),
        Refusal::WrongSigner {
            signer: STRANGER,
            expected: BUYER,
        },
    );
}

#[test]
fn rule_1_while_pending_the_same_identity_joins() {
    let mut world = World::trading();
    let first = world.request();
    let id = world.reserve(first.clone()).id;
    let request = again(&mut world, &first);
    world.refuse(
        reserve(request),
        Refusal::PurchasePending {
            purchase: id,
            same: true,
        },
    );
}

#[test]
fn rule_1_a_voided_purchase_frees_the_seq() {
    let mut world = World::trading();
    let first = world.request();
    let voided = world.reserve(first.clone()).id;
    world.void(voided, false);
    assert_eq!(world.ledger.purchase_at(&PAYMENT, Seq(2)).unwrap(), None);
    // The very same request is a new purchase, and so is any other at this seq.
    let request = again(&mut world, &first);
    let second = world.reserve(request).id;
    assert_eq!(world.post(second).payment_seq, Seq(2));
    assert_eq!(
        world.ledger.purchase_at(&PAYMENT, Seq(2)).unwrap().unwrap().id,
        second
    );
    assert!(matches!(
        world.purchase(voided).state,
        PurchaseState::Voided { .. }
    ));
}

#[test]
fn rule_2_everything_is_checked_again_inside_the_write() {
    // A request that was right when it was signed, and what happened before its turn came.
    type Case = (fn(&mut World), Refusal);
    let cases: [Case; 5] = [
        (
            |world| drop(world.buy()),
            Refusal::OutOfOrder {
                expected: Seq(3),
                got: Seq(2),
                remaining: tokens(90),
            },
        ),
        (
            |world| world.force_offer(|offer| offer.revoked = Some(Nanos(5))),
            Refusal::OfferExpired {
                key: KEY,
                at: Nanos(5),
            },
        ),
        (
            |world| world.force_offer(|offer| offer.remaining = Some(0)),
            Refusal::SoldOut { key: KEY },
        ),
        (
            |world| world.force_channel(PAYMENT, |channel| channel.state = ChannelState::Closing),
            Refusal::ChannelNotOpen { channel: PAYMENT },
        ),
        (
            |world| world.force_channel(PAYING, |channel| channel.state = ChannelState::Closing),
            Refusal::ChannelNotOpen { channel: PAYING },
        ),
    ];
    for (happened, expected) in cases {
        let mut world = World::trading();
        let request = ReserveRequest {
            order: Order {
                identity: Identity {
                    buyer_pubkey: BuyerPubkey([1; 32]),
                    ..world.request().order.identity
                },
                ..world.request().order
            },
            ..world.request()
        };
        happened(&mut world);
        assert_eq!(world.ledger.submit(&reserve(request)), Err(expected));
    }
}

#[test]
fn rule_2_the_last_copy_is_sold_once() {
    let mut world = World::endowed();
    world.fund(BUYER_ACTOR, tokens(150));
    world.accept(Command::Open(Box::new(world.open_payment())));
    world.accept(Command::Open(Box::new(world.open_paying())));
    world.place(|offer| offer.copies = Some(1));
    let request = world.request();
    let id = world.reserve(request).id;
    assert_eq!(world.offer_of(KEY).remaining, Some(0));
    world.post(id);
    let request = world.request();
    world.refuse(reserve(request), Refusal::SoldOut { key: KEY });
}

#[test]
fn rule_3_the_buyer_pays_the_price_and_never_the_amount() {
    let mut world = World::trading();
    let mut request = world.request();
    request.order.identity.amount = tokens(60);
    let purchase = world.reserve(request);
    assert_eq!(
        (purchase.price, purchase.payment_balance),
        (tokens(10), tokens(90))
    );
    world.post(purchase.id);
    assert_eq!(world.channel(PAYMENT).spent, tokens(10));
}

#[test]
fn rule_3_a_balance_signed_for_another_price_is_told_the_price() {
    let mut world = World::trading();
    let mut request = world.request();
    request.order.identity.amount = tokens(12);
    request.order.identity.balance = tokens(88);
    world.refuse(
        reserve(request),
        Refusal::PriceChanged {
            price: tokens(10),
            amount: tokens(12),
        },
    );
}

#[test]
fn rule_3_a_free_key_is_bought_like_any_other() {
    let mut world = World::endowed();
    world.fund(BUYER_ACTOR, tokens(150));
    world.accept(Command::Open(Box::new(world.open_payment())));
    world.accept(Command::Open(Box::new(world.open_paying())));
    world.place(|offer| offer.price = Price::Fixed(Amount::ZERO));
    let request = world.request_at(Amount::ZERO);
    let id = world.reserve(request.clone()).id;
    let posted = world.post(id);
    assert_eq!(
        (posted.payment_seq, posted.payment_balance),
        (Seq(2), tokens(100))
    );
    assert_eq!(world.channel(PAYING).seq, Seq(2));
    let request = again(&mut world, &request);
    assert_eq!(
        world.accept(reserve(request)),
        Outcome::Replayed(Box::new(posted))
    );
}

#[test]
fn rule_3_the_last_unit_of_a_channel_can_be_spent() {
    let mut world = World::trading();
    let mut request = world.request();
    request.order.source = PriceSource::Policy(DecisionId([1; 16]));
    (request.order.price, request.order.fee) = (tokens(100), tokens(50));
    (request.order.identity.amount, request.order.identity.balance) = (tokens(100), Amount::ZERO);
    request.paying_balance = Amount::ZERO;
    let id = world.reserve(request).id;
    let decision = Some(world.decision(1));
    world.accept(Command::Post(Box::new(PostRequest {
        decision,
        ..world.post_request(id)
    })));
    assert!(!world.channel(PAYMENT).is_live());
    assert!(!world.channel(PAYING).is_live());
}

#[test]
fn rule_3_the_sellers_credit_is_the_price_less_the_fee() {
    let mut world = World::trading();
    let mut request = world.request();
    request.order.fee = tokens(2);
    request.paying_balance = tokens(42);
    let id = world.reserve(request).id;
    world.post(id);
    assert_eq!(
        (world.channel(PAYMENT).spent, world.channel(PAYING).spent),
        (tokens(10), tokens(8))
    );
}

#[test]
fn rule_4_one_write_reserves_both_balances_and_keeps_what_was_signed() {
    let mut world = World::trading();
    let request = world.request();
    let purchase = world.reserve(request.clone());
    for (id, left) in [(PAYMENT, tokens(90)), (PAYING, tokens(40))] {
        let channel = world.channel(id);
        assert_eq!(
            (channel.remaining, channel.inflight, channel.spent),
            (left, tokens(10), Amount::ZERO)
        );
        assert_eq!((channel.seq, channel.pending), (Seq(1), Some(purchase.id)));
    }
    assert_eq!(purchase.state, PurchaseState::Sent);
    assert_eq!((purchase.s1, purchase.s2), (request.order.s1, request.s2));
    assert_eq!((purchase.payment_seq, purchase.paying_seq), (Seq(2), Seq(2)));
    assert_eq!(
        (purchase.payment_balance, purchase.paying_balance),
        (tokens(90), tokens(40))
    );
    assert_eq!(
        world.ledger.purchase_at(&PAYMENT, Seq(2)).unwrap(),
        Some(purchase)
    );
}

#[test]
fn rule_4_a_paying_channel_has_one_purchase_at_a_time() {
    let mut world = World::trading();
    let (other, delegate) = (ChannelId([0xb4; 16]), Address([0xb5; 20]));
    let open = OpenRequest {
        id: other,
        delegate,
        amount: tokens(20),
        ..world.open_payment()
    };
    world.accept(Command::Open(Box::new(open)));
    let first = world.request();
    let id = world.reserve(first).id;
    let mut request = world.request();
    request.order.identity = Identity {
        channel: other,
        seq: Seq(2),
        balance: tokens(10),
        ..request.order.identity
    };
    (request.order.buyer, request.order.signer) = (delegate, delegate);
    world.refuse(reserve(request.clone()), Refusal::PayingMoved { channel: PAYING });
    world.post(id);
    // Its s2 was made for where the channel stood then.
    (request.paying_seq, request.paying_balance) = (Seq(2), tokens(40));
    world.refuse(reserve(request.clone()), Refusal::PayingMoved { channel: PAYING });
    (request.paying_seq, request.paying_balance) = (Seq(3), tokens(30));
    world.reserve(request);
}

#[test]
fn rule_5_posting_moves_both_channels_by_one_and_keeps_four_signatures() {
    let mut world = World::trading();
    let posted = world.buy();
    for (id, left) in [(PAYMENT, tokens(90)), (PAYING, tokens(40))] {
        let channel = world.channel(id);
        assert_eq!(
            (channel.remaining, channel.inflight, channel.spent),
            (left, Amount::ZERO, tokens(10))
        );
        assert_eq!((channel.seq, channel.pending), (Seq(2), None));
    }
    let PurchaseState::Posted {
        at,
        s3,
        s4,
        sealed_key,
        recovered: 0,
    } = posted.state
    else {
        panic!("{posted:?}")
    };
    assert_eq!(
        (posted.s1, posted.s2, s3, s4),
        (signature(1), signature(2), signature(3), signature(4))
    );
    assert_eq!((at, sealed_key), (world.now, SealedKey([0x5e; 80])));
    assert_eq!(world.purchase(posted.id), posted);
}

#[test]
fn rule_5_only_the_sellers_delegate_can_make_it_post() {
    let mut world = World::trading();
    let request = world.request();
    let id = world.reserve(request).id;
    for signer in [STRANGER, BUYER, SELLER_ACTOR, MM] {
        let request = PostRequest {
            signer,
            ..world.post_request(id)
        };
        world.refuse(
            Command::Post(Box::new(request)),
            Refusal::WrongSigner {
                signer,
                expected: SELLER,
            },
        );
    }
    world.post(id);
}

#[test]
fn rule_5_a_policys_state_is_written_with_the_purchase_it_was_for() {
    let mut world = World::trading();
    let write = |value: Option<&[u8]>| StateWrite {
        policy: "surge".to_owned(),
        key: "seen".to_owned(),
        edit: StateEdit::Set(value.map(<[u8]>::to_vec)),
    };
    for (value, kept) in [(Some(&b"1"[..]), Some(&b"1"[..])), (None, None)] {
        let request = world.request();
        let id = world.reserve(request).id;
        let state_writes = vec![write(value)];
        world.accept(Command::Post(Box::new(PostRequest {
            state_writes,
            ..world.post_request(id)
        })));
        assert_eq!(world.value("surge", "seen").as_deref(), kept);
    }
}

#[test]
fn rule_5_voiding_restores_the_exact_state_before() {
    let mut world = World::proven();
    world.force_offer(|offer| (offer.copies, offer.remaining) = (Some(3), Some(2)));
    let before = world.clone();
    let request = world.request();
    let id = world.reserve(request).id;
    assert_eq!(world.offer_of(KEY).remaining, Some(1));
    world.void(id, false);
    for channel in [PAYMENT, PAYING] {
        assert_eq!(world.channel(channel), before.channel(channel));
    }
    assert_eq!(world.offer_of(KEY), before.offer_of(KEY));
    assert_eq!(world.pair(), before.pair());
    let reason = world.void_request(id, false).reason;
    assert_eq!(
        world.purchase(id).state,
        PurchaseState::Voided {
            at: world.now,
            reason
        }
    );
}

#[test]
fn rule_6_a_silent_seller_never_freezes_its_buyer() {
    let mut world = World::proven();
    world.buy_unclear();
    assert!(world.channel(PAYING).suspended.is_some());
    // The buyer's channel is as it was, and buys from another seller at once.
    let (delegate, paying, key) = (Address([0xc5; 20]), ChannelId([0xc6; 16]), KeyId([0xd6; 16]));
    let open = OpenRequest {
        id: paying,
        delegate,
        ..world.open_paying()
    };
    world.accept(Command::Open(Box::new(open)));
    world.place(|offer| (offer.id, offer.key, offer.seller) = (OfferId([0xd7; 16]), key, delegate));
    let mut request = world.request();
    request.order.identity.key = key;
    (request.paying_channel, request.paying_seq, request.paying_balance) = (paying, Seq(2), tokens(40));
    let id = world.reserve(request).id;
    let answer = PostRequest {
        signer: delegate,
        ..world.post_request(id)
    };
    world.accept(Command::Post(Box::new(answer)));
    assert_eq!(world.channel(PAYMENT).seq, Seq(3));
}

#[test]
fn rule_7_a_receipt_shows_the_values_of_its_own_purchase() {
    let mut world = World::trading();
    let request = world.request();
    let id = world.reserve(request).id;
    let first = world.post(id);
    let second = world.buy();
    let values = |purchase: &Purchase| {
        (
            purchase.payment_seq,
            purchase.payment_balance,
            purchase.paying_balance,
        )
    };
    assert_eq!(values(&first), (Seq(2), tokens(90), tokens(40)));
    assert_eq!(values(&second), (Seq(3), tokens(80), tokens(30)));
}

#[test]
fn rule_7_a_pending_purchase_does_not_show_in_the_posted_pair() {
    let mut world = World::proven();
    let request = world.request();
    world.reserve(request);
    let channel = world.channel(PAYMENT);
    assert_eq!((channel.seq, channel.posted_remaining()), (Seq(2), tokens(90)));
}

/// A JavaScript buyer's request: it signs the posted seq.
fn lenient(world: &mut World) -> ReserveRequest {
    let mut request = world.request();
    request.order.lenient_seq = true;
    request.order.identity.seq = world.channel(PAYMENT).seq;
    request
}

#[test]
fn lenient_seq_admits_a_buyer_that_signs_the_posted_seq_and_moves_by_one() {
    let mut world = World::trading();
    let request = lenient(&mut world);
    assert_eq!(request.order.identity.seq, Seq(1));
    let id = world.reserve(request.clone()).id;
    let posted = world.post(id);
    assert_eq!((posted.payment_seq, world.channel(PAYMENT).seq), (Seq(2), Seq(2)));
    // Its replay is found at the seq after the one it signed, whether or not leniency is still on.
    for lenient_seq in [true, false] {
        let request = ReserveRequest {
            order: Order {
                lenient_seq,
                ..again(&mut world, &request).order
            },
            ..again(&mut world, &request)
        };
        assert_eq!(
            world.accept(reserve(request)),
            Outcome::Replayed(Box::new(posted.clone()))
        );
    }
}

#[test]
fn lenient_seq_refuses_a_stale_state_with_the_current_pair() {
    let mut world = World::trading();
    let mut request = lenient(&mut world);
    let id = world.reserve(request.clone()).id;
    world.post(id);
    // The buyer goes on from where it started: 100 − 10 again, for another key.
    request.order.id = world.fresh_id();
    request.order.identity.buyer_pubkey = BuyerPubkey([1; 32]);
    for seq in [1, 2] {
        request.order.identity.seq = Seq(seq);
        let expected = Refusal::OutOfOrder {
            expected: Seq(3),
            got: Seq(seq),
            remaining: tokens(90),
        };
        world.refuse(reserve(request.clone()), expected);
    }
}

#[test]
fn lenient_seq_still_tells_a_changed_price_and_admits_the_right_seq() {
    let mut world = World::trading();
    let mut request = lenient(&mut world);
    request.order.identity.amount = tokens(12);
    request.order.identity.balance = tokens(88);
    world.refuse(
        reserve(request),
        Refusal::PriceChanged {
            price: tokens(10),
            amount: tokens(12),
        },
    );
    let request = ReserveRequest {
        order: Order {
            lenient_seq: true,
            cover: None,
            ..world.request().order
        },
        ..world.request()
    };
    world.reserve(request);
}

#[test]
fn without_lenient_seq_the_posted_seq_is_out_of_order() {
    let mut world = World::trading();
    let request = ReserveRequest {
        order: Order {
            lenient_seq: false,
            cover: None,
            ..lenient(&mut world).order
        },
        ..lenient(&mut world)
    };
    let expected = Refusal::OutOfOrder {
        expected: Seq(2),
        got: Seq(1),
        remaining: tokens(100),
    };
    world.refuse(reserve(request), expected);
}
