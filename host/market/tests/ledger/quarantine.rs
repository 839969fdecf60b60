//! After a restored backup: no channel moves before its delegate showed the latest state, or the operator bore the loss.

use crate::world::*;
use bourse_market::*;

/// A market that sold KEY once, restored: both channels at seq 2, with 90 and 40 left, in quarantine.
fn restored() -> World {
    let mut world = World::proven();
    shut(&mut world, PAYMENT);
    shut(&mut world, PAYING);
    world
}

fn shut(world: &mut World, channel: ChannelId) {
    world.accept(Command::Quarantine {
        channel,
        at: Nanos(5),
    });
}

/// The latest state as `signer` shows it.
fn shown(channel: ChannelId, seq: u32, balance: u64, signer: Address) -> ReconcileRequest {
    let state = ShownState {
        seq: Seq(seq),
        balance: tokens(balance),
        signature: signature(0xd),
        countersignature: Some(signature(0xf)),
    };
    ReconcileRequest {
        channel,
        shown: Some(Shown {
            state,
            signer,
            countersigner: Some(MM),
        }),
        accept_loss: false,
        prepaid: None,
        at: Nanos(6),
    }
}

fn reconcile(request: &ReconcileRequest) -> Command {
    Command::Reconcile(Box::new(request.clone()))
}

fn not_latest(channel: ChannelId, remaining: u64, got_seq: u32, got_balance: u64) -> Refusal {
    Refusal::NotLatest {
        channel,
        seq: Seq(2),
        remaining: tokens(remaining),
        got_seq: Seq(got_seq),
        got_balance: tokens(got_balance),
    }
}

#[test]
fn nothing_moves_a_channel_in_quarantine_and_nobody_finds_it_as_active() {
    let mut world = restored();
    let refused = |channel| Refusal::ChannelQuarantined { channel };
    let request = world.request();
    world.refuse(Command::Reserve(Box::new(request.clone())), refused(PAYMENT));
    for id in [PAYMENT, PAYING] {
        let close = world.close_request(id);
        world.refuse(Command::Close(Box::new(close)), refused(id));
        assert!(!world.channel(id).is_live());
    }
    // The buyer's is free, the seller's is not.
    world.accept(reconcile(&shown(PAYMENT, 2, 90, BUYER)));
    world.refuse(Command::Reserve(Box::new(request)), refused(PAYING));
    world.accept(reconcile(&shown(PAYING, 2, 40, SELLER)));
    world.buy();
    assert!(world.channel(PAYMENT).is_live());
}

#[test]
fn a_receipt_from_before_is_replayed_all_the_same() {
    let mut world = World::trading();
    let request = world.request();
    let id = world.reserve(request.clone()).id;
    world.post(id);
    shut(&mut world, PAYMENT);
    let outcome = world.accept(Command::Reserve(Box::new(request)));
    assert!(matches!(outcome, Outcome::Replayed(purchase) if purchase.id == id));
}

#[test]
fn a_purchase_that_the_backup_has_under_way_is_voided_and_leaves_its_channels_in_quarantine() {
    let mut world = World::trading();
    let request = world.request();
    let id = world.reserve(request).id;
    shut(&mut world, PAYMENT);
    shut(&mut world, PAYING);
    let pending = Refusal::PurchasePending {
        purchase: id,
        same: false,
    };
    world.refuse(reconcile(&shown(PAYMENT, 1, 100, BUYER)), pending);
    world.void(id, true);
    assert_eq!(world.channel(PAYMENT).quarantined, Some(Nanos(5)));
    assert_eq!(world.channel(PAYING).quarantined, Some(Nanos(5)));
    world.accept(reconcile(&shown(PAYMENT, 1, 100, BUYER)));
}

#[test]
fn the_ledgers_own_state_releases_and_is_kept_with_its_signature() {
    let mut world = restored();
    let request = shown(PAYMENT, 2, 90, BUYER);
    let outcome = world.accept(reconcile(&request));
    let expected = Reconciliation {
        channel: PAYMENT,
        kind: ChannelKind::Payment,
        at: Nanos(6),
        quarantined: Nanos(5),
        seq: Seq(2),
        remaining: tokens(90),
        shown: request.shown.map(|shown| shown.state),
    };
    assert_eq!((expected.positions(), expected.amount()), (0, Amount::ZERO));
    assert_eq!(outcome, Outcome::Reconciled(Box::new(expected)));
    world.refuse(reconcile(&request), Refusal::NotQuarantined { channel: PAYMENT });
}

#[test]
fn a_thief_that_shows_an_older_state_or_more_than_is_left_or_signs_for_another_gets_nothing() {
    let mut world = restored();
    let wrong = Refusal::WrongSigner {
        signer: STRANGER,
        expected: BUYER,
    };
    world.refuse(reconcile(&shown(PAYMENT, 2, 90, STRANGER)), wrong.clone());
    for accept_loss in [false, true] {
        for (seq, balance) in [(1, 100), (2, 100), (2, 89), (3, 91), (9, 100), (1, 90), (0, 0)] {
            let request = ReconcileRequest {
                accept_loss,
                ..shown(PAYMENT, seq, balance, BUYER)
            };
            world.refuse(reconcile(&request), not_latest(PAYMENT, 90, seq, balance));
        }
        let request = ReconcileRequest {
            accept_loss,
            ..shown(PAYMENT, 7, 30, STRANGER)
        };
        world.refuse(reconcile(&request), wrong.clone());
    }
    assert_eq!(world.channel(PAYMENT).quarantined, Some(Nanos(5)));
}

#[test]
fn a_later_state_is_posted_only_with_the_loss_accepted_and_the_channel_goes_on_from_there() {
    let mut world = restored();
    for (id, left, balance, signer) in [(PAYMENT, 90, 60, BUYER), (PAYING, 40, 15, SELLER)] {
        let request = shown(id, 5, balance, signer);
        let missing = Refusal::RecordsMissing {
            channel: id,
            seq: Seq(2),
            remaining: tokens(left),
            got_seq: Seq(5),
            got_balance: tokens(balance),
        };
        world.refuse(reconcile(&request), missing);
        let accepted = ReconcileRequest {
            accept_loss: true,
            ..request
        };
        let Outcome::Reconciled(record) = world.accept(reconcile(&accepted)) else {
            panic!("it was not reconciled");
        };
        assert_eq!((record.positions(), record.amount()), (3, tokens(left - balance)));
        let channel = world.channel(id);
        assert_eq!((channel.seq, channel.remaining), (Seq(5), tokens(balance)));
        assert_eq!(channel.spent, tokens(10 + left - balance));
    }
    // Sold, and closed, at what is left: every unit is accounted for.
    world.buy();
    world.close(PAYMENT);
    world.close(PAYING);
    assert_eq!(world.account(SELLER_ACTOR).balance, tokens(10 + 25 + 10));
}

#[test]
fn the_operators_word_alone_releases_at_the_ledgers_state() {
    let mut world = restored();
    let mut request = ReconcileRequest {
        shown: None,
        ..shown(PAYING, 0, 0, SELLER)
    };
    world.refuse(reconcile(&request), Refusal::NothingShown { channel: PAYING });
    request.accept_loss = true;
    world.accept(reconcile(&request));
    let channel = world.channel(PAYING);
    assert_eq!((channel.seq, channel.remaining), (Seq(2), tokens(40)));
    assert_eq!(channel.quarantined, None);
}

#[test]
fn a_channel_may_be_restored_and_reconciled_again_and_again() {
    let mut world = restored();
    for (at, seq, balance) in [(10, 3, 80), (20, 3, 80), (30, 8, 80)] {
        shut(&mut world, PAYMENT);
        world.accept(reconcile(&ReconcileRequest {
            accept_loss: true,
            at: Nanos(at),
            ..shown(PAYMENT, seq, balance, BUYER)
        }));
    }
    assert_eq!(world.channel(PAYMENT).seq, Seq(8));
    shut(&mut world, PAYMENT);
    shut(&mut world, PAYMENT);
    assert_eq!(world.channel(PAYMENT).quarantined, Some(Nanos(5)));
}

#[test]
fn what_is_settled_is_not_shut_again() {
    let mut world = World::proven();
    world.close(PAYMENT);
    shut(&mut world, PAYMENT);
    assert_eq!(world.channel(PAYMENT).quarantined, None);
    let unknown = ChannelId([9; 16]);
    world.refuse(
        Command::Quarantine {
            channel: unknown,
            at: Nanos(1),
        },
        Refusal::ChannelUnknown { channel: unknown },
    );
}

#[test]
fn a_way_out_of_quarantine_that_did_not_happen_is_found() {
    let mut world = restored();
    let record = |channel, seq, balance| Reconciliation {
        channel,
        kind: ChannelKind::Payment,
        at: Nanos(6),
        quarantined: Nanos(5),
        seq: Seq(2),
        remaining: tokens(90),
        shown: Some(ShownState {
            seq: Seq(seq),
            balance: tokens(balance),
            signature: signature(0xd),
            countersignature: None,
        }),
    };
    let found = |record| {
        let mut ledger = world.ledger.clone();
        ledger.commit(vec![Change::Reconciliation(Box::new(record))]);
        let violations = ledger.audit();
        violations.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let id = PAYMENT;
    assert_eq!(
        found(record(PAYMENT, 4, 80)),
        [
            format!("channel {id} stands at seq 2, posted purchases and their recoveries moved it by 3"),
            format!("channel {id} has spent 10, its posted purchases add up to 20"),
            format!("channel {id}: the balances of its posted purchases do not form one line"),
            "buyers paid 10, sellers received 10 for it and the market 0".to_owned(),
        ]
    );
    assert_eq!(
        found(record(PAYMENT, 1, 90)),
        [format!(
            "channel {id}: it was reconciled to a state before its own"
        )]
    );
    let claimed = Reconciliation {
        kind: ChannelKind::Paying,
        ..record(PAYING, 3, 80)
    };
    assert_eq!(
        found(claimed)[0],
        format!("channel {PAYING}: it was reconciled to a later state on its seller's word alone")
    );
    let stranger = ChannelId([9; 16]);
    assert_eq!(
        found(record(stranger, 2, 90)),
        [format!("channel {stranger}: it was reconciled and is not there")]
    );
    world.accept(reconcile(&shown(PAYMENT, 2, 90, BUYER)));
}

#[test]
fn a_seller_that_signs_for_itself_what_it_is_owed_gets_nothing_and_a_buyer_may_say_what_it_paid() {
    let mut world = restored();
    for countersigner in [None, Some(SELLER), Some(STRANGER)] {
        for accept_loss in [false, true] {
            let mut request = ReconcileRequest {
                accept_loss,
                ..shown(PAYING, 9, 0, SELLER)
            };
            request.shown.as_mut().unwrap().countersigner = countersigner;
            let refusal = Refusal::NotCountersigned {
                channel: PAYING,
                got_seq: Seq(9),
                got_balance: Amount::ZERO,
            };
            world.refuse(reconcile(&request), refusal);
        }
    }
    // What the ledger holds itself needs nobody else's word.
    let mut own = shown(PAYING, 2, 40, SELLER);
    own.shown.as_mut().unwrap().countersigner = None;
    world.accept(reconcile(&own));
    // What a buyer says that it paid is against its own interest. The market is audited after each step, so that its
    // seller's side may stay behind.
    let mut paid = ReconcileRequest {
        accept_loss: true,
        ..shown(PAYMENT, 3, 70, BUYER)
    };
    paid.shown.as_mut().unwrap().countersigner = None;
    world.accept(reconcile(&paid));
}

/// The seller's later state, three positions and 25 tokens beyond the ledger's, with what the operator knows of it.
fn later(prepaid: Option<Amount>) -> ReconcileRequest {
    ReconcileRequest {
        accept_loss: true,
        prepaid,
        ..shown(PAYING, 5, 15, SELLER)
    }
}

fn opened_for_buying(prepaid: Option<Amount>) -> World {
    let mut world = restored();
    world.accept(reconcile(&shown(PAYMENT, 2, 90, BUYER)));
    world.accept(reconcile(&later(prepaid)));
    world
}

#[test]
fn a_seller_has_earned_what_the_market_maker_signed_for_unless_the_operator_knows_better() {
    let mut world = opened_for_buying(None);
    assert_eq!(world.channel(PAYING).prepaid, Amount::ZERO);
    world.buy();
    assert_eq!(world.channel(PAYING).remaining, tokens(5));
    world.close(PAYING);
    assert_eq!(world.account(SELLER_ACTOR).balance, tokens(10 + 25 + 10));
}

#[test]
fn what_a_seller_was_paid_for_a_void_purchase_of_a_lost_record_is_netted_and_given_back() {
    // Of the 25, a sale at 13 was void: its seller shows the state that it was asked for all the same.
    let mut world = opened_for_buying(Some(tokens(13)));
    let paying = world.channel(PAYING);
    assert_eq!((paying.prepaid, paying.unresolved), (tokens(13), 1));
    world.buy();
    let paying = world.channel(PAYING);
    assert_eq!((paying.prepaid, paying.remaining), (tokens(3), tokens(15)));
    let closed = world.close(PAYING);
    assert_eq!((closed.remaining, closed.returned()), (tokens(18), tokens(3)));
    assert_eq!(world.account(SELLER_ACTOR).balance, tokens(10 + 12 + 10));
}

#[test]
fn no_more_is_prepaid_than_was_paid_and_nothing_where_nothing_moved() {
    let mut world = restored();
    let beyond = |channel, least, most, got| Refusal::PrepaidBeyond {
        channel,
        least,
        most,
        got,
    };
    let none = Amount::ZERO;
    let much = tokens(25).checked_add(Amount::from_units(1)).unwrap();
    world.refuse(
        reconcile(&later(Some(much))),
        beyond(PAYING, none, tokens(25), much),
    );
    for (channel, balance, signer) in [(PAYMENT, 90, BUYER), (PAYING, 40, SELLER)] {
        let still = ReconcileRequest {
            prepaid: Some(tokens(1)),
            ..shown(channel, 2, balance, signer)
        };
        world.refuse(reconcile(&still), beyond(channel, none, none, tokens(1)));
    }
    let buyers = ReconcileRequest {
        accept_loss: true,
        prepaid: Some(tokens(1)),
        ..shown(PAYMENT, 3, 80, BUYER)
    };
    world.refuse(reconcile(&buyers), beyond(PAYMENT, none, none, tokens(1)));
    world.accept(reconcile(&later(Some(tokens(25)))));
}

/// A restored market whose seller had adopted a state for 10 that its buyer never paid, and then sold at 4: 6 are prepaid.
fn restored_prepaid() -> World {
    let mut world = World::proven();
    world.buy_unclear();
    world.accept(Command::ReleaseChannel {
        channel: PAYING,
        by_operator: false,
    });
    world.force_offer(|offer| offer.price = Price::Fixed(tokens(4)));
    let request = world.request_at(tokens(4));
    let id = world.reserve(request).id;
    let step = world.netting_requests(id).remove(0);
    world.accept(Command::Recover(step));
    let mut post = world.post_request(id);
    post.recovered = 1;
    world.accept(Command::Post(Box::new(post)));
    let paying = world.channel(PAYING);
    assert_eq!(
        (paying.seq, paying.remaining, paying.prepaid),
        (Seq(4), tokens(30), tokens(6))
    );
    shut(&mut world, PAYING);
    world
}

#[test]
fn what_was_prepaid_before_stands_until_a_state_shows_that_more_was_paid() {
    for (seq, balance, said, prepaid) in [
        // The ledger's own, and one at which nothing was paid: all of it, or what the operator knows to be left.
        (4, 30, None, 6),
        (6, 30, None, 6),
        (6, 30, Some(tokens(2)), 2),
        // Nothing is paid before all is netted. If that sale was void, nothing was.
        (6, 25, None, 0),
        (5, 25, Some(tokens(11)), 11),
    ] {
        let mut world = restored_prepaid();
        world.accept(reconcile(&ReconcileRequest {
            accept_loss: true,
            prepaid: said,
            ..shown(PAYING, seq, balance, SELLER)
        }));
        assert_eq!(
            world.channel(PAYING).prepaid,
            tokens(prepaid),
            "{seq} {balance} {said:?}"
        );
        world.close(PAYING);
        let earned = 50 - balance - prepaid;
        assert_eq!(world.account(SELLER_ACTOR).balance, tokens(earned));
    }
}

#[test]
fn the_auditor_finds_what_nobody_can_have_told_to_be_prepaid() {
    let mut world = opened_for_buying(Some(tokens(13)));
    for prepaid in [26, 35] {
        world.force_channel(PAYING, |channel| channel.prepaid = tokens(prepaid));
        let found = world.ledger.audit();
        let what = |violation: &Violation| matches!(violation, Violation::PrepaidMismatch { .. });
        assert!(found.iter().any(what), "{found:?}");
    }
    // Nor does a state that moved nothing explain any.
    let mut world = restored();
    world.accept(reconcile(&shown(PAYING, 2, 40, SELLER)));
    world.force_channel(PAYING, |channel| channel.prepaid = tokens(1));
    assert!(!world.ledger.audit().is_empty());
}
