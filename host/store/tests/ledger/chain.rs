//! Following a chain against a ledger in memory: forwards, backwards, in between starts.

use crate::fixture::*;
use bourse_market::chain::*;
use bourse_market::registry::*;
use bourse_market::*;
use bourse_store::{Reader, Store};
use std::ops::ControlFlow;

fn on_chain() -> Command {
    Command::Genesis(Genesis {
        market: MARKET,
        marketmaker: MAKER,
        owner: MAKER,
        float: Amount::ZERO,
        local: false,
        at: Nanos(1),
    })
}

fn event(dice: &mut Dice) -> ChainEvent {
    let key = ActorKey {
        market: MARKET,
        actor: address(b'm', dice.below(4)),
        kind: ActorType::Provider,
    };
    let channel = ChannelId(id(b'c', dice.below(6)));
    match dice.below(8) {
        0 => ChainEvent::MemberChanged {
            member: key.actor,
            registered: dice.one_in(2),
            eula: "QmEula".to_owned(),
            profile: String::new(),
            level: MemberLevel::Active,
        },
        1 => ChainEvent::MemberRetired { member: key.actor },
        2 => ChainEvent::ActorJoined {
            key,
            security: Amount::from_tokens(dice.below(9)),
            meta: String::new(),
        },
        3 => ChainEvent::ActorLeft { key },
        4 => ChainEvent::CatalogCreated {
            catalog: CatalogId(id(b'C', dice.below(4))),
            seq: 1,
            owner: key.actor,
            terms: String::new(),
            meta: "QmMeta".to_owned(),
        },
        5 => {
            let about = ConsentKey {
                catalog: CatalogId(id(b'C', dice.below(2))),
                member: key.actor,
                delegate: address(b'd', dice.below(2)),
                delegate_type: ActorType::Provider,
                market: MARKET,
            };
            ChainEvent::ConsentSet {
                id: ConsentId(id(
                    about.catalog.0[15],
                    u64::from(about.member.0[19]) * 16 + u64::from(about.delegate.0[19]),
                )),
                key: about,
                signed_at: BlockNumber(dice.below(9)),
                granted: dice.one_in(2),
                service_prefix: "com.".to_owned(),
            }
        }
        6 => ChainEvent::Opened(Box::new(ChannelTerms {
            channel,
            kind: ChannelKind::Payment,
            market: MARKET,
            actor: key.actor,
            delegate: address(b'd', dice.below(2)),
            marketmaker: MAKER,
            recipient: MAKER,
            amount: Amount::from_tokens(1 + dice.below(3)),
            signature: Signature([7; 65]),
        })),
        _ => ChainEvent::Closed {
            channel,
            payout: Payout {
                payout: Amount::ZERO,
                fee: Amount::ZERO,
                refund: Amount::from_tokens(1),
                at: 5,
            },
        },
    }
}

/// The next command, of a chain whose blocks are read some at a time, and dropped now and then.
fn next(dice: &mut Dice, tip: Option<&AppliedBlock>, kept: &[BlockRef]) -> Command {
    if dice.one_in(6)
        && let (Some(tip), Some(to)) = (tip, kept.get(dice.below(1 + kept.len() as u64) as usize))
        && to.number < tip.block.number
    {
        return Command::Unwind(Unwind {
            from: tip.block,
            to: *to,
            at: Nanos(10_000 + dice.below(1_000_000)),
        });
    }
    let number = tip.map_or(1, |tip| tip.block.number.0 + 1 + dice.below(3));
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    hash[8..16].copy_from_slice(&dice.below(1 << 40).to_be_bytes());
    let events = (0..dice.below(5)).map(|_| Logged {
        event: event(dice),
        mined: Mined {
            block: BlockNumber(number),
            transaction: TransactionHash(hash),
        },
    });
    Command::Advance(Box::new(Advance {
        after: tip.map(|tip| tip.block),
        to: BlockRef {
            number: BlockNumber(number),
            hash: BlockHash(hash),
        },
        events: events.collect(),
        head: BlockNumber(0),
        settled_below: BlockNumber(number.saturating_sub(12)),
        at: Nanos(number),
    }))
}

/// Everything that is on record, as it would be exported.
fn everything(store: &Store) -> Vec<String> {
    let mut all = Vec::new();
    let reader = store.read().unwrap();
    for table in Reader::exported() {
        let visit = &mut |record| {
            all.push(format!("{table} {record:?}"));
            ControlFlow::Continue(())
        };
        reader.export(table, visit).unwrap();
    }
    all
}

#[test]
fn a_ledger_on_disk_follows_a_chain_that_forks_as_one_in_memory_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let mut dice = Dice(77);
    let mut model = MemoryLedger::new();
    do_all(&store, [on_chain()]);
    model.submit(&on_chain()).unwrap();
    let mut unwound = 0;
    for step in 0..600 {
        let tip = model.chain_tip().unwrap();
        let kept: Vec<_> = model.applied_from(BlockNumber(0)).unwrap();
        let kept: Vec<_> = kept.iter().map(|applied| applied.block).collect();
        let command = next(&mut dice, tip.as_ref(), &kept);
        unwound += usize::from(matches!(command, Command::Unwind(_)));
        let outcome = model.submit(&command).unwrap();
        assert_eq!(store.submit_blocking(command).unwrap(), outcome, "{step}");
        assert_eq!(
            store.read().unwrap().chain_tip().unwrap(),
            model.chain_tip().unwrap()
        );
        if step % 100 == 99 {
            assert_sound(&store);
            drop(store);
            store = open(folder.path());
        }
    }
    assert!(unwound > 30, "{unwound}");
    assert_eq!(model.audit(), []);
    for number in 0..6 {
        let channel = ChannelId(id(b'c', number));
        let reader = store.read().unwrap();
        assert_eq!(
            reader.channel(&channel).unwrap(),
            model.channel(&channel).unwrap()
        );
        assert_eq!(reader.anchor(&channel).unwrap(), model.anchor(&channel).unwrap());
    }
    for number in 0..4 {
        let member = address(b'm', number);
        assert_eq!(
            store.read().unwrap().member(&member).unwrap(),
            model.member(&member).unwrap()
        );
    }
}

/// W-35: what a block changed goes with it.
#[test]
fn blocks_taken_back_leave_every_record_and_entry_of_the_registry_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut dice = Dice(78);
    do_all(&store, [on_chain()]);
    let tip = |store: &Store| store.read().unwrap().chain_tip().unwrap();
    for _ in 0..20 {
        let command = next(&mut dice, tip(&store).as_ref(), &[]);
        do_all(&store, [command]);
    }
    let (before, to) = (everything(&store), tip(&store).unwrap().block);
    for _ in 0..10 {
        let mut command = next(&mut dice, tip(&store).as_ref(), &[]);
        if let Command::Advance(advance) = &mut command {
            advance
                .events
                .retain(|logged| !matches!(logged.event, ChainEvent::Opened(_) | ChainEvent::Closed { .. }));
            advance.settled_below = BlockNumber(0);
        }
        do_all(&store, [command]);
    }
    assert_ne!(everything(&store), before);
    let from = tip(&store).unwrap().block;
    do_all(
        &store,
        [Command::Unwind(Unwind {
            from,
            to,
            at: Nanos(99),
        })],
    );
    assert_eq!(everything(&store), before);
    assert_sound(&store);
}

#[test]
fn a_restored_ledger_takes_openings_it_never_saw_for_channels_that_were_traded_over() {
    let folder = tempfile::tempdir().unwrap();
    let (old, backup, new) = ["old", "backup", "new"]
        .map(|name| folder.path().join(name))
        .into();
    let store = open(&old);
    let mut dice = Dice(79);
    do_all(&store, [on_chain()]);
    let tip = |store: &Store| store.read().unwrap().chain_tip().unwrap();
    for _ in 0..5 {
        let command = next(&mut dice, tip(&store).as_ref(), &[]);
        do_all(&store, [command]);
    }
    store.backup(&backup, Nanos(5)).unwrap();
    store.shutdown();
    Store::restore(&backup, &options(&new), Nanos(6), &mut |_, _| {}).unwrap();

    let store = open(&new);
    let open_at = |store: &Store, ahead: u64| {
        let tip = tip(store).unwrap().block;
        let number = tip.number.0 + 1;
        let channel = ChannelId(id(b'n', number));
        let event = ChainEvent::Opened(Box::new(ChannelTerms {
            channel,
            kind: ChannelKind::Payment,
            market: MARKET,
            actor: address(b'm', 1),
            delegate: address(b'd', 9),
            marketmaker: MAKER,
            recipient: MAKER,
            amount: Amount::from_tokens(1),
            signature: Signature([7; 65]),
        }));
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        let advance = Advance {
            after: Some(tip),
            to: BlockRef {
                number: BlockNumber(number),
                hash: BlockHash(hash),
            },
            events: vec![Logged {
                event,
                mined: Mined {
                    block: BlockNumber(number),
                    transaction: TransactionHash(hash),
                },
            }],
            head: BlockNumber(number + ahead),
            settled_below: BlockNumber(0),
            at: Nanos(number),
        };
        do_all(store, [Command::Advance(Box::new(advance))]);
        let channel = store.read().unwrap().channel(&channel).unwrap().unwrap();
        channel.quarantined.is_some()
    };
    // The chain was two blocks ahead when the restored ledger saw it first.
    let shut: Vec<bool> = (0..5).map(|_| open_at(&store, 2)).collect();
    assert_eq!(shut, [true, true, true, false, false]);
    assert_sound(&store);
}
