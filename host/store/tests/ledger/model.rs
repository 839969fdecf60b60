//! The store against the ledger in memory: the same commands, the same answers, the same records.

use crate::fixture::*;
use bourse_market::*;
use bourse_store::{Held, Money, Store, SubmitError};
use proptest::prelude::*;

const PARTIES: u64 = 3;

/// One step of a market, by numbers that need not make sense.
#[derive(Debug, Clone)]
enum Step {
    Fund(u64, u64),
    Open(bool, u64, u64),
    Place(u64, u64),
    Revoke(u64),
    Reserve(u64, u64, u64),
    Recover(usize),
    Post(usize),
    Void(usize, bool),
    Release(u64, bool),
    ReleasePair(u64),
    Close(bool, u64),
    Sweep(u64),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let party = 0..PARTIES;
    prop_oneof![
        2 => (party.clone(), 0..20u64).prop_map(|(who, tokens)| Step::Fund(who, tokens)),
        3 => (any::<bool>(), party.clone(), 0..10u64).prop_map(|(kind, who, tokens)| Step::Open(kind, who, tokens)),
        3 => (0..6u64, party.clone()).prop_map(|(key, seller)| Step::Place(key, seller)),
        1 => (0..6u64).prop_map(Step::Revoke),
        8 => (0..6u64, party.clone(), party.clone()).prop_map(|(key, buyer, seller)| Step::Reserve(key, buyer, seller)),
        3 => (0..3usize).prop_map(Step::Recover),
        6 => (0..3usize).prop_map(Step::Post),
        3 => (0..3usize, any::<bool>()).prop_map(|(which, ambiguous)| Step::Void(which, ambiguous)),
        1 => (party.clone(), any::<bool>()).prop_map(|(who, operator)| Step::Release(who, operator)),
        1 => party.prop_map(Step::ReleasePair),
        1 => (any::<bool>(), 0..PARTIES).prop_map(|(kind, who)| Step::Close(kind, who)),
        2 => (0..1100u64).prop_map(Step::Sweep),
        1 => Just(Step::Reopen),
    ]
}

/// The command of a step, none if there is nothing it could mean.
fn command(model: &MemoryLedger, step: &Step, number: u64) -> Option<Command> {
    let pending = |which: usize| {
        let sent = |purchase: &&Purchase| matches!(purchase.state, PurchaseState::Sent);
        model.purchases().filter(sent).nth(which).map(|purchase| {
            let number = u64::from_be_bytes(purchase.id.0[8..].try_into().unwrap());
            let seller = u64::from_be_bytes(purchase.seller.0[12..].try_into().unwrap());
            (number, seller)
        })
    };
    Some(match *step {
        Step::Fund(who, tokens) => fund(actor(ChannelKind::Payment, who), tokens),
        Step::Open(true, who, tokens) => open_channel(ChannelKind::Payment, who, tokens, number),
        Step::Open(false, who, tokens) => open_channel(ChannelKind::Paying, who, tokens, number),
        Step::Place(key, seller) => ending(place(key, seller), key),
        Step::Sweep(until) => Command::Sweep(SweepRequest {
            ended_before: Nanos(until),
            after: None,
        }),
        Step::Revoke(number) => Command::Revoke(RevokeRequest {
            key: key(number),
            caller: Placer {
                session: SessionId(9),
                authid: None,
            },
            proven: None,
            at: Nanos(9),
        }),
        Step::Reserve(key, buyer, seller) => {
            model.channel(&channel(ChannelKind::Payment, buyer)).unwrap()?;
            model.channel(&channel(ChannelKind::Paying, seller)).unwrap()?;
            reserve(model, number, key, buyer, seller)
        }
        Step::Recover(which) => {
            let sent = |purchase: &&Purchase| matches!(purchase.state, PurchaseState::Sent);
            let purchase = model.purchases().filter(sent).nth(which)?;
            let confirmed = purchase.asks().last().and_then(|ask| ask.confirmed());
            Command::Recover(RecoverRequest {
                id: purchase.id,
                at: Nanos(number),
                doubt: Doubt::Unclear,
                ask: confirmed.unwrap(),
                s2: Signature([7; 65]),
            })
        }
        Step::Post(which) => pending(which).map(|(number, seller)| post(number, seller, 300))?,
        Step::Void(which, ambiguous) => pending(which).map(|(number, _)| void(number, ambiguous))?,
        Step::Release(who, by_operator) => Command::ReleaseChannel {
            channel: channel(ChannelKind::Paying, who),
            by_operator,
        },
        Step::ReleasePair(who) => Command::ReleasePair(pair_key(who)),
        Step::Close(payment, who) => {
            let kind = if payment {
                ChannelKind::Payment
            } else {
                ChannelKind::Paying
            };
            close(&model.channel(&channel(kind, who)).unwrap()?)
        }
        Step::Reopen => return None,
    })
}

/// Some offers end by themselves, and some have few copies.
fn ending(command: Command, key: u64) -> Command {
    let Command::Place(mut request) = command else {
        panic!("not a placing")
    };
    let offer = &mut request.offer;
    offer.expires = key.is_multiple_of(2).then_some(Nanos(1030));
    offer.copies = key.is_multiple_of(3).then_some(1);
    Command::Place(request)
}

fn pair_key(seller: u64) -> PairKey {
    let delegate = delegate(ChannelKind::Paying, seller);
    PairKey {
        delegate,
        provider_id: format!("provider-{}", delegate.0[19]),
    }
}

/// Every record and every index of the store against the model.
pub(crate) fn assert_same(store: &Store, model: &MemoryLedger) {
    assert_sound(store);
    let reader = store.read().unwrap();
    assert_eq!(reader.genesis().unwrap(), model.genesis().unwrap());
    assert_eq!(reader.totals().unwrap(), model.totals().unwrap());
    for (address, account) in model.accounts() {
        assert_eq!(reader.account(address).unwrap().as_ref(), Some(account));
    }
    for offer in model.offers() {
        assert_eq!(reader.offer(&offer.id).unwrap().as_ref(), Some(offer));
        assert_eq!(reader.offer_by_key(&offer.key).unwrap().as_ref(), Some(offer));
    }
    for (key, pair) in model.pairs() {
        assert_eq!(reader.pair(key).unwrap().as_ref(), Some(pair));
        let suspended = reader.suspended_pairs(&key.delegate).unwrap().contains(key);
        assert_eq!(suspended, pair.suspended.is_some());
        let suspended = reader
            .suspended_pairs_of_provider(&key.provider_id)
            .unwrap()
            .contains(key);
        assert_eq!(suspended, pair.suspended.is_some());
    }
    assert_channels(&reader, model);
    assert_eq!(store.money(), money(model), "kept up, not counted");
    assert_purchases(&reader, model);
    crate::escrow::assert_escrow(&reader, model);
    let counts = reader.counts().unwrap();
    assert_eq!(counts.accounts, model.accounts().count() as u64);
    assert_eq!(counts.channels, model.channels().count() as u64);
    assert_eq!(counts.offers, model.offers().count() as u64);
    assert_eq!(counts.purchases, model.purchases().count() as u64);
    assert_eq!(counts.pairs, model.pairs().count() as u64);
    for (slot, value) in model.policy_values() {
        assert_eq!(
            reader.policy_value(&slot.policy, &slot.key).unwrap().as_deref(),
            Some(value)
        );
    }
    for (slot, count) in model.policy_counters() {
        assert_eq!(reader.policy_counter(&slot.policy, &slot.key).unwrap(), count);
    }
    let sizes: Vec<_> = model
        .policy_sizes()
        .map(|(policy, size)| (policy.to_owned(), size))
        .collect();
    assert_eq!(reader.policy_sizes().unwrap(), sizes);
}

/// What is in the channels of the model.
fn money(model: &MemoryLedger) -> Money {
    let of = |kind: ChannelKind| {
        let all = || model.channels().filter(move |channel| channel.kind == kind);
        let open = || all().filter(|channel| channel.state != ChannelState::Closed);
        let sum = |parts: Vec<Amount>| parts.into_iter().fold(Amount::ZERO, Amount::saturating_add);
        Held {
            channels: open().count() as u64,
            deposited: sum(open().map(|channel| channel.amount).collect()),
            remaining: sum(open().map(|channel| channel.remaining).collect()),
            inflight: sum(open().map(|channel| channel.inflight).collect()),
            unsettled: sum(open().map(|channel| channel.spent).collect()),
            prepaid: sum(open().map(|channel| channel.prepaid).collect()),
            spent: sum(all().map(|channel| channel.spent).collect()),
        }
    };
    Money {
        payment: of(ChannelKind::Payment),
        paying: of(ChannelKind::Paying),
    }
}

fn assert_channels(reader: &bourse_store::Reader<'_>, model: &MemoryLedger) {
    for channel in model.channels() {
        assert_eq!(reader.channel(&channel.id).unwrap().as_ref(), Some(channel));
        assert_eq!(
            reader.binding(&channel.delegate).unwrap(),
            model.binding(&channel.delegate).unwrap()
        );
        let kind = channel.kind;
        let all = reader
            .channels_by_delegate(kind, &channel.delegate, false, None, usize::MAX)
            .unwrap()
            .found;
        assert!(all.contains(&channel.id));
        let live = reader
            .channels_by_delegate(kind, &channel.delegate, true, None, usize::MAX)
            .unwrap()
            .found;
        assert_eq!(live.contains(&channel.id), channel.is_live());
        let live = reader
            .channels_by_actor(kind, &channel.actor, true, None, usize::MAX)
            .unwrap()
            .found;
        assert_eq!(live.contains(&channel.id), channel.is_live());
        let active = reader.active_channel(kind, &channel.delegate).unwrap();
        assert_eq!(active.as_ref(), channel.is_live().then_some(channel));
        let suspended = reader.suspended_channels(&channel.delegate).unwrap();
        assert_eq!(suspended.contains(&channel.id), channel.suspended.is_some());
    }
}

fn assert_purchases(reader: &bourse_store::Reader<'_>, model: &MemoryLedger) {
    let mut sent = Vec::new();
    let mut posted = Vec::new();
    for purchase in model.purchases() {
        assert_eq!(reader.purchase(&purchase.id).unwrap().as_ref(), Some(purchase));
        let (channel, seq) = (&purchase.identity.channel, purchase.payment_seq);
        assert_eq!(
            reader.purchase_at(channel, seq).unwrap(),
            model.purchase_at(channel, seq).unwrap()
        );
        match purchase.state {
            PurchaseState::Sent => sent.push(purchase.clone()),
            PurchaseState::Posted { at, .. } => posted.push((at, purchase.id)),
            PurchaseState::Voided { .. } => {}
        }
        if let PriceSource::Policy(id) = purchase.source {
            assert_eq!(reader.decision(&id).unwrap().as_ref(), model.decision(&id));
        }
    }
    assert_eq!(reader.sent_purchases().unwrap(), sent);
    posted.extend(model.escrow_sales().map(|sale| (sale.at, sale.id)));
    posted.sort();
    let since = posted.get(posted.len() / 2).map_or(Nanos(0), |(at, _)| *at);
    let mut seen = Vec::new();
    reader.sold_since(since, &mut |id, _| seen.push(id)).unwrap();
    let expected: Vec<_> = posted
        .iter()
        .filter(|(at, _)| *at >= since)
        .map(|(_, id)| *id)
        .collect();
    assert_eq!(seen, expected);
    assert_eq!(reader.last_posted().unwrap(), posted.last().map(|(at, _)| *at));
}

proptest! {
    // Each step is a real sync: few cases, long ones.
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_disk_holds_what_the_model_says(steps in prop::collection::vec(step(), 20..80)) {
        let dir = tempfile::tempdir().unwrap();
        let mut model = MemoryLedger::new();
        let mut store = open(dir.path());
        model.submit(&genesis()).unwrap();
        do_all(&store, [genesis()]);
        for (number, step) in steps.iter().enumerate() {
            if matches!(step, Step::Reopen) {
                drop(store);
                store = open(dir.path());
                assert_same(&store, &model);
            }
            let Some(command) = command(&model, step, number as u64) else { continue };
            let expected = model.submit(&command).map_err(SubmitError::Refused);
            prop_assert_eq!(store.submit_blocking(command), expected);
        }
        assert_same(&store, &model);
        drop(store);
        assert_same(&open(dir.path()), &model);
    }
}

#[test]
fn a_whole_day_of_a_market_survives_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut model = MemoryLedger::new();
    let mut both = |store: &Store, command: Command| {
        let outcome = model.submit(&command).unwrap();
        assert_eq!(store.submit_blocking(command).unwrap(), outcome);
    };
    both(&store, genesis());
    for number in 0..PARTIES {
        both(&store, fund(actor(ChannelKind::Payment, number), 10));
        both(&store, open_channel(ChannelKind::Payment, number, 10, 5));
        both(&store, open_channel(ChannelKind::Paying, number, 10, 5));
        both(&store, place(number, number));
    }
    for number in 0..20 {
        let party = number % PARTIES;
        let command = reserve(&store.read().unwrap(), number, party, party, party);
        both(&store, command);
        both(
            &store,
            if number % 4 == 3 {
                void(number, false)
            } else {
                post(number, party, 100)
            },
        );
    }
    let command = reserve(&store.read().unwrap(), 99, 2, 2, 2);
    both(&store, command);
    both(&store, void(99, true));
    let command = reserve(&store.read().unwrap(), 98, 1, 1, 1);
    both(&store, command);
    assert_same(&store, &model);
    drop(store);
    let store = open(dir.path());
    assert_same(&store, &model);
    assert_eq!(store.read().unwrap().sent_purchases().unwrap().len(), 1);
}
