//! Settlement vouchers: what a buyer may spend on its word, and what the ledger keeps of its claims.

use crate::world::*;
use bourse_market::voucher::*;
use bourse_market::*;

fn signed(seq: Seq, balance: Amount, close_at: u64) -> SignedVoucher {
    SignedVoucher {
        seq,
        balance,
        close_at: BlockNumber(close_at),
        signature: signature(9),
        signer: BUYER,
    }
}

/// The buyer's next request, of which at most 25 tokens are taken on trust, with a voucher over block `close_at`.
fn request(world: &mut World, close_at: Option<u64>) -> ReserveRequest {
    let mut request = world.request();
    let identity = request.order.identity;
    request.order.cover = Some(Cover {
        most: tokens(25),
        not_before: BlockNumber(0),
        voucher: close_at.map(|close_at| signed(identity.seq, identity.balance, close_at)),
    });
    request
}

/// Buys with it.
fn buy(world: &mut World, close_at: Option<u64>) {
    let request = request(world, close_at);
    let voucher = request.order.cover.clone().unwrap().voucher;
    let id = world.reserve(request).id;
    let post = PostRequest {
        voucher,
        ..world.post_request(id)
    };
    world.accept(Command::Post(Box::new(post)));
}

fn kept(world: &World) -> Option<Voucher> {
    world.ledger.voucher(&PAYMENT).unwrap()
}

fn renew(world: &World, voucher: SignedVoucher) -> Command {
    Command::Renew(Box::new(RenewRequest {
        channel: PAYMENT,
        voucher,
        at: world.now,
    }))
}

/// The state that is posted, over that block.
fn standing(world: &World, close_at: u64) -> SignedVoucher {
    let channel = world.channel(PAYMENT);
    signed(channel.seq, channel.posted_remaining(), close_at)
}

#[test]
fn what_is_spent_beyond_the_limit_needs_a_voucher_over_the_state_it_leads_to() {
    let mut world = World::trading();
    buy(&mut world, None);
    buy(&mut world, None);
    let beyond = request(&mut world, None);
    world.refuse(
        Command::Reserve(Box::new(beyond)),
        Refusal::Unsettled {
            spent: tokens(20),
            price: tokens(10),
            most: tokens(25),
        },
    );
    buy(&mut world, Some(700));
    let channel = world.channel(PAYMENT);
    let voucher = kept(&world).unwrap();
    assert_eq!(
        (voucher.seq, voucher.balance, voucher.close_at),
        (channel.seq, channel.posted_remaining(), BlockNumber(700))
    );
    // One voucher is for one state: the next purchase brings its own, or none happens.
    let beyond = request(&mut world, None);
    world.refuse(
        Command::Reserve(Box::new(beyond)),
        Refusal::Unsettled {
            spent: tokens(30),
            price: tokens(10),
            most: tokens(25),
        },
    );
    buy(&mut world, Some(701));
    assert_eq!(kept(&world).unwrap().close_at, BlockNumber(701));
}

#[test]
fn a_voucher_for_another_state_or_of_another_signer_is_refused() {
    let mut world = World::trading();
    let good = request(&mut world, Some(5));
    let state = good.order.identity;
    let with = |change: &dyn Fn(&mut SignedVoucher)| {
        let mut request = good.clone();
        change(request.order.cover.as_mut().unwrap().voucher.as_mut().unwrap());
        Command::Reserve(Box::new(request))
    };
    let misfits = |got_seq, got_balance| Refusal::VoucherMisfits {
        seq: state.seq,
        balance: state.balance,
        got_seq,
        got_balance,
    };
    let next = state.seq.next().unwrap();
    world.refuse(with(&|voucher| voucher.seq = next), misfits(next, state.balance));
    world.refuse(
        with(&|voucher| voucher.balance = tokens(1)),
        misfits(state.seq, tokens(1)),
    );
    world.refuse(
        with(&|voucher| voucher.signer = SELLER),
        Refusal::WrongSigner {
            signer: SELLER,
            expected: BUYER,
        },
    );
    world.reserve(good);
}

#[test]
fn what_is_kept_of_a_purchase_is_looked_at_again_when_it_is_posted() {
    let mut world = World::trading();
    let good = request(&mut world, Some(5));
    let voucher = good.order.cover.clone().unwrap().voucher.unwrap();
    let (seq, balance) = (voucher.seq, voucher.balance);
    let id = world.reserve(good).id;
    let post = |world: &World, voucher| {
        Command::Post(Box::new(PostRequest {
            voucher: Some(voucher),
            ..world.post_request(id)
        }))
    };
    let cheaper = SignedVoucher {
        balance: tokens(499),
        ..voucher.clone()
    };
    let refused = Refusal::VoucherMisfits {
        seq,
        balance,
        got_seq: seq,
        got_balance: tokens(499),
    };
    world.refuse(post(&world, cheaper), refused);
    let foreign = SignedVoucher {
        signer: SELLER,
        ..voucher.clone()
    };
    let refused = Refusal::WrongSigner {
        signer: SELLER,
        expected: BUYER,
    };
    world.refuse(post(&world, foreign), refused);
    world.accept(post(&world, voucher));
}

#[test]
fn a_purchase_that_is_void_leaves_the_voucher_and_one_without_takes_it_away() {
    let mut world = World::trading();
    buy(&mut world, Some(5));
    let before = kept(&world);
    let void = request(&mut world, Some(9));
    let id = world.reserve(void).id;
    let reason = VoidReason {
        error: "wamp.error.no_such_procedure".to_owned(),
        text: "gone".to_owned(),
        ambiguous: false,
    };
    world.accept(Command::Void(VoidRequest {
        id,
        at: world.now,
        reason,
    }));
    assert_eq!(kept(&world), before);
    // Within the limit it may: what is on record is never for another state than the posted one.
    buy(&mut world, None);
    assert_eq!(kept(&world), None);
}

#[test]
fn a_voucher_is_renewed_over_the_posted_state_and_a_later_block_and_lapses() {
    let mut world = World::trading();
    let early = standing(&world, 5);
    world.refuse(renew(&world, early), Refusal::NothingSpent { channel: PAYMENT });
    buy(&mut world, Some(10));
    let same = standing(&world, 10);
    world.accept(renew(&world, same));
    let older = standing(&world, 9);
    world.refuse(
        renew(&world, older),
        Refusal::VoucherOlder {
            close_at: BlockNumber(10),
            got: BlockNumber(9),
        },
    );
    let (seq, balance) = (
        world.channel(PAYMENT).seq,
        world.channel(PAYMENT).posted_remaining(),
    );
    world.refuse(
        renew(&world, signed(Seq::FIRST, balance, 11)),
        Refusal::VoucherMisfits {
            seq,
            balance,
            got_seq: Seq::FIRST,
            got_balance: balance,
        },
    );
    let newer = standing(&world, 20);
    world.accept(renew(&world, newer));
    let lapse = |close_at| Command::Lapse {
        channel: PAYMENT,
        close_at: BlockNumber(close_at),
    };
    world.accept(lapse(19));
    assert_eq!(kept(&world).unwrap().close_at, BlockNumber(20));
    world.accept(lapse(20));
    assert_eq!(kept(&world), None);
    // Not while a purchase is under way: nobody knows which state is next.
    let pending = request(&mut world, None);
    let purchase = world.reserve(pending).id;
    let newest = standing(&world, 21);
    world.refuse(
        renew(&world, newest),
        Refusal::PurchasePending {
            purchase,
            same: false,
        },
    );
    world.refuse(
        Command::Renew(Box::new(RenewRequest {
            channel: PAYING,
            voucher: signed(seq, balance, 30),
            at: Nanos(1),
        })),
        Refusal::ChannelUnknown { channel: PAYING },
    );
}

#[test]
fn a_channel_that_goes_on_from_what_its_delegate_shows_has_no_voucher() {
    let mut world = World::trading();
    buy(&mut world, Some(10));
    world.accept(Command::Quarantine {
        channel: PAYMENT,
        at: world.now,
    });
    let channel = world.channel(PAYMENT);
    let state = ShownState {
        seq: channel.seq.next().unwrap(),
        balance: channel.posted_remaining().checked_sub(tokens(1)).unwrap(),
        signature: signature(1),
        countersignature: None,
    };
    world.accept(Command::Reconcile(Box::new(ReconcileRequest {
        channel: PAYMENT,
        shown: Some(Shown {
            state,
            signer: BUYER,
            countersigner: None,
        }),
        accept_loss: true,
        prepaid: None,
        at: world.now,
    })));
    assert_eq!(kept(&world), None);
}

#[test]
fn an_audit_sees_a_voucher_for_another_state() {
    let mut world = World::trading();
    buy(&mut world, Some(10));
    let mut voucher = kept(&world).unwrap();
    voucher.balance = tokens(1);
    let mut ledger = world.ledger.clone();
    ledger.commit(vec![Change::Voucher(PAYMENT, Some(Box::new(voucher)))]);
    let found = ledger.audit();
    assert!(
        found
            .iter()
            .any(|found| found.to_string().contains("its voucher is for another state")),
        "{found:?}"
    );
}

/// A buyer with a purchase under way cannot be closed: by one after the other it would wait until its voucher lapses.
#[test]
fn over_a_channel_that_is_about_to_be_closed_by_its_voucher_nothing_is_bought() {
    let mut world = World::trading();
    for _ in 0..3 {
        buy(&mut world, Some(10));
    }
    let due = |world: &mut World, close_at| {
        let mut request = request(world, Some(close_at));
        request.order.cover.as_mut().unwrap().not_before = BlockNumber(11);
        Command::Reserve(Box::new(request))
    };
    let order = due(&mut world, 900);
    world.refuse(
        order,
        Refusal::VoucherDue {
            channel: PAYMENT,
            close_at: BlockNumber(10),
        },
    );
    let newer = standing(&world, 11);
    world.accept(renew(&world, newer));
    let order = due(&mut world, 900);
    world.accept(order);
}
