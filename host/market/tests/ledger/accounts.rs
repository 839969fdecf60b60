//! Genesis and the faucet.

use crate::world::*;
use bourse_market::*;

#[test]
fn the_float_is_the_market_makers() {
    let world = World::endowed();
    assert_eq!(
        world.account(MM),
        Account {
            balance: tokens(1000),
            granted: Amount::ZERO
        }
    );
    assert_eq!(
        world.ledger.totals().unwrap(),
        Totals {
            float: tokens(1000),
            granted: Amount::ZERO
        }
    );
}

#[test]
fn a_second_start_of_the_same_market_changes_nothing() {
    let mut world = World::trading();
    let before = world.ledger.clone();
    let again = Genesis {
        float: tokens(7),
        at: Nanos(99),
        ..genesis()
    };
    assert_eq!(world.accept(Command::Genesis(again)), Outcome::Done);
    assert_eq!(before, world.ledger);
}

#[test]
fn a_ledger_of_another_market_is_refused() {
    let others = [
        Genesis {
            market: MarketId([9; 16]),
            ..genesis()
        },
        Genesis {
            marketmaker: STRANGER,
            ..genesis()
        },
        Genesis {
            owner: STRANGER,
            ..genesis()
        },
        Genesis {
            local: false,
            ..genesis()
        },
    ];
    for other in others {
        World::endowed().refuse(Command::Genesis(other), Refusal::GenesisMismatch);
    }
}

#[test]
fn grants_add_up() {
    let mut world = World::endowed();
    world.fund(BUYER, tokens(3));
    let outcome = world.accept(Command::Fund(FundRequest {
        address: BUYER,
        amount: tokens(4),
        at: world.now,
    }));
    let account = Account {
        balance: tokens(7),
        granted: tokens(7),
    };
    assert_eq!(outcome, Outcome::Funded(account));
    assert_eq!(world.account(BUYER), account);
    assert_eq!(world.ledger.totals().unwrap().granted, tokens(7));
}

#[test]
fn grants_never_overflow_the_sum_of_all_tokens() {
    let mut world = World::endowed();
    let fund = |amount| {
        Command::Fund(FundRequest {
            address: BUYER,
            amount,
            at: Nanos(1),
        })
    };
    world.refuse(fund(Amount::MAX), Refusal::Overflow);
    let rest = Amount::MAX.checked_sub(tokens(1000)).unwrap();
    world.accept(fund(rest));
    world.refuse(fund(Amount::from_units(1)), Refusal::Overflow);
}

#[test]
fn a_market_on_a_chain_keeps_no_accounts() {
    let mut world = World::empty();
    world.accept(Command::Genesis(Genesis {
        local: false,
        ..genesis()
    }));
    world.refuse(
        Command::Fund(FundRequest {
            address: BUYER,
            amount: tokens(1),
            at: world.now,
        }),
        Refusal::NotLocal,
    );
    world.accept(Command::Open(Box::new(world.open_payment())));
    world.accept(Command::Open(Box::new(world.open_paying())));
    world.place(|_| ());
    world.buy();
    assert_eq!(world.ledger.accounts().count(), 0);
    assert_eq!(world.ledger.totals().unwrap(), Totals::default());
}

#[test]
fn nothing_works_before_genesis() {
    let mut world = World::empty();
    let commands = [
        Command::Fund(FundRequest {
            address: BUYER,
            amount: tokens(1),
            at: world.now,
        }),
        Command::Open(Box::new(world.open_payment())),
        Command::Place(Box::new(PlaceRequest {
            offer: world.offer(),
            escrow: None,
        })),
    ];
    for command in commands {
        world.refuse(command, Refusal::NoGenesis);
    }
}
