//! The market maker's transactions on disk against those of a ledger in memory, in between starts.

use crate::fixture::*;
use bourse_market::chain::*;
use bourse_market::outbox::*;
use bourse_market::registry::*;
use bourse_market::*;
use bourse_store::Store;

fn on_chain() -> [Command; 2] {
    let genesis = Command::Genesis(Genesis {
        market: MARKET,
        marketmaker: MAKER,
        owner: MAKER,
        float: Amount::ZERO,
        local: false,
        at: Nanos(1),
    });
    [genesis, Command::MoveLine(Nonce(3))]
}

fn intend(dice: &mut Dice) -> Command {
    let number = dice.below(200);
    let kind = match number % 2 {
        0 => ChannelKind::Payment,
        _ => ChannelKind::Paying,
    };
    let actor = address(b'm', number % 7);
    let delegate = address(b'd', number % 7);
    Command::Intend(Box::new(IntendRequest {
        open: OpenRequest {
            id: ChannelId(id(b'c', number)),
            kind,
            market: MARKET,
            actor,
            delegate,
            marketmaker: MAKER,
            recipient: if kind == ChannelKind::Payment {
                MAKER
            } else {
                actor
            },
            amount: Amount::from_tokens(1 + number),
            open_at: Amount::from_units(7),
            signature: Signature([7; 65]),
            signer: actor,
            at: Nanos(9 + dice.below(40)),
        },
        bound_by: dice.one_in(2).then_some(delegate),
        limits: PayingLimits {
            provider: Amount::from_tokens(700),
            cap: Amount::from_tokens(3_000),
            minimum: Amount::from_tokens(2),
            payment_minimum: Amount::from_tokens(1),
            rate: OpeningRate {
                most: 9,
                within: Nanos(4),
            },
        },
        gas: OpeningGas {
            approve: 60_000,
            open: 600_000,
        },
    }))
}

fn carry(dice: &mut Dice) -> Command {
    let number = dice.below(40);
    let member = address(b'm', number % 7);
    let consent = ConsentId(id(b'g', number));
    let signed_at = BlockNumber(1 + dice.below(20));
    Command::Carry(Box::new(CarryRequest {
        said: ConsentRequest {
            consent: Consent {
                id: consent,
                key: ConsentKey {
                    catalog: CatalogId(id(b'a', number)),
                    member,
                    delegate: address(b'd', 1),
                    delegate_type: ActorType::Provider,
                    market: MARKET,
                },
                updated: signed_at,
                signed_at,
                at: Nanos(1 + dice.below(100)),
                granted: dice.one_in(2),
                service_prefix: "com.example.".to_owned(),
                attributes: Attributes::default(),
                transaction: None,
                signature: Some(Signature([7; 65])),
                synced: false,
            },
            signer: member,
            login: None,
        },
        signature: Signature([8; 65]),
        signer: member,
        limits: CarryLimits { member: 60, all: 300 },
        gas: 500_000,
    }))
}

fn hash(nonce: Nonce, most: u64) -> TransactionHash {
    let mut hash = [9; 32];
    hash[..8].copy_from_slice(&nonce.0.to_be_bytes());
    hash[8..16].copy_from_slice(&most.to_be_bytes());
    TransactionHash(hash)
}

/// A block with the openings that became something, or the end of some channel.
fn advance(dice: &mut Dice, model: &MemoryLedger) -> Command {
    let tip = model.chain_tip().unwrap().map(|applied| applied.block);
    let number = BlockNumber(tip.map_or(10, |tip| tip.number.0 + 1));
    let mut events = Vec::new();
    for intent in model.unfinished_intents().unwrap() {
        if let (Some(terms), Some(transaction)) = (intent.opens(), intent.transaction())
            && dice.one_in(2)
            && model.channel(&terms.channel).unwrap().is_none()
        {
            events.push(Logged {
                event: ChainEvent::Opened(Box::new(terms.clone())),
                mined: Mined {
                    block: number,
                    transaction,
                },
            });
        }
    }
    Command::Advance(Box::new(Advance {
        after: tip,
        to: BlockRef {
            number,
            hash: BlockHash([7; 32]),
        },
        events,
        settled_below: BlockNumber(number.0.saturating_sub(4)),
        head: number,
        at: Nanos(number.0),
    }))
}

fn next(dice: &mut Dice, model: &MemoryLedger) -> Command {
    let unfinished = model.unfinished_intents().unwrap();
    let line = model.nonce_line().unwrap().unwrap();
    let any = Nonce(line.first.0 + dice.below(1 + line.next.0 - line.first.0));
    let tip = model.chain_tip().unwrap();
    match dice.below(9) {
        0 | 1 => intend(dice),
        8 => carry(dice),
        2 | 3 if !unfinished.is_empty() => {
            let intent = &unfinished[dice.below(unfinished.len() as u64) as usize];
            let most = 10 + intent.attempts.len() as u64;
            Command::Attempt(AttemptRequest {
                nonce: intent.nonce,
                attempt: Attempt {
                    hash: hash(intent.nonce, most),
                    price: GasPrice::Legacy { price: most },
                    head: BlockNumber(5),
                    at: Nanos(6),
                },
            })
        }
        4 | 5 if !unfinished.is_empty() => {
            let intent = &unfinished[dice.below(unfinished.len() as u64) as usize];
            let mined = intent.attempts.last().map(|last| Mined {
                block: tip.map_or(BlockNumber(1), |tip| tip.block.number),
                transaction: last.hash,
            });
            let verdict = match (mined, dice.below(3)) {
                (Some(mined), 0) => Verdict::Mined(mined),
                (Some(mined), _) => Verdict::Reverted {
                    mined,
                    reason: "INVALID_CHANNEL_AMOUNT".to_owned(),
                },
                (None, _) => Verdict::Displaced,
            };
            Command::Conclude(ConcludeRequest {
                nonce: intent.nonce,
                verdict,
                at: Nanos(7),
            })
        }
        6 if dice.one_in(4) => Command::Reopen(any),
        6 => Command::MoveLine(any),
        _ => advance(dice, model),
    }
}

fn same(store: &Store, model: &MemoryLedger) {
    let ledger = store.read().unwrap();
    assert_eq!(ledger.nonce_line().unwrap(), model.nonce_line().unwrap());
    assert_eq!(
        ledger.unfinished_intents().unwrap(),
        model.unfinished_intents().unwrap()
    );
    assert_eq!(
        ledger.locking_intents(None).unwrap(),
        model.locking_intents(None).unwrap()
    );
    for since in [0, 50, 1_000].map(Nanos) {
        assert_eq!(
            ledger.carried_since(since).unwrap(),
            model.carried_since(since).unwrap()
        );
    }
    for number in 0..7 {
        let provider = address(b'm', number);
        assert_eq!(
            ledger.locking_intents(Some(&provider)).unwrap(),
            model.locking_intents(Some(&provider)).unwrap()
        );
        for skip in 0..12 {
            assert_eq!(
                ledger.openings_wanted(&provider, skip).unwrap(),
                model.openings_wanted(&provider, skip).unwrap()
            );
        }
    }
    let line = model.nonce_line().unwrap().unwrap();
    for nonce in (line.first.0..line.next.0).map(Nonce) {
        let intent = model.intent_at(nonce).unwrap();
        assert_eq!(ledger.intent_at(nonce).unwrap(), intent);
        if let Some(intent) = intent {
            assert_eq!(ledger.intent(&intent.key).unwrap(), Some(intent));
        }
    }
}

#[test]
fn transactions_on_disk_come_to_what_they_come_to_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let mut dice = Dice(91);
    let mut model = MemoryLedger::new();
    do_all(&store, on_chain());
    on_chain()
        .iter()
        .for_each(|command| drop(model.submit(command).unwrap()));
    let (mut done, mut refused) = (0, 0);
    for step in 0..1_500 {
        let command = next(&mut dice, &model);
        let expected = model.submit(&command);
        let outcome = store.submit_blocking(command);
        match expected {
            Ok(expected) => {
                assert_eq!(outcome.unwrap(), expected, "{step}");
                done += 1;
            }
            Err(expected) => {
                let error = outcome.unwrap_err();
                assert_eq!(error.to_string(), expected.to_string(), "{step}");
                refused += 1;
            }
        }
        assert_eq!(model.audit(), [], "{step}");
        if step % 300 == 299 {
            same(&store, &model);
            assert_sound(&store);
            drop(store);
            store = open(folder.path());
        }
    }
    assert!(done > 500 && refused > 50, "{done} {refused}");
    let line = model.nonce_line().unwrap().unwrap();
    assert!(line.next.0 > 100, "{line:?}");
}
