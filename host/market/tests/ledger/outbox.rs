//! The market maker's transactions: one line of nonces, limits on what it locks, ends that the chain has shown.

use crate::world::*;
use bourse_market::chain::*;
use bourse_market::outbox::*;
use bourse_market::*;

fn limits() -> PayingLimits {
    PayingLimits {
        provider: tokens(100),
        cap: tokens(120),
        minimum: tokens(5),
        payment_minimum: tokens(1),
        rate: OpeningRate {
            most: 100,
            within: HOUR,
        },
    }
}

const HOUR: Nanos = Nanos(3_600_000_000_000);

/// A market on a chain at block 10, whose market maker sent five transactions before.
fn on_chain() -> World {
    let mut world = World::empty();
    world.accept(Command::Genesis(Genesis {
        local: false,
        float: Amount::ZERO,
        ..genesis()
    }));
    world.accept(Command::MoveLine(Nonce(5)));
    follow(&mut world, 10, vec![]);
    world
}

fn follow(world: &mut World, number: u64, events: Vec<Logged>) {
    let to = BlockRef {
        number: BlockNumber(number),
        hash: BlockHash([7; 32]),
    };
    let after = world.ledger.chain_tip().unwrap().map(|applied| applied.block);
    world.accept(Command::Advance(Box::new(Advance {
        after,
        to,
        events,
        settled_below: BlockNumber(number.saturating_sub(3)),
        head: to.number,
        at: world.now,
    })));
}

fn request(open: OpenRequest) -> IntendRequest {
    IntendRequest {
        open,
        bound_by: None,
        limits: limits(),
        gas: OpeningGas {
            approve: 100_000,
            open: 1_000_000,
        },
    }
}

fn intend(request: IntendRequest) -> Command {
    Command::Intend(Box::new(request))
}

/// A paying channel of another id, deposit and provider.
fn paying(world: &World, id: u8, deposit: u64, actor: Address) -> OpenRequest {
    OpenRequest {
        id: ChannelId([id; 16]),
        amount: tokens(deposit),
        actor,
        recipient: actor,
        signer: actor,
        ..world.open_paying()
    }
}

fn intent(world: &World, key: IntentKey) -> Option<Intent> {
    world.ledger.intent(&key).unwrap()
}

fn hash(nonce: u64, price: u64) -> TransactionHash {
    let mut hash = [9; 32];
    hash[..8].copy_from_slice(&nonce.to_be_bytes());
    hash[8..16].copy_from_slice(&price.to_be_bytes());
    TransactionHash(hash)
}

fn attempt(nonce: u64, most: u64) -> Command {
    Command::Attempt(AttemptRequest {
        nonce: Nonce(nonce),
        attempt: Attempt {
            hash: hash(nonce, most),
            price: GasPrice::Market { most, tip: 1 },
            head: BlockNumber(10),
            at: Nanos(3),
        },
    })
}

fn mined(block: u64, transaction: TransactionHash) -> Mined {
    Mined {
        block: BlockNumber(block),
        transaction,
    }
}

fn conclude(nonce: u64, verdict: Verdict) -> Command {
    Command::Conclude(ConcludeRequest {
        nonce: Nonce(nonce),
        verdict,
        at: Nanos(8),
    })
}

fn not_its_end(nonce: u64, what: &'static str) -> Refusal {
    let nonce = Nonce(nonce);
    Refusal::NotItsEnd { nonce, what }
}

fn opened(open: &OpenRequest, at: Mined) -> Logged {
    let event = ChainEvent::Opened(Box::new(ChannelTerms {
        channel: open.id,
        kind: open.kind,
        market: open.market,
        actor: open.actor,
        delegate: open.delegate,
        marketmaker: open.marketmaker,
        recipient: open.recipient,
        amount: open.amount,
        signature: open.signature,
    }));
    Logged { event, mined: at }
}

#[test]
fn w_29_each_transaction_has_a_nonce_of_its_own_and_the_same_request_never_a_second() {
    let mut world = on_chain();
    let payment = intend(request(world.open_payment()));
    let paying = intend(request(world.open_paying()));
    for (command, nonce) in [(&payment, 5), (&paying, 7)] {
        for again in [false, true] {
            match world.accept(command.clone()) {
                Outcome::Intended { intent, again: was } => {
                    assert_eq!((intent.nonce, was), (Nonce(nonce), again));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let line = world.ledger.nonce_line().unwrap().unwrap();
    assert_eq!((line.first, line.next, line.skipped), (Nonce(5), Nonce(8), 0));
    // Another request under the same id is none of these.
    let other = OpenRequest {
        amount: tokens(7),
        ..world.open_payment()
    };
    world.refuse(
        intend(request(other)),
        Refusal::ChannelExists { channel: PAYMENT },
    );
}

#[test]
fn w_30_a_paying_channel_has_its_exact_approval_right_before_it_and_no_other_comes_between() {
    let mut world = on_chain();
    for (id, deposit) in [(1, 20), (2, 30)] {
        let open = paying(&world, id, deposit, SELLER_ACTOR);
        world.accept(intend(request(open)));
    }
    for (id, deposit, nonce) in [(1, 20, 5), (2, 30, 7)] {
        let channel = ChannelId([id; 16]);
        let approve = intent(&world, IntentKey::Approve(channel)).unwrap();
        let amount = tokens(deposit);
        assert_eq!(
            (approve.nonce, approve.wanted),
            (Nonce(nonce), Wanted::Approve { amount })
        );
        assert_eq!(
            intent(&world, IntentKey::Open(channel)).unwrap().nonce,
            Nonce(nonce + 1)
        );
    }
}

#[test]
fn w_06_what_a_request_to_open_names_is_checked_in_the_write() {
    let mut world = on_chain();
    let open = world.open_payment();
    let zero = Address([0; 20]);
    let other = MarketId([9; 16]);
    for (open, refusal) in [
        (
            OpenRequest {
                market: other,
                ..open.clone()
            },
            Refusal::WrongMarket {
                named: other,
                ours: MARKET,
            },
        ),
        (
            OpenRequest {
                marketmaker: STRANGER,
                ..open.clone()
            },
            Refusal::WrongMarketMaker {
                named: STRANGER,
                ours: MM,
            },
        ),
        (
            OpenRequest {
                recipient: STRANGER,
                ..open.clone()
            },
            Refusal::WrongRecipient {
                named: STRANGER,
                expected: MM,
            },
        ),
        (
            OpenRequest {
                delegate: zero,
                ..open.clone()
            },
            Refusal::ZeroDelegate,
        ),
        (
            OpenRequest {
                amount: Amount::ZERO,
                ..open.clone()
            },
            Refusal::ZeroDeposit,
        ),
        (
            OpenRequest {
                open_at: Amount::ZERO,
                ..open.clone()
            },
            Refusal::ZeroBlock,
        ),
        (
            OpenRequest {
                signer: STRANGER,
                ..open.clone()
            },
            Refusal::WrongSigner {
                signer: STRANGER,
                expected: BUYER_ACTOR,
            },
        ),
    ] {
        world.refuse(intend(request(open)), refusal);
    }
    let (delegate, signer) = (BUYER, STRANGER);
    let unproven = IntendRequest {
        bound_by: Some(signer),
        ..request(open.clone())
    };
    world.refuse(intend(unproven), Refusal::DelegateUnproven { delegate, signer });
    // Its own word binds it, and from then on nobody else opens a channel that names it.
    let bound = IntendRequest {
        bound_by: Some(BUYER),
        ..request(open.clone())
    };
    world.accept(intend(bound));
    assert_eq!(world.ledger.binding(&BUYER).unwrap().unwrap().actor, BUYER_ACTOR);
    let thief = OpenRequest {
        id: ChannelId([3; 16]),
        actor: STRANGER,
        signer: STRANGER,
        ..open.clone()
    };
    world.refuse(
        intend(request(thief)),
        Refusal::DelegateTaken {
            delegate,
            actor: BUYER_ACTOR,
        },
    );
    // The contract takes what the buyer allows it: one channel after the other.
    let second = OpenRequest {
        id: ChannelId([4; 16]),
        ..open
    };
    world.refuse(
        intend(request(second)),
        Refusal::OpenUnderWay {
            actor: BUYER_ACTOR,
            channel: PAYMENT,
        },
    );
}

#[test]
fn w_06_the_market_maker_locks_no_more_than_its_operator_allows() {
    let mut world = on_chain();
    let open = |world: &World, id, deposit| request(paying(world, id, deposit, SELLER_ACTOR));
    let small = open(&world, 1, 4);
    world.refuse(
        intend(small),
        Refusal::DepositMinimum {
            minimum: tokens(5),
            got: tokens(4),
        },
    );
    let unlisted = IntendRequest {
        limits: PayingLimits {
            provider: Amount::ZERO,
            ..limits()
        },
        ..open(&world, 1, 5)
    };
    let beyond = |limit, locked, got| Refusal::PayingLimit {
        provider: SELLER_ACTOR,
        limit,
        locked,
        got,
    };
    world.refuse(intend(unlisted), beyond(Amount::ZERO, Amount::ZERO, tokens(5)));
    world.accept(intend(open(&world, 1, 60)));
    let second = intend(open(&world, 2, 41));
    world.refuse(second, beyond(tokens(100), tokens(60), tokens(41)));
    world.accept(intend(open(&world, 2, 40)));
    // Another provider has a limit of its own, and the cap is for all.
    let other = request(paying(&world, 3, 21, STRANGER));
    let capped = Refusal::PayingCap {
        cap: tokens(120),
        locked: tokens(100),
        got: tokens(21),
    };
    world.refuse(intend(other), capped);
    // What was never locked counts no more, and neither does what was paid out.
    world.accept(attempt(6, 10));
    let reverted = Verdict::Reverted {
        mined: mined(10, hash(6, 10)),
        reason: "INVALID_CHANNEL_ACTOR".to_owned(),
    };
    world.accept(conclude(6, reverted));
    let first = paying(&world, 2, 40, SELLER_ACTOR);
    world.accept(attempt(8, 10));
    follow(&mut world, 11, vec![opened(&first, mined(11, hash(8, 10)))]);
    world.accept(conclude(8, Verdict::Mined(mined(11, hash(8, 10)))));
    let closed = ChainEvent::Closed {
        channel: first.id,
        payout: Payout {
            payout: Amount::ZERO,
            fee: Amount::ZERO,
            refund: tokens(40),
            at: 5,
        },
    };
    let paid = mined(12, TransactionHash([4; 32]));
    follow(
        &mut world,
        12,
        vec![Logged {
            event: closed,
            mined: paid,
        }],
    );
    // It closed by a state of nobody's: it stays in quarantine, and so does its deposit in the sum.
    let refused = world.submit(intend(open(&world, 4, 61))).unwrap_err();
    assert_eq!(refused, beyond(tokens(100), tokens(40), tokens(61)));
    world.accept(intend(open(&world, 4, 60)));
}

#[test]
fn paying_channels_of_a_provider_are_opened_so_often_in_a_while_whatever_becomes_of_them() {
    let mut world = on_chain();
    let rate = OpeningRate {
        most: 2,
        within: HOUR,
    };
    let open = |id, actor, at: u64| {
        let world = World::empty();
        let mut request = request(OpenRequest {
            at: Nanos(at),
            ..paying(&world, id, 5, actor)
        });
        request.limits.rate = rate;
        intend(request)
    };
    let refused = |again_at, at| Refusal::OpeningRate {
        actor: SELLER_ACTOR,
        most: 2,
        within: HOUR,
        again_at: Nanos(again_at),
        at: Nanos(at),
    };
    let hour = HOUR.0;
    world.accept(open(1, SELLER_ACTOR, 1_000));
    world.accept(open(2, SELLER_ACTOR, 2_000));
    // One that failed has cost its gas all the same.
    world.accept(attempt(6, 10));
    let reason = "INVALID_CHANNEL_ACTOR".to_owned();
    let mined = mined(10, hash(6, 10));
    world.accept(conclude(6, Verdict::Reverted { mined, reason }));
    let too_soon = refused(1_000 + hour, 3_000);
    world.refuse(open(3, SELLER_ACTOR, 3_000), too_soon.clone());
    assert!(
        too_soon
            .to_string()
            .ends_with("in 3600 s: the next can be asked for in 3600 s"),
        "{too_soon}"
    );
    // The very same request again is none more, and neither is another provider's, nor a payment channel.
    world.accept(open(2, SELLER_ACTOR, 2_000));
    world.accept(open(4, STRANGER, 3_000));
    let mut payment = request(world.open_payment());
    payment.limits.rate = rate;
    world.accept(intend(payment));
    world.refuse(
        open(3, SELLER_ACTOR, 999 + hour),
        refused(1_000 + hour, 999 + hour),
    );
    world.accept(open(3, SELLER_ACTOR, 1_000 + hour));
    world.refuse(
        open(5, SELLER_ACTOR, 1_000 + hour),
        refused(2_000 + hour, 1_000 + hour),
    );
    // Nor does a clock that was put back make room.
    world.refuse(open(5, SELLER_ACTOR, 1), refused(2_000 + hour, 1));
    assert_eq!(world.ledger.audit(), []);
}

#[test]
fn a_transaction_ends_only_in_a_block_that_was_followed_and_by_a_form_of_its_own() {
    let mut world = on_chain();
    world.accept(intend(request(world.open_payment())));
    let ours = hash(5, 10);
    let foreign = TransactionHash([3; 32]);
    let unsigned = conclude(5, Verdict::Mined(mined(10, ours)));
    world.refuse(unsigned, not_its_end(5, "that is no form of it"));
    world.accept(attempt(5, 10));
    let what = "it must pay more than its last form";
    let nonce = Nonce(5);
    world.refuse(attempt(5, 10), Refusal::AttemptRefused { nonce, what });
    world.accept(attempt(5, 12));
    world.refuse(
        conclude(5, Verdict::Mined(mined(10, foreign))),
        not_its_end(5, "that is no form of it"),
    );
    world.refuse(
        conclude(5, Verdict::Mined(mined(11, ours))),
        not_its_end(5, "its block does not count yet"),
    );
    let open = world.open_payment();
    follow(&mut world, 11, vec![opened(&open, mined(11, ours))]);
    // The channel is there: nothing else can have become of it.
    for verdict in [
        Verdict::Displaced,
        Verdict::Reverted {
            mined: mined(11, ours),
            reason: String::new(),
        },
    ] {
        world.refuse(
            conclude(5, verdict),
            not_its_end(5, "the chain says that the channel is open"),
        );
    }
    world.accept(conclude(5, Verdict::Mined(mined(11, ours))));
    world.refuse(attempt(5, 14), Refusal::IntentFinished { nonce });
    let unknown = conclude(6, Verdict::Displaced);
    world.refuse(unknown, Refusal::IntentUnknown { nonce: Nonce(6) });
    // A chain that goes back further than it should takes the end with it.
    world.accept(Command::Reopen(nonce));
    assert_eq!(world.ledger.unfinished_intents().unwrap().len(), 1);
    world.accept(conclude(5, Verdict::Mined(mined(11, ours))));
    assert_eq!(world.ledger.unfinished_intents().unwrap(), []);
}

#[test]
fn what_was_approved_for_a_channel_that_was_not_opened_is_taken_back() {
    let mut world = on_chain();
    world.accept(intend(request(world.open_paying())));
    world.accept(attempt(5, 10));
    world.accept(attempt(6, 10));
    world.accept(conclude(5, Verdict::Mined(mined(10, hash(5, 10)))));
    let reason = "x".repeat(500);
    let at = mined(10, hash(6, 10));
    world.accept(conclude(6, Verdict::Reverted { mined: at, reason }));
    let failed = intent(&world, IntentKey::Open(PAYING)).unwrap();
    match failed.progress {
        Progress::Failed { reason, mined } => assert_eq!((reason.len(), mined), (200, Some(at))),
        other => panic!("{other:?}"),
    }
    let clear = intent(&world, IntentKey::Clear(PAYING)).unwrap();
    let amount = Amount::ZERO;
    assert_eq!(
        (clear.nonce, clear.wanted),
        (Nonce(7), Wanted::Approve { amount })
    );
    // Reopened and failed again, it is taken back once.
    world.accept(Command::Reopen(Nonce(6)));
    world.accept(conclude(6, Verdict::Displaced));
    assert_eq!(world.ledger.nonce_line().unwrap().unwrap().next, Nonce(8));
}

#[test]
fn nonces_that_somebody_else_used_are_passed_over_only_while_nothing_is_under_way() {
    let mut world = on_chain();
    world.accept(Command::MoveLine(Nonce(1 << 60)));
    // Whoever said so was wrong: back, as far as none was given out.
    world.accept(Command::MoveLine(Nonce(7)));
    world.accept(Command::MoveLine(Nonce(9)));
    let line = world.ledger.nonce_line().unwrap().unwrap();
    assert_eq!((line.first, line.next, line.skipped), (Nonce(5), Nonce(9), 4));
    world.accept(intend(request(world.open_payment())));
    world.refuse(Command::MoveLine(Nonce(11)), Refusal::LineBusy);
    world.refuse(Command::MoveLine(Nonce(8)), Refusal::LineBusy);
    world.accept(conclude(9, Verdict::Displaced));
    world.accept(Command::MoveLine(Nonce(7)));
    assert_eq!(world.ledger.nonce_line().unwrap().unwrap().next, Nonce(10));
}

#[test]
fn so_many_transactions_are_under_way_and_no_more() {
    let mut world = on_chain();
    for number in 0..u8::try_from(Intent::MAX_UNFINISHED_ASKED).unwrap() {
        let actor = Address([number; 20]);
        let open = OpenRequest {
            id: ChannelId([number; 16]),
            actor,
            signer: actor,
            ..world.open_payment()
        };
        world.accept(intend(request(open)));
    }
    world.refuse(
        intend(request(world.open_payment())),
        Refusal::OutboxFull {
            unfinished: 40,
            most: 40,
        },
    );
}

#[test]
fn without_a_chain_there_is_nothing_to_send_and_without_a_nonce_nothing_is_promised() {
    let mut local = World::endowed();
    local.refuse(intend(request(local.open_payment())), Refusal::NoChain);
    local.refuse(Command::MoveLine(Nonce(1)), Refusal::NoChain);
    let mut world = World::empty();
    world.accept(Command::Genesis(Genesis {
        local: false,
        float: Amount::ZERO,
        ..genesis()
    }));
    world.refuse(intend(request(world.open_payment())), Refusal::NoNonce);
}

#[test]
fn an_audit_sees_nonces_that_are_missing_or_there_twice() {
    let mut world = on_chain();
    world.accept(intend(request(world.open_paying())));
    let sound = world.ledger.clone();
    let mut approve = intent(&world, IntentKey::Approve(PAYING)).unwrap();
    approve.nonce = Nonce(6);
    let mut ledger = sound.clone();
    ledger.commit(vec![Change::Intent(Box::new(approve))]);
    let found = ledger.audit();
    assert!(
        found
            .iter()
            .any(|found| found.to_string().contains("another has the same nonce")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|found| found.to_string().contains("approved right before")),
        "{found:?}"
    );
    let mut ledger = sound;
    let line = NonceLine {
        first: Nonce(5),
        next: Nonce(9),
        skipped: 1,
    };
    ledger.commit(vec![Change::NonceLine(line)]);
    assert!(
        matches!(ledger.audit()[..], [Violation::NonceLine { count: 2, .. }]),
        "{:?}",
        ledger.audit()
    );
}

/// A channel that is open on the chain, in the market maker's ledger, with its final state signed over block `close_at`.
fn closing(close_at: u64) -> World {
    let mut world = on_chain();
    let open = world.open_payment();
    world.accept(intend(request(open.clone())));
    world.accept(attempt(5, 10));
    let at = mined(11, hash(5, 10));
    follow(&mut world, 11, vec![opened(&open, at)]);
    world.accept(conclude(5, Verdict::Mined(at)));
    if world.channel(PAYMENT).quarantined.is_some() {
        panic!("it is newer than the ledger");
    }
    world.accept(close(&world, close_at));
    world
}

fn close(world: &World, close_at: u64) -> Command {
    let channel = world.channel(PAYMENT);
    Command::Close(Box::new(CloseRequest {
        id: PAYMENT,
        seq: channel.seq,
        balance: channel.remaining,
        is_final: true,
        close_at: Amount::from_units(close_at.into()),
        delegate_signature: Signature([1; 65]),
        signer: channel.delegate,
        marketmaker_signature: Signature([2; 65]),
        at: world.now,
    }))
}

fn show(not_before: u64) -> Command {
    Command::Show(ShowRequest {
        channel: PAYMENT,
        not_before: BlockNumber(not_before),
        gas: 600_000,
        at: Nanos(9),
    })
}

fn not_shown(what: &'static str) -> Refusal {
    let channel = PAYMENT;
    Refusal::NotShown { channel, what }
}

fn shown(world: &mut World) -> (Intent, bool) {
    match world.accept(show(5)) {
        Outcome::Intended { intent, again } => (*intent, again),
        other => panic!("{other:?}"),
    }
}

#[test]
fn w_51_a_final_state_is_shown_once_over_a_block_that_the_contract_takes() {
    let none = "it has none that the contract would take";
    // Over the block of states that are exchanged: a request to close, and no more.
    let mut world = closing(1);
    world.refuse(show(0), not_shown(none));
    world.accept(close(&world, 9));
    world.refuse(show(10), not_shown("it names a block that is too long past"));
    let (first, again) = shown(&mut world);
    assert_eq!((first.nonce, again), (Nonce(6), false));
    let state = FinalState::of(&world.channel(PAYMENT)).unwrap();
    assert_eq!(first.wanted, Wanted::Close(Box::new(state)));
    // Signed anew while it is under way: it stays as it is.
    world.accept(close(&world, 12));
    assert_eq!(shown(&mut world), (first.clone(), true));
    // Taken: never again. Whoever says so without the chain's own word is not believed.
    world.accept(attempt(6, 10));
    let at = mined(12, hash(6, 10));
    follow(&mut world, 12, vec![]);
    world.refuse(
        conclude(6, Verdict::Mined(at)),
        not_its_end(6, "the chain does not say that the channel is paid out"),
    );
    let at = mined(13, hash(6, 10));
    let event = ChainEvent::Closed {
        channel: PAYMENT,
        payout: Payout {
            payout: Amount::ZERO,
            fee: Amount::ZERO,
            refund: world.channel(PAYMENT).remaining,
            at: 13,
        },
    };
    follow(&mut world, 13, vec![Logged { event, mined: at }]);
    world.accept(conclude(6, Verdict::Mined(at)));
    world.refuse(show(5), not_shown(none));
    assert_eq!(world.ledger.nonce_line().unwrap().unwrap().next, Nonce(7));
}

#[test]
fn a_final_state_that_was_not_taken_is_shown_again_so_often_and_no_more() {
    let mut world = closing(9);
    for round in 0..Intent::MAX_ROUNDS {
        let nonce = 6 + u64::from(round);
        let (intent, again) = shown(&mut world);
        assert_eq!((intent.nonce, again), (Nonce(nonce), false));
        assert_eq!(
            intent.key,
            IntentKey::Close {
                channel: PAYMENT,
                round
            }
        );
        world.accept(conclude(nonce, Verdict::Displaced));
    }
    world.refuse(
        show(5),
        not_shown("the contract did not take it as often as may be"),
    );
}

#[test]
fn a_channel_that_is_open_or_without_a_deposit_is_not_shown() {
    let mut world = on_chain();
    world.refuse(show(0), Refusal::ChannelUnknown { channel: PAYMENT });
    let mut world = closing(9);
    let stands = world.ledger.chain_tip().unwrap().unwrap().block;
    let to = world.ledger.applied_from(BlockNumber(10)).unwrap()[1].block;
    world.accept(Command::Unwind(Unwind {
        from: stands,
        to,
        at: world.now,
    }));
    world.refuse(show(5), not_shown("the chain has no deposit behind it"));
}

#[test]
fn what_strangers_ask_for_leaves_places_for_what_is_owed() {
    let mut world = closing(9);
    for number in 0..u8::try_from(Intent::MAX_UNFINISHED_ASKED).unwrap() {
        let actor = Address([number; 20]);
        let open = OpenRequest {
            id: ChannelId([number; 16]),
            actor,
            signer: actor,
            ..world.open_payment()
        };
        world.accept(intend(request(open)));
    }
    assert!(!shown(&mut world).1);
}

#[test]
fn payment_channels_are_opened_for_so_much_and_so_often() {
    let mut world = on_chain();
    let with = |world: &World, id: u8, amount: Amount| {
        let open = world.open_payment();
        let id = ChannelId([id; 16]);
        intend(IntendRequest {
            limits: PayingLimits {
                rate: OpeningRate {
                    most: 2,
                    within: Nanos(100),
                },
                ..limits()
            },
            ..request(OpenRequest { id, amount, ..open })
        })
    };
    let got = Amount::from_units(1);
    world.refuse(
        with(&world, 1, got),
        Refusal::DepositMinimum {
            minimum: tokens(1),
            got,
        },
    );
    for (id, nonce) in [(1, 5), (2, 6)] {
        world.accept(with(&world, id, tokens(1)));
        world.accept(conclude(nonce, Verdict::Displaced));
    }
    let third = with(&world, 3, tokens(1));
    let refused = world.submit(third).unwrap_err();
    assert!(
        matches!(refused, Refusal::OpeningRate { most: 2, .. }),
        "{refused}"
    );
}
