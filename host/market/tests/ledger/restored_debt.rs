//! What is owed for keys in escrow, after a restored backup.

use crate::escrow::{buy, close, debt, market, settling};
use crate::world::*;
use bourse_market::*;

/// A restored market in which the seller, owed 3, has two channels.
fn restored_with_a_debt() -> (World, ChannelId) {
    let mut world = market();
    buy(&mut world);
    let second = ChannelId([0xc3; 16]);
    let open = OpenRequest {
        id: second,
        ..world.open_paying()
    };
    world.accept(Command::Open(Box::new(open)));
    for channel in [PAYING, second] {
        let at = Nanos(5);
        world.accept(Command::Quarantine { channel, at });
    }
    (world, second)
}

fn accept_loss(world: &mut World, channel: ChannelId) {
    world.accept(Command::Reconcile(Box::new(ReconcileRequest {
        channel,
        shown: None,
        accept_loss: true,
        prepaid: None,
        at: Nanos(6),
    })));
}

#[test]
fn a_restored_debt_is_not_paid_over_one_channel_while_a_newer_ledger_may_have_paid_it_over_another() {
    let (mut world, second) = restored_with_a_debt();
    accept_loss(&mut world, PAYING);
    let settles = settling(&world, PAYING);
    let held = Refusal::DebtHeld {
        channel: PAYING,
        remaining: tokens(50),
        due: Box::new(tokens(3)),
        quarantined: second,
    };
    world.refuse(Command::Close(Box::new(settles.clone())), held);
    // Another balance does not close it either, and no error offers what is not to be had.
    let wrong = CloseRequest {
        balance: tokens(9),
        ..settles.clone()
    };
    let refusal = world.submit(Command::Close(Box::new(wrong))).unwrap_err();
    assert!(
        matches!(refusal, Refusal::NotPosted { due: None, .. }),
        "{refusal:?}"
    );
    // What it has earned live is paid, and the debt waits for the other channel.
    world.close(PAYING);
    assert_eq!(debt(&world).owed, tokens(3));
    accept_loss(&mut world, second);
    let settles = settling(&world, second);
    close(&mut world, settles);
    assert_eq!(debt(&world).owed, Amount::ZERO);
    assert_eq!(world.account(SELLER_ACTOR).balance, tokens(3));
}

#[test]
fn a_restored_debt_is_paid_once_all_channels_of_its_delegate_are_reconciled_whoever_else_waits() {
    let (mut world, second) = restored_with_a_debt();
    let at = Nanos(5);
    world.accept(Command::Quarantine { channel: PAYMENT, at });
    accept_loss(&mut world, second);
    accept_loss(&mut world, PAYING);
    let settles = settling(&world, PAYING);
    close(&mut world, settles);
    assert_eq!(debt(&world).owed, Amount::ZERO);
}
