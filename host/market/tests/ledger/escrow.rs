//! W-52: keys that were left with the market maker, sold without their sellers, and what is owed for them.

use crate::world::*;
use bourse_market::*;
use std::sync::Arc;

/// A key in escrow at 3 tokens, beside the live one.
pub(crate) const LEFT: KeyId = KeyId([0xe0; 16]);
const BOX: EscrowedKey = EscrowedKey([0xe5; 88]);

fn left_offer(world: &World) -> Offer {
    Offer {
        id: OfferId([0xe1; 16]),
        key: LEFT,
        price: Price::Fixed(tokens(3)),
        signature_verified: true,
        claimed: false,
        unlisted: false,
        provider_id: None,
        ..world.offer()
    }
}

fn leave(world: &mut World, change: impl FnOnce(&mut Offer)) -> Offer {
    let mut offer = left_offer(world);
    change(&mut offer);
    let escrow = Some(BOX);
    match world.accept(Command::Place(Box::new(PlaceRequest { offer, escrow }))) {
        Outcome::Placed(offer) => *offer,
        other => panic!("{other:?}"),
    }
}

/// A market in which both keys are on sale.
pub(crate) fn market() -> World {
    let mut world = World::trading();
    leave(&mut world, |_| ());
    world
}

/// The buyer's next correct request for the escrowed key.
fn request_at(world: &mut World, price: Amount) -> DeliverRequest {
    let payment = world.channel(PAYMENT);
    let seq = payment.seq.next().unwrap();
    DeliverRequest {
        order: Order {
            id: world.fresh_id(),
            at: world.now,
            identity: Identity {
                channel: PAYMENT,
                seq,
                key: LEFT,
                buyer_pubkey: BuyerPubkey([0xbb; 32]),
                amount: price,
                balance: payment.posted_remaining().checked_sub(price).unwrap_or_default(),
            },
            buyer: BUYER,
            signer: BUYER,
            s1: signature(1),
            price,
            fee: Amount::ZERO,
            source: PriceSource::Fixed,
            lenient_seq: false,
            cover: None,
        },
        escrowed: BOX,
        sealed_key: SealedKey([0x5e; 80]),
        payment_seq: seq,
        s4: signature(4),
        decision: None,
        also: Vec::new(),
        state_writes: Vec::new(),
    }
}

fn command(request: DeliverRequest) -> Command {
    Command::Deliver(Arc::new(request))
}

fn deliver(world: &mut World, request: DeliverRequest) -> EscrowSale {
    match world.accept(command(request)) {
        Outcome::Delivered {
            sale, again: false, ..
        } => *sale,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn buy(world: &mut World) -> EscrowSale {
    let request = request_at(world, tokens(3));
    deliver(world, request)
}

pub(crate) fn debt(world: &World) -> Debt {
    world.ledger.debt(&SELLER).unwrap().unwrap_or_default()
}

#[track_caller]
fn refused(change: impl FnOnce(&mut DeliverRequest), expected: Refusal) {
    let mut world = market();
    let mut request = request_at(&mut world, tokens(3));
    change(&mut request);
    world.refuse(command(request), expected);
}

#[test]
fn w_52_an_escrowed_key_is_sold_in_one_write_and_no_paying_channel_moves() {
    let mut world = market();
    let (payment, paying) = (world.channel(PAYMENT), world.channel(PAYING));
    let request = request_at(&mut world, tokens(3));
    let sale = deliver(&mut world, request.clone());
    let moved = world.channel(PAYMENT);
    let expected = Channel {
        seq: Seq(2),
        remaining: tokens(97),
        spent: tokens(3),
        ..payment
    };
    assert_eq!(moved, expected);
    assert_eq!(world.channel(PAYING), paying);
    assert_eq!(
        debt(&world),
        Debt {
            owed: tokens(3),
            settled: Amount::ZERO,
            sales: 1
        }
    );
    assert_eq!((sale.payment_seq, sale.payment_balance), (Seq(2), tokens(97)));
    assert_eq!((sale.s1, sale.s4), (request.order.s1, request.s4));
    assert_eq!(sale.sealed_key, request.sealed_key);
    let receipt = find_receipt(&world.ledger, &moved, &request.order.identity).unwrap();
    assert_eq!(receipt, Some(sale.receipt()));
}

#[test]
fn its_receipt_is_like_that_of_a_live_sale() {
    let mut world = market();
    let live = world.buy().receipt().unwrap();
    let escrowed = buy(&mut world).receipt();
    assert_eq!(
        escrowed,
        Receipt {
            key: LEFT,
            offer: OfferId([0xe1; 16]),
            amount: tokens(3),
            price: tokens(3),
            seq: Seq(3),
            balance: tokens(87),
            ..live
        }
    );
}

#[test]
fn the_same_purchase_is_answered_again_and_costs_nothing() {
    let mut world = market();
    let request = request_at(&mut world, tokens(3));
    let sale = deliver(&mut world, request.clone());
    world.buy();
    let before = world.ledger.clone();
    let again = DeliverRequest {
        order: Order {
            id: world.fresh_id(),
            price: tokens(99),
            ..request.order
        },
        escrowed: EscrowedKey([0; 88]),
        sealed_key: SealedKey([9; 80]),
        ..request
    };
    let outcome = world.accept(command(again));
    assert_eq!(
        outcome,
        Outcome::Delivered {
            sale: Box::new(sale),
            payment: Box::new(world.channel(PAYMENT)),
            again: true,
            dropped: Vec::new()
        }
    );
    assert_eq!(before, world.ledger);
}

#[test]
fn live_and_escrowed_sales_share_the_buyers_positions_and_nothing_else() {
    let mut world = market();
    assert_eq!(world.buy().payment_seq, Seq(2));
    assert_eq!(buy(&mut world).payment_seq, Seq(3));
    let live = world.buy();
    assert_eq!((live.payment_seq, live.paying_seq), (Seq(4), Seq(3)));
    assert_eq!(live.paying_balance, tokens(30));
    assert_eq!(debt(&world).owed, tokens(3));
}

#[test]
fn while_a_live_purchase_is_pending_the_buyer_buys_nothing_else() {
    let mut world = market();
    let escrowed = request_at(&mut world, tokens(3));
    let reserve = world.request();
    let purchase = world.reserve(reserve).id;
    world.refuse(
        command(escrowed),
        Refusal::PurchasePending {
            purchase,
            same: false,
        },
    );
}

#[test]
fn a_seller_may_be_mid_sale_suspended_closed_or_without_any_channel() {
    let mut world = market();
    world.buy();
    world.buy_unclear();
    assert!(world.channel(PAYING).suspended.is_some());
    buy(&mut world);
    world.close(PAYING);
    buy(&mut world);
    assert_eq!(debt(&world).sales, 2);

    let mut world = World::endowed();
    world.fund(BUYER_ACTOR, tokens(100));
    world.accept(Command::Open(Box::new(world.open_payment())));
    leave(&mut world, |_| ());
    buy(&mut world);
    assert_eq!(debt(&world).owed, tokens(3));
}

#[test]
fn an_offer_that_its_seller_did_not_sign_is_never_escrowed() {
    let mut world = World::trading();
    let offer = Offer {
        signature_verified: false,
        ..left_offer(&world)
    };
    let escrow = Some(BOX);
    world.refuse(
        Command::Place(Box::new(PlaceRequest { offer, escrow })),
        Refusal::EscrowUnsigned { key: LEFT },
    );
    assert_eq!(world.ledger.escrowed_key(&LEFT).unwrap(), None);
}

#[test]
fn nobody_replaces_an_escrowed_key() {
    let mut world = market();
    let offer = left_offer(&world);
    let escrow = Some(EscrowedKey([1; 88]));
    world.refuse(
        Command::Place(Box::new(PlaceRequest { offer, escrow })),
        Refusal::DuplicateKey { key: LEFT },
    );
    assert_eq!(world.ledger.escrowed_key(&LEFT).unwrap(), Some(BOX));
}

#[test]
fn a_live_offer_is_not_delivered_and_an_escrowed_one_not_reserved() {
    refused(|r| r.order.identity.key = KEY, {
        // The live key costs 10.
        Refusal::PriceChanged {
            price: tokens(10),
            amount: tokens(3),
        }
    });
    let mut world = market();
    let mut request = request_at(&mut world, tokens(10));
    request.order.identity.key = KEY;
    world.refuse(command(request), Refusal::NotEscrowed { key: KEY });

    let mut request = world.request_at(tokens(3));
    request.order.identity.key = LEFT;
    world.refuse(
        Command::Reserve(Box::new(request)),
        Refusal::Escrowed { key: LEFT },
    );
}

#[test]
fn what_was_sealed_must_be_what_is_kept() {
    refused(
        |r| r.escrowed = EscrowedKey([9; 88]),
        Refusal::NotEscrowed { key: LEFT },
    );
}

#[test]
fn every_check_of_a_live_purchase_stands_here_too() {
    let channel = ChannelId([9; 16]);
    refused(
        |r| r.order.identity.channel = channel,
        Refusal::ChannelUnknown { channel },
    );
    refused(
        |r| r.order.identity.channel = PAYING,
        Refusal::ChannelUnknown { channel: PAYING },
    );
    refused(
        |r| r.order.signer = STRANGER,
        Refusal::WrongSigner {
            signer: STRANGER,
            expected: BUYER,
        },
    );
    refused(
        |r| r.order.buyer = STRANGER,
        Refusal::WrongSigner {
            signer: BUYER,
            expected: STRANGER,
        },
    );
    refused(
        |r| r.order.identity.seq = Seq(3),
        Refusal::OutOfOrder {
            expected: Seq(2),
            got: Seq(3),
            remaining: tokens(100),
        },
    );
    refused(
        |r| r.payment_seq = Seq(3),
        Refusal::OutOfOrder {
            expected: Seq(2),
            got: Seq(3),
            remaining: tokens(100),
        },
    );
    let key = KeyId([7; 16]);
    refused(|r| r.order.identity.key = key, Refusal::OfferUnknown { key });
    refused(
        |r| r.order.price = tokens(2),
        Refusal::PriceChanged {
            price: tokens(3),
            amount: tokens(2),
        },
    );
    refused(
        |r| r.order.identity.amount = tokens(2),
        Refusal::InsufficientAmount {
            price: tokens(3),
            amount: tokens(2),
        },
    );
    refused(
        |r| r.order.identity.balance = tokens(98),
        Refusal::WrongBalance {
            expected: tokens(97),
            got: tokens(98),
        },
    );
    refused(
        |r| r.order.fee = tokens(4),
        Refusal::FeeAbovePrice {
            fee: tokens(4),
            price: tokens(3),
        },
    );
    refused(
        |r| r.order.source = PriceSource::Policy(DecisionId([1; 16])),
        Refusal::DecisionMismatch {
            purchase: purchase_id(2),
        },
    );
    // Nobody asked the seller, whose price this would be.
    refused(
        |r| r.order.source = PriceSource::Seller,
        Refusal::Escrowed { key: LEFT },
    );
}

#[test]
fn an_id_is_used_once_among_all_purchases() {
    let mut world = market();
    let live = world.buy().id;
    let escrowed = buy(&mut world).id;
    for purchase in [live, escrowed] {
        let mut request = request_at(&mut world, tokens(3));
        request.order.id = purchase;
        world.refuse(command(request), Refusal::NotPending { purchase });
        let mut request = world.request();
        request.order.id = purchase;
        world.refuse(
            Command::Reserve(Box::new(request)),
            Refusal::NotPending { purchase },
        );
    }
}

#[test]
fn the_last_copy_is_sold_once() {
    let mut world = World::trading();
    leave(&mut world, |offer| offer.copies = Some(2));
    buy(&mut world);
    buy(&mut world);
    let third = request_at(&mut world, tokens(3));
    world.refuse(command(third), Refusal::SoldOut { key: LEFT });
}

#[test]
fn an_offer_that_ended_or_has_not_begun_is_not_sold() {
    let mut world = World::trading();
    leave(&mut world, |offer| {
        offer.valid_from = Some(Nanos(2_000_000));
        offer.expires = Some(Nanos(3_000_000));
    });
    let request = request_at(&mut world, tokens(3));
    let at = |at| DeliverRequest {
        order: Order {
            at: Nanos(at),
            ..request.clone().order
        },
        ..request.clone()
    };
    world.refuse(
        command(at(1_999_999)),
        Refusal::OfferNotYetValid {
            key: LEFT,
            at: Nanos(2_000_000),
        },
    );
    world.refuse(
        command(at(3_000_000)),
        Refusal::OfferExpired {
            key: LEFT,
            at: Nanos(3_000_000),
        },
    );
    deliver(&mut world, at(2_999_999));
}

#[test]
fn revoking_removes_the_key_and_leaves_the_debt() {
    let mut world = market();
    buy(&mut world);
    let revoke = RevokeRequest {
        key: LEFT,
        caller: PLACER,
        proven: None,
        at: world.now,
    };
    world.accept(Command::Revoke(revoke));
    assert_eq!(world.ledger.escrowed_key(&LEFT).unwrap(), None);
    assert_eq!(debt(&world).owed, tokens(3));
    let request = request_at(&mut world, tokens(3));
    let at = world.now;
    world.refuse(command(request), Refusal::OfferExpired { key: LEFT, at });
}

#[test]
fn a_free_key_is_a_sale_that_is_owed_nothing_for() {
    let mut world = World::trading();
    leave(&mut world, |offer| offer.price = Price::Fixed(Amount::ZERO));
    let request = request_at(&mut world, Amount::ZERO);
    deliver(&mut world, request);
    assert_eq!(
        debt(&world),
        Debt {
            sales: 1,
            ..Debt::default()
        }
    );
    assert_eq!(world.channel(PAYMENT).seq, Seq(2));
}

#[test]
fn the_seller_is_owed_the_price_less_the_fee() {
    let mut world = market();
    let mut request = request_at(&mut world, tokens(3));
    request.order.fee = tokens(1);
    deliver(&mut world, request);
    assert_eq!(debt(&world).owed, tokens(2));
}

#[test]
fn a_lenient_buyer_is_admitted_at_the_posted_seq_and_gets_its_receipt_again() {
    let mut world = market();
    let mut request = request_at(&mut world, tokens(3));
    (request.order.lenient_seq, request.order.identity.seq) = (true, Seq(1));
    let sale = deliver(&mut world, request.clone());
    assert_eq!(sale.payment_seq, Seq(2));
    request.order.id = world.fresh_id();
    assert!(matches!(
        world.accept(command(request)),
        Outcome::Delivered { again: true, .. }
    ));
}

#[test]
fn decisions_and_what_policies_wrote_are_kept_with_the_sale() {
    let mut world = World::trading();
    leave(&mut world, |offer| offer.price = Price::Dynamic);
    let mut request = request_at(&mut world, tokens(4));
    let decision = world.decision(7);
    request.order.source = PriceSource::Policy(decision.id);
    request.decision = Some(decision.clone());
    request.also = vec![world.decision(8)];
    request.state_writes = vec![StateWrite {
        policy: "quota".to_owned(),
        key: "sold".to_owned(),
        edit: StateEdit::Add(1),
    }];
    let sale = deliver(&mut world, request);
    for id in [7, 8] {
        let kept = world.ledger.decision(&DecisionId([id; 16])).unwrap();
        assert_eq!(kept.header.purchase, Some(sale.id));
    }
    assert_eq!(world.counter("quota", "sold"), 1);
}

/// The delegate's request to close its channel with all that is due.
pub(crate) fn settling(world: &World, id: ChannelId) -> CloseRequest {
    let request = world.close_request(id);
    let owed = debt(world).owed.min(request.balance);
    CloseRequest {
        balance: request.balance.checked_sub(owed).unwrap(),
        ..request
    }
}

pub(crate) fn close(world: &mut World, request: CloseRequest) -> Channel {
    match world.accept(Command::Close(Box::new(request))) {
        Outcome::Closed { channel, .. } => *channel,
        other => panic!("{other:?}"),
    }
}

#[test]
fn closing_with_what_is_due_settles_the_debt_and_pays_it_out() {
    let mut world = market();
    world.buy();
    buy(&mut world);
    buy(&mut world);
    let request = settling(&world, PAYING);
    assert_eq!(request.balance, tokens(50 - 10 - 6));
    let channel = close(&mut world, request.clone());
    assert_eq!((channel.seq, channel.spent), (Seq(2), tokens(16)));
    assert_eq!(channel.closing.as_ref().unwrap().balance, tokens(34));
    assert_eq!(world.account(SELLER_ACTOR).balance, tokens(16));
    assert_eq!(world.account(MM).balance, tokens(950 + 34));
    assert_eq!(
        debt(&world),
        Debt {
            owed: Amount::ZERO,
            settled: tokens(6),
            sales: 2
        }
    );
    // The same close is answered again, and pays nothing a second time.
    let before = world.ledger.clone();
    close(&mut world, request);
    assert_eq!(before, world.ledger);
}

#[test]
fn a_plain_close_leaves_the_debt_for_the_next_channel() {
    let mut world = market();
    buy(&mut world);
    world.close(PAYING);
    assert_eq!(debt(&world).owed, tokens(3));
    assert_eq!(world.account(SELLER_ACTOR).balance, Amount::ZERO);

    let id = ChannelId([0xc3; 16]);
    let open = OpenRequest {
        id,
        ..world.open_paying()
    };
    world.accept(Command::Open(Box::new(open)));
    let request = settling(&world, id);
    close(&mut world, request);
    assert_eq!(debt(&world).owed, Amount::ZERO);
    assert_eq!(world.account(SELLER_ACTOR).balance, tokens(3));
}

#[test]
fn a_channel_settles_no_more_than_it_holds() {
    let mut world = World::trading();
    leave(&mut world, |offer| offer.price = Price::Fixed(tokens(60)));
    let request = request_at(&mut world, tokens(60));
    deliver(&mut world, request);
    let request = settling(&world, PAYING);
    assert_eq!(request.balance, Amount::ZERO);
    close(&mut world, request);
    assert_eq!(
        debt(&world),
        Debt {
            owed: tokens(10),
            settled: tokens(50),
            sales: 1
        }
    );
    assert_eq!(world.account(SELLER_ACTOR).balance, tokens(50));
}

#[test]
fn w_03_no_other_balance_closes_a_channel_that_owes() {
    let mut world = market();
    buy(&mut world);
    let unit = Amount::from_units(1);
    for balance in [
        tokens(47).checked_sub(unit).unwrap(),
        tokens(47).saturating_add(unit),
        tokens(50).checked_sub(unit).unwrap(),
        tokens(50).saturating_add(unit),
        Amount::ZERO,
    ] {
        let request = CloseRequest {
            balance,
            ..world.close_request(PAYING)
        };
        world.refuse(
            Command::Close(Box::new(request)),
            Refusal::NotPosted {
                channel: PAYING,
                seq: Seq(1),
                remaining: tokens(50),
                due: Some(Box::new(tokens(3))),
                got_seq: Seq(1),
                got_balance: balance,
            },
        );
    }
    // Nor does the right one at another position, or not as the last word, or signed by another.
    let right = settling(&world, PAYING);
    for change in [
        |r: &mut CloseRequest| r.seq = Seq(2),
        |r: &mut CloseRequest| r.is_final = false,
        |r: &mut CloseRequest| r.signer = SELLER_ACTOR,
    ] {
        let mut request = right.clone();
        change(&mut request);
        world.submit(Command::Close(Box::new(request))).unwrap_err();
    }
}

#[test]
fn the_error_names_the_balance_that_settles() {
    let refusal = Refusal::NotPosted {
        channel: PAYING,
        seq: Seq(1),
        remaining: tokens(50),
        due: Some(Box::new(tokens(3))),
        got_seq: Seq(1),
        got_balance: tokens(1),
    };
    let text = refusal.to_string();
    assert!(text.contains("47") && text.contains("settles the 3"), "{text}");
}

#[test]
fn a_payment_channel_settles_nothing_even_if_one_delegate_buys_and_sells() {
    let mut world = World::trading();
    leave(&mut world, |offer| offer.seller = BUYER);
    buy(&mut world);
    let owed = world.ledger.debt(&BUYER).unwrap().unwrap().owed;
    assert_eq!(owed, tokens(3));
    let request = CloseRequest {
        balance: tokens(94),
        ..world.close_request(PAYMENT)
    };
    assert!(matches!(
        world.submit(Command::Close(Box::new(request))),
        Err(Refusal::NotPosted { due: None, .. })
    ));
}

#[test]
fn a_channel_of_another_actor_settles_nothing_of_the_delegates() {
    let mut world = market();
    let rogue = ChannelId([0xc4; 16]);
    let open = OpenRequest {
        id: rogue,
        actor: STRANGER,
        signer: STRANGER,
        recipient: STRANGER,
        ..world.open_paying()
    };
    world.accept(Command::Open(Box::new(open)));
    buy(&mut world);
    let request = settling(&world, rogue);
    assert!(matches!(
        world.submit(Command::Close(Box::new(request))),
        Err(Refusal::NotPosted { due: None, .. })
    ));
    world.close(rogue);
    assert_eq!(world.account(STRANGER).balance, Amount::ZERO);
    assert_eq!(debt(&world).owed, tokens(3));
}

#[test]
fn a_sale_after_the_close_was_signed_keeps_the_channel_open() {
    let mut world = market();
    buy(&mut world);
    let request = settling(&world, PAYING);
    buy(&mut world);
    assert!(matches!(
        world.submit(Command::Close(Box::new(request))),
        Err(Refusal::NotPosted { due: Some(due), .. }) if *due == tokens(6)
    ));
}

/// A sound ledger with one settled and one unsettled sale, in which one record is changed.
#[track_caller]
fn found(change: impl FnOnce(&World) -> Change, expected: impl Fn(&Violation) -> bool) {
    let mut world = market();
    buy(&mut world);
    let request = settling(&world, PAYING);
    close(&mut world, request);
    buy(&mut world);
    assert_eq!(world.ledger.audit(), []);
    let change = change(&world);
    world.ledger.commit(vec![change]);
    let violations = world.ledger.audit();
    assert!(violations.iter().any(expected), "{violations:?}");
}

#[test]
fn the_auditor_finds_a_debt_that_is_not_what_was_earned() {
    for twist in [
        |debt: &mut Debt| debt.owed = tokens(4),
        |debt: &mut Debt| debt.settled = tokens(2),
        |debt: &mut Debt| debt.sales = 1,
        // Adds up, and was never paid.
        |debt: &mut Debt| (debt.owed, debt.settled) = (Amount::ZERO, tokens(6)),
    ] {
        let change = |world: &World| {
            let mut debt = debt(world);
            twist(&mut debt);
            Change::Debt(SELLER, debt)
        };
        found(change, |v| matches!(v, Violation::Debt { .. }));
    }
}

#[test]
fn the_auditor_finds_payments_that_no_channel_made() {
    let payment = |delegate, amount| EscrowPayment {
        delegate,
        amount,
        at: Nanos(1),
    };
    found(
        |_| Change::EscrowPayment(PAYING, payment(SELLER, tokens(2))),
        |v| matches!(v, Violation::SpentMismatch { .. }),
    );
    found(
        |_| Change::EscrowPayment(PAYING, payment(SELLER, tokens(2))),
        |v| matches!(v, Violation::BrokenTrail { .. }),
    );
    for (channel, delegate) in [
        (PAYING, STRANGER),
        (PAYMENT, SELLER),
        (ChannelId([9; 16]), SELLER),
    ] {
        found(
            |_| Change::EscrowPayment(channel, payment(delegate, tokens(3))),
            |v| matches!(v, Violation::StrayPayment { channel: found } if *found == channel),
        );
    }
}

#[test]
fn the_auditor_finds_what_is_wrong_with_a_sale() {
    let sale = |world: &World, change: fn(&mut EscrowSale)| {
        let mut sale = world.ledger.escrow_sales().last().unwrap().clone();
        change(&mut sale);
        Change::EscrowSale(Box::new(sale))
    };
    found(
        |world| sale(world, |sale| sale.fee = tokens(9)),
        |v| matches!(v, Violation::PurchaseShape { .. }),
    );
    found(
        |world| sale(world, |sale| sale.buyer = STRANGER),
        |v| matches!(v, Violation::WrongParty { .. }),
    );
    found(
        |world| sale(world, |sale| sale.seller = STRANGER),
        |v| matches!(v, Violation::Debt { .. }),
    );
    found(
        |world| sale(world, |sale| sale.seller = STRANGER),
        |v| {
            matches!(
                v,
                Violation::WrongCreditor {
                    key: LEFT,
                    named: STRANGER,
                    ..
                }
            )
        },
    );
    found(
        |world| {
            let mut offer = world.offer_of(LEFT);
            offer.signature_verified = false;
            Change::Offer(Box::new(offer))
        },
        |v| {
            matches!(
                v,
                Violation::WrongCreditor {
                    key: LEFT,
                    named: SELLER,
                    ..
                }
            )
        },
    );
    found(
        |world| {
            sale(world, |sale| {
                (sale.payment_seq, sale.identity.seq) = (Seq(2), Seq(2));
            })
        },
        |v| matches!(v, Violation::DuplicateSeq { .. }),
    );
    found(
        |world| {
            sale(world, |sale| {
                sale.source = PriceSource::Policy(DecisionId([9; 16]));
            })
        },
        |v| matches!(v, Violation::MissingDecision { .. }),
    );
}

#[test]
fn the_auditor_finds_keys_that_nobody_may_buy() {
    found(
        |_| Change::EscrowedKey(KEY, Some(BOX)),
        |v| matches!(v, Violation::StrayKey { key: KEY }),
    );
    found(
        |world| {
            let mut offer = world.offer_of(LEFT);
            offer.revoked = Some(Nanos(1));
            Change::Offer(Box::new(offer))
        },
        |v| matches!(v, Violation::StrayKey { key: LEFT }),
    );
}

#[test]
fn what_a_seller_was_paid_too_early_counts_towards_what_it_is_owed() {
    let mut world = market();
    world.buy();
    // 25 were adopted and void; a sale at 1 leaves 24 prepaid.
    let reserve = |world: &mut World, price| {
        world.force_offer(|offer| offer.price = Price::Fixed(tokens(price)));
        let request = world.request_at(tokens(price));
        world.reserve(request).id
    };
    let silent = reserve(&mut world, 25);
    world.void(silent, true);
    world.accept(Command::ReleaseChannel {
        channel: PAYING,
        by_operator: false,
    });
    let next = reserve(&mut world, 1);
    let step = world.netting_requests(next).remove(0);
    world.accept(Command::Recover(step));
    let request = PostRequest {
        recovered: 1,
        ..world.post_request(next)
    };
    world.accept(Command::Post(Box::new(request)));
    assert_eq!(world.channel(PAYING).prepaid, tokens(24));
    buy(&mut world);
    assert_eq!(debt(&world).owed, tokens(3));

    let mut close = world.close_request(PAYING);
    close.balance = close.balance.checked_sub(tokens(3)).unwrap();
    world.accept(Command::Close(Box::new(close)));
    let earned = world.channel(PAYMENT).spent;
    assert_eq!(
        world.account(SELLER_ACTOR).balance,
        earned,
        "all that its buyers paid, once"
    );
}
