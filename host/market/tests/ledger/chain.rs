//! Following a chain: blocks that count once, events that are taken back, channels that come, go and come again.

use crate::world::*;
use bourse_market::chain::*;
use bourse_market::registry::*;
use bourse_market::*;

fn block(number: u64, fork: u8) -> BlockRef {
    let mut hash = [fork; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    BlockRef {
        number: BlockNumber(number),
        hash: BlockHash(hash),
    }
}

fn logged(number: u64, event: ChainEvent) -> Logged {
    Logged {
        event,
        mined: Mined {
            block: BlockNumber(number),
            transaction: TransactionHash([7; 32]),
        },
    }
}

fn advance(world: &World, to: BlockRef, events: Vec<ChainEvent>) -> Advance {
    Advance {
        after: world.ledger.chain_tip().unwrap().map(|applied| applied.block),
        to,
        events: events
            .into_iter()
            .map(|event| logged(to.number.0, event))
            .collect(),
        head: BlockNumber(0),
        settled_below: BlockNumber(0),
        at: world.now,
    }
}

/// A market on a chain, without a block yet.
fn on_chain() -> World {
    let mut world = World::empty();
    world.accept(Command::Genesis(Genesis {
        local: false,
        float: Amount::ZERO,
        ..genesis()
    }));
    world
}

fn follow(world: &mut World, to: BlockRef, events: Vec<ChainEvent>) -> Box<Followed> {
    let request = advance(world, to, events);
    match world.accept(Command::Advance(Box::new(request))) {
        Outcome::Followed(followed) => followed,
        other => panic!("{other:?}"),
    }
}

fn unwind(world: &mut World, to: BlockRef) -> Box<Followed> {
    let from = world.ledger.chain_tip().unwrap().unwrap().block;
    let at = Nanos(world.now.0 + 7);
    match world.accept(Command::Unwind(Unwind { from, to, at })) {
        Outcome::Followed(followed) => followed,
        other => panic!("{other:?}"),
    }
}

fn terms(kind: ChannelKind) -> ChannelTerms {
    let world = World::empty();
    let open = match kind {
        ChannelKind::Payment => world.open_payment(),
        ChannelKind::Paying => world.open_paying(),
    };
    ChannelTerms {
        channel: open.id,
        kind,
        market: open.market,
        actor: open.actor,
        delegate: open.delegate,
        marketmaker: open.marketmaker,
        recipient: open.recipient,
        amount: open.amount,
        signature: open.signature,
    }
}

fn opened(terms: ChannelTerms) -> ChainEvent {
    ChainEvent::Opened(Box::new(terms))
}

/// Both channels of the usual market, opened in block 10, their delegates bound.
fn with_channels() -> World {
    let mut world = on_chain();
    follow(&mut world, block(9, 0), vec![]);
    for (delegate, actor, channel) in [(BUYER, BUYER_ACTOR, PAYMENT), (SELLER, SELLER_ACTOR, PAYING)] {
        let at = world.now;
        let binding = Binding { actor, channel, at };
        world.ledger.commit(vec![Change::Binding(delegate, binding)]);
    }
    let events = [ChannelKind::Payment, ChannelKind::Paying].map(|kind| opened(terms(kind)));
    let followed = follow(&mut world, block(10, 0), events.to_vec());
    assert_eq!(followed.surprises, []);
    assert_eq!(followed.channels.len(), 2);
    world
}

fn member(level: MemberLevel) -> ChainEvent {
    ChainEvent::MemberChanged {
        member: STRANGER,
        registered: true,
        eula: "QmEula".to_owned(),
        profile: "QmProfile".to_owned(),
        level,
    }
}

fn actor_key() -> ActorKey {
    ActorKey {
        market: MARKET,
        actor: STRANGER,
        kind: ActorType::Provider,
    }
}

fn consent(granted: bool, prefix: &str) -> ChainEvent {
    ChainEvent::ConsentSet {
        id: ConsentId([5; 16]),
        key: ConsentKey {
            catalog: CatalogId([4; 16]),
            member: STRANGER,
            delegate: SELLER,
            delegate_type: ActorType::Provider,
            market: MARKET,
        },
        signed_at: BlockNumber(3),
        granted,
        service_prefix: prefix.to_owned(),
    }
}

/// One of each event of the registry.
fn registry() -> Vec<ChainEvent> {
    vec![
        member(MemberLevel::Active),
        ChainEvent::MarketChanged {
            market: MarketId([6; 16]),
            created: true,
            seq: 2,
            owner: STRANGER,
            coin: MM,
            terms: "QmTerms".to_owned(),
            meta: String::new(),
            maker: MM,
            provider_security: tokens(1),
            consumer_security: tokens(2),
            fee: tokens(3),
        },
        ChainEvent::ActorJoined {
            key: actor_key(),
            security: tokens(4),
            meta: "QmMeta".to_owned(),
        },
        ChainEvent::CatalogCreated {
            catalog: CatalogId([4; 16]),
            seq: 1,
            owner: STRANGER,
            terms: String::new(),
            meta: "QmCatalog".to_owned(),
        },
        ChainEvent::ApiPublished {
            api: ApiId([3; 16]),
            catalog: CatalogId([4; 16]),
            schema: "QmSchema".to_owned(),
            meta: String::new(),
        },
        consent(true, "com.example."),
    ]
}

#[test]
fn a_block_counts_once_and_only_after_the_one_before_it() {
    let mut world = on_chain();
    let first = advance(&world, block(5, 0), vec![member(MemberLevel::Active)]);
    world.accept(Command::Advance(Box::new(first.clone())));
    let refused = Refusal::NotNextBlock {
        stands: Some(Box::new(block(5, 0))),
        to: Box::new(block(5, 0)),
    };
    world.refuse(Command::Advance(Box::new(first)), refused);

    let mut skipping = advance(&world, block(7, 0), vec![]);
    skipping.after = Some(block(6, 0));
    world.refuse(
        Command::Advance(Box::new(skipping)),
        Refusal::NotNextBlock {
            stands: Some(Box::new(block(5, 0))),
            to: Box::new(block(7, 0)),
        },
    );
    let mut backwards = advance(&world, block(4, 0), vec![]);
    backwards.after = Some(block(5, 0));
    assert!(world.submit(Command::Advance(Box::new(backwards))).is_err());
}

#[test]
fn a_local_ledger_follows_no_chain() {
    let mut world = World::endowed();
    let request = advance(&world, block(5, 0), vec![opened(terms(ChannelKind::Payment))]);
    assert!(world.submit(Command::Advance(Box::new(request))).is_err());
}

/// W-36 as well: a consent of the chain is read with its types, and kept.
#[test]
fn w_37_every_event_of_the_registry_reaches_its_record() {
    let mut world = on_chain();
    follow(&mut world, block(5, 0), registry());
    let found = |world: &World| world.ledger.member(&STRANGER).unwrap().unwrap();
    assert_eq!(
        (found(&world).level, found(&world).registered),
        (MemberLevel::Active, BlockNumber(5))
    );
    assert!(world.ledger.api(&ApiId([3; 16])).unwrap().is_some());
    assert!(
        world
            .ledger
            .consent(&ConsentId([5; 16]))
            .unwrap()
            .unwrap()
            .granted
    );

    follow(
        &mut world,
        block(6, 0),
        vec![
            ChainEvent::MemberRetired { member: STRANGER },
            ChainEvent::MarketClosed {
                market: MarketId([6; 16]),
            },
            ChainEvent::ActorLeft { key: actor_key() },
            consent(false, "com.example."),
        ],
    );
    assert_eq!(
        (found(&world).level, found(&world).registered),
        (MemberLevel::Retired, BlockNumber(5))
    );
    let market = world.ledger.market(&MarketId([6; 16])).unwrap().unwrap();
    assert_eq!(
        (market.created, market.closed),
        (BlockNumber(5), Some(BlockNumber(6)))
    );
    let actor = world.ledger.actor(&actor_key()).unwrap().unwrap();
    assert_eq!((actor.joined, actor.left), (BlockNumber(5), Some(BlockNumber(6))));
    assert!(
        !world
            .ledger
            .consent(&ConsentId([5; 16]))
            .unwrap()
            .unwrap()
            .granted
    );
}

#[test]
fn what_an_event_says_of_nothing_on_record_is_passed_over() {
    let mut world = on_chain();
    let before = world.ledger.clone();
    follow(
        &mut world,
        block(5, 0),
        vec![
            ChainEvent::MemberRetired { member: STRANGER },
            ChainEvent::ActorLeft { key: actor_key() },
            ChainEvent::Closed {
                channel: PAYMENT,
                payout: payout(0, 0),
            },
        ],
    );
    let tip = world.ledger.chain_tip().unwrap().unwrap();
    assert_eq!((tip.block, tip.before), (block(5, 0), vec![]));
    world.ledger.commit(vec![Change::Block(BlockNumber(5), None)]);
    assert_eq!(world.ledger, before);
}

/// W-32: one event that cannot be handled takes no other of its block with it.
#[test]
fn texts_that_name_nothing_stop_nothing() {
    let mut world = on_chain();
    let long = "x".repeat(MAX_REFERENCE + 1);
    let event = ChainEvent::MemberChanged {
        member: STRANGER,
        registered: true,
        eula: long.clone(),
        profile: long,
        level: MemberLevel::Active,
    };
    let wide = "x".repeat(Consent::MAX_SERVICE_PREFIX + 1);
    follow(
        &mut world,
        block(5, 0),
        vec![event, consent(true, "com."), consent(true, &wide)],
    );
    let member = world.ledger.member(&STRANGER).unwrap().unwrap();
    assert_eq!((member.eula, member.profile), (String::new(), String::new()));
    let consent = world.ledger.consent(&ConsentId([5; 16])).unwrap().unwrap();
    assert!(!consent.granted, "a prefix that no URI has covers nothing");
}

#[test]
fn blocks_that_are_taken_back_leave_the_registry_as_it_was() {
    let mut world = on_chain();
    follow(&mut world, block(5, 0), registry());
    let before = world.ledger.clone();
    // Twice the same record in one block, and again in the next.
    let twice = vec![member(MemberLevel::Verified), member(MemberLevel::Penalty)];
    follow(&mut world, block(6, 0), twice);
    let mut more = registry();
    more.extend([
        ChainEvent::ActorLeft { key: actor_key() },
        consent(false, "com."),
        ChainEvent::ActorJoined {
            key: ActorKey {
                kind: ActorType::Consumer,
                ..actor_key()
            },
            security: tokens(9),
            meta: String::new(),
        },
    ]);
    follow(&mut world, block(8, 0), more);
    unwind(&mut world, block(5, 0));
    assert_eq!(world.ledger, before);
    // And on from there, along another fork.
    follow(&mut world, block(6, 1), vec![member(MemberLevel::Blocked)]);
    assert_eq!(
        world.ledger.member(&STRANGER).unwrap().unwrap().level,
        MemberLevel::Blocked
    );
}

#[test]
fn one_goes_back_only_to_a_block_that_was_followed_and_is_still_on_record() {
    let mut world = on_chain();
    follow(&mut world, block(5, 0), vec![]);
    follow(&mut world, block(8, 0), vec![]);
    for (from, to) in [
        (block(8, 0), block(6, 0)),
        (block(8, 0), block(5, 1)),
        (block(7, 0), block(5, 0)),
        (block(8, 1), block(5, 0)),
    ] {
        let at = world.now;
        assert!(
            world.submit(Command::Unwind(Unwind { from, to, at })).is_err(),
            "{from} to {to}"
        );
    }
    unwind(&mut world, block(5, 0));
}

#[test]
fn what_is_settled_is_not_kept_to_be_taken_back() {
    let mut world = on_chain();
    for number in 1..=9 {
        let mut request = advance(&world, block(number, 0), vec![member(MemberLevel::Active)]);
        request.settled_below = BlockNumber(number.saturating_sub(3));
        world.accept(Command::Advance(Box::new(request)));
    }
    let kept: Vec<_> = world.ledger.applied_from(BlockNumber(0)).unwrap();
    let numbers: Vec<_> = kept.iter().map(|applied| applied.block.number.0).collect();
    assert_eq!(numbers, [9, 8, 7, 6]);

    // Blocks of long ago, one after the other, leave the last of them alone.
    let mut request = advance(&world, block(20, 0), vec![member(MemberLevel::Verified)]);
    request.settled_below = BlockNumber(100);
    world.accept(Command::Advance(Box::new(request)));
    let kept = world.ledger.applied_from(BlockNumber(0)).unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].block, kept[0].before.len()), (block(20, 0), 0));
}

#[test]
fn a_channel_opens_when_the_chain_says_so_and_is_used_only_if_its_delegate_is_its_actors() {
    let world = with_channels();
    let payment = world.channel(PAYMENT);
    assert_eq!(
        (payment.amount, payment.remaining, payment.seq),
        (tokens(100), tokens(100), Seq(1))
    );
    assert!(payment.is_live() && world.channel(PAYING).is_live());

    // Anybody may name anybody's delegate in a channel of its own.
    let mut world = world;
    let rogue = ChannelTerms {
        channel: ChannelId([0xe2; 16]),
        actor: STRANGER,
        recipient: STRANGER,
        ..terms(ChannelKind::Paying)
    };
    follow(&mut world, block(11, 0), vec![opened(rogue)]);
    assert!(!world.channel(ChannelId([0xe2; 16])).is_live());
}

#[test]
fn channels_of_others_and_impossible_ones_are_passed_over() {
    let mut world = on_chain();
    let payment = terms(ChannelKind::Payment);
    let others = [
        ChannelTerms {
            market: MarketId([9; 16]),
            ..payment.clone()
        },
        ChannelTerms {
            marketmaker: STRANGER,
            ..payment.clone()
        },
    ];
    let followed = follow(&mut world, block(5, 0), others.into_iter().map(opened).collect());
    assert_eq!((followed.channels.len(), followed.surprises.len()), (0, 0));

    let impossible = [
        ChannelTerms {
            recipient: STRANGER,
            ..payment.clone()
        },
        ChannelTerms {
            amount: Amount::ZERO,
            ..payment.clone()
        },
        ChannelTerms {
            delegate: Address([0; 20]),
            ..payment.clone()
        },
    ];
    let followed = follow(
        &mut world,
        block(6, 0),
        impossible.into_iter().map(opened).collect(),
    );
    assert_eq!((followed.channels.len(), followed.surprises.len()), (0, 3));
    let twice = vec![opened(payment.clone()), opened(payment)];
    let followed = follow(&mut world, block(7, 0), twice);
    assert_eq!((followed.channels.len(), followed.surprises.len()), (1, 1));
}

#[test]
fn a_channel_whose_opening_is_dropped_stands_still_until_it_is_opened_again() {
    let mut world = with_channels();
    world.place(|_| ());
    world.buy();
    let stands = (world.channel(PAYMENT), world.channel(PAYING));

    let followed = unwind(&mut world, block(9, 0));
    assert_eq!(followed.surprises.len(), 2);
    let request = world.request();
    world.refuse(
        Command::Reserve(Box::new(request)),
        Refusal::ChannelQuarantined { channel: PAYMENT },
    );

    // In another block, in another order, with something between.
    let events = [ChannelKind::Paying, ChannelKind::Payment].map(|kind| opened(terms(kind)));
    let followed = follow(&mut world, block(12, 1), events.to_vec());
    assert_eq!(followed.surprises, []);
    assert_eq!(
        (world.channel(PAYMENT), world.channel(PAYING)),
        stands,
        "to the unit"
    );
    let anchor = world.ledger.anchor(&PAYMENT).unwrap().unwrap();
    assert_eq!((anchor.opened.block, anchor.orphaned), (BlockNumber(12), None));
    world.buy();
}

#[test]
fn a_purchase_under_way_ends_though_its_channels_opening_is_dropped() {
    let mut world = with_channels();
    world.place(|_| ());
    let request = world.request();
    let purchase = world.reserve(request);
    unwind(&mut world, block(9, 0));
    world.post(purchase.id);
    assert_eq!(world.channel(PAYMENT).spent, tokens(10));
    assert!(!world.channel(PAYMENT).is_live());
}

#[test]
fn another_channel_under_a_dropped_ones_id_takes_its_place_only_if_nothing_was_bought_over_it() {
    let smaller = |kind| ChannelTerms {
        amount: tokens(1),
        ..terms(kind)
    };
    let mut world = with_channels();
    unwind(&mut world, block(9, 0));
    follow(
        &mut world,
        block(10, 1),
        vec![opened(smaller(ChannelKind::Payment))],
    );
    assert_eq!(world.channel(PAYMENT).amount, tokens(1));
    assert!(world.channel(PAYMENT).is_live());

    let mut world = with_channels();
    world.place(|_| ());
    world.buy();
    unwind(&mut world, block(9, 0));
    let followed = follow(
        &mut world,
        block(10, 1),
        vec![opened(smaller(ChannelKind::Payment))],
    );
    assert_eq!(followed.surprises, [Surprise::Replaced { channel: PAYMENT }]);
    let channel = world.channel(PAYMENT);
    assert_eq!((channel.amount, channel.spent), (tokens(100), tokens(10)));
    assert!(!channel.is_live());
}

fn payout(payout: u64, refund: u64) -> Payout {
    Payout {
        payout: tokens(payout),
        fee: Amount::ZERO,
        refund: tokens(refund),
        at: 1_700_000_000,
    }
}

#[test]
fn w_27_a_closed_channel_becomes_closed_and_an_orphaned_close_makes_it_no_less_final() {
    let mut world = with_channels();
    world.place(|_| ());
    world.buy();
    world.close(PAYMENT);
    assert_eq!(world.channel(PAYMENT).state, ChannelState::Closing);
    follow(&mut world, block(11, 0), vec![]);

    let paid = |payout| {
        vec![
            ChainEvent::Closing {
                channel: PAYMENT,
                payout,
            },
            ChainEvent::Closed {
                channel: PAYMENT,
                payout,
            },
        ]
    };
    let followed = follow(&mut world, block(12, 0), paid(payout(10, 90)));
    assert_eq!(followed.surprises, []);
    assert_eq!(world.channel(PAYMENT).state, ChannelState::Closed);

    unwind(&mut world, block(11, 0));
    let channel = world.channel(PAYMENT);
    assert_eq!(channel.state, ChannelState::Closing);
    let request = world.request();
    world.refuse(
        Command::Reserve(Box::new(request)),
        Refusal::ChannelNotOpen { channel: PAYMENT },
    );

    let followed = follow(&mut world, block(12, 1), paid(payout(11, 89)));
    assert!(matches!(
        followed.surprises[..],
        [Surprise::Refund { .. }, Surprise::Refund { .. }]
    ));
    assert_eq!(world.channel(PAYMENT).state, ChannelState::Closed);
}

#[test]
fn a_close_that_the_ledger_never_signed_stops_the_channel_for_good() {
    let mut world = with_channels();
    world.place(|_| ());
    world.buy();
    let events = vec![ChainEvent::Closed {
        channel: PAYING,
        payout: payout(0, 50),
    }];
    let followed = follow(&mut world, block(11, 0), events);
    assert!(matches!(
        followed.surprises[..],
        [Surprise::Unsigned { channel: PAYING, .. }]
    ));
    let channel = world.channel(PAYING);
    assert!(!channel.is_live());
    assert_eq!(channel.spent, tokens(10), "what was sold over it is still told");

    // Unless that is no part of the chain any more.
    unwind(&mut world, block(10, 0));
    assert!(world.channel(PAYING).is_live());
}

fn bind(delegate: Address, actor: Address, channels: Vec<ChannelId>) -> Command {
    let at = Nanos(5);
    Command::Bind(BindRequest {
        delegate,
        actor,
        channels,
        at,
    })
}

#[test]
fn a_delegate_is_its_actors_on_its_own_word_or_the_operators_and_no_others_ever() {
    let mut world = on_chain();
    follow(
        &mut world,
        block(10, 0),
        vec![opened(terms(ChannelKind::Payment))],
    );
    assert!(!world.channel(PAYMENT).is_live());
    world.refuse(
        bind(BUYER, STRANGER, vec![PAYMENT]),
        Refusal::WrongParty {
            channel: PAYMENT,
            delegate: BUYER,
            actor: STRANGER,
        },
    );
    world.accept(bind(BUYER, BUYER_ACTOR, vec![PAYMENT]));
    assert!(world.channel(PAYMENT).is_live());
    // Again changes nothing, and another comes too late.
    let outcome = world.accept(bind(BUYER, BUYER_ACTOR, vec![PAYMENT]));
    assert_eq!(outcome, Outcome::Bound { channels: vec![] });
    world.refuse(
        bind(BUYER, STRANGER, vec![]),
        Refusal::DelegateTaken {
            delegate: BUYER,
            actor: BUYER_ACTOR,
        },
    );
    // Before there is a channel at all.
    world.accept(bind(SELLER, SELLER_ACTOR, vec![]));
    follow(&mut world, block(11, 0), vec![opened(terms(ChannelKind::Paying))]);
    assert!(world.channel(PAYING).is_live());
}

#[test]
fn channels_that_a_lost_ledger_may_have_traded_over_open_in_quarantine() {
    // A ledger without a block, on a chain that is at block 20 already.
    let mut world = on_chain();
    world.accept(bind(BUYER, BUYER_ACTOR, vec![]));
    let open = |number| {
        opened(ChannelTerms {
            channel: ChannelId([number; 16]),
            ..terms(ChannelKind::Payment)
        })
    };
    for (number, head) in [(10, 20), (20, 22), (21, 25)] {
        let mut request = advance(&world, block(number, 0), vec![open(number as u8)]);
        request.head = BlockNumber(head);
        world.accept(Command::Advance(Box::new(request)));
    }
    let live = [10, 20, 21].map(|number| world.channel(ChannelId([number; 16])).is_live());
    assert_eq!(live, [false, false, true]);

    // What its delegate shows lets one go on, as after a backup.
    let channel = ChannelId([10; 16]);
    world.accept(Command::Reconcile(Box::new(ReconcileRequest {
        channel,
        shown: None,
        accept_loss: true,
        prepaid: None,
        at: world.now,
    })));
    assert!(world.channel(channel).is_live());
}

#[test]
fn a_final_state_is_signed_anew_over_a_later_block_until_it_is_paid_out_and_no_other_ever() {
    let mut world = with_channels();
    world.place(|_| ());
    world.buy();
    let first = world.close_request(PAYMENT);
    world.accept(Command::Close(Box::new(first.clone())));
    let later = |by: u128| {
        let close_at = first.close_at.checked_add(Amount::from_units(by)).unwrap();
        CloseRequest {
            close_at,
            marketmaker_signature: signature(9),
            ..first.clone()
        }
    };
    let refused = Refusal::ChannelNotOpen { channel: PAYMENT };
    let other = CloseRequest {
        balance: tokens(1),
        ..later(2)
    };
    world.refuse(Command::Close(Box::new(other)), refused.clone());
    world.accept(Command::Close(Box::new(later(7))));
    let closing = world.channel(PAYMENT).closing.unwrap();
    assert_eq!(
        (closing.close_at, closing.marketmaker_signature),
        (later(7).close_at, signature(9))
    );
    // The same again is the same, an earlier block is none of its business.
    let again = world.accept(Command::Close(Box::new(later(7))));
    assert!(matches!(again, Outcome::Closed { again: true, .. }));
    world.refuse(Command::Close(Box::new(later(3))), refused.clone());

    let events = vec![ChainEvent::Closed {
        channel: PAYMENT,
        payout: payout(10, 90),
    }];
    follow(&mut world, block(12, 0), events);
    world.refuse(Command::Close(Box::new(later(8))), refused);
}

#[test]
fn nothing_but_the_chain_lets_a_channel_go_on_that_has_no_deposit_behind_it() {
    let release = |world: &World, channel| {
        Command::Reconcile(Box::new(ReconcileRequest {
            channel,
            shown: None,
            accept_loss: true,
            prepaid: None,
            at: world.now,
        }))
    };
    let mut world = with_channels();
    unwind(&mut world, block(9, 0));
    let refused = |channel| Refusal::NotBacked { channel };
    world.refuse(release(&world, PAYMENT), refused(PAYMENT));

    let mut world = with_channels();
    let events = vec![ChainEvent::Closed {
        channel: PAYING,
        payout: payout(0, 50),
    }];
    follow(&mut world, block(11, 0), events);
    world.refuse(release(&world, PAYING), refused(PAYING));
}

#[test]
fn a_consent_that_names_a_block_to_come_counts_as_of_its_own() {
    let mut world = on_chain();
    let ChainEvent::ConsentSet { id, key, .. } = consent(true, "com.") else {
        unreachable!()
    };
    let poisoned = ChainEvent::ConsentSet {
        id,
        key,
        signed_at: BlockNumber(u64::MAX),
        granted: true,
        service_prefix: "com.".to_owned(),
    };
    follow(&mut world, block(5, 0), vec![poisoned]);
    let consent = world.ledger.consent(&id).unwrap().unwrap();
    assert_eq!(consent.signed_at, BlockNumber(5));
}
