//! W-52: escrowed keys, their sales and debts on a real disk, against the ledger in memory.

use crate::fixture::*;
use crate::model::assert_same;
use bourse_market::*;
use bourse_store::{Reader, Store, SubmitError};
use proptest::prelude::*;
use std::sync::Arc;

const PARTIES: u64 = 2;

fn boxed(number: u64) -> EscrowedKey {
    EscrowedKey([number as u8; 88])
}

/// Leaves key `number` of seller `seller` with the market maker, for one token.
pub(crate) fn leave(number: u64, seller: u64) -> Command {
    let Command::Place(mut request) = place(number, seller) else {
        unreachable!()
    };
    request.offer.signature_verified = true;
    request.escrow = Some(boxed(number));
    Command::Place(request)
}

fn revoke(number: u64) -> Command {
    Command::Revoke(RevokeRequest {
        key: key(number),
        caller: Placer {
            session: SessionId(9),
            authid: None,
        },
        proven: None,
        at: Nanos(9),
    })
}

/// Sells key `offer` as purchase `number` to a buyer, as `view` has its channel now.
pub(crate) fn deliver<V: View>(view: &V, number: u64, offer: u64, buyer: u64) -> Command
where
    V::Error: std::fmt::Debug,
{
    let payment = view
        .channel(&channel(ChannelKind::Payment, buyer))
        .unwrap()
        .unwrap();
    let price = Amount::from_tokens(1);
    let seq = payment.seq.next().unwrap();
    let Command::Post(post) = post(number, 0, 100) else {
        unreachable!()
    };
    Command::Deliver(Arc::new(DeliverRequest {
        order: Order {
            id: purchase(number),
            at: Nanos(2000 + number),
            identity: Identity {
                channel: payment.id,
                seq,
                key: key(offer),
                buyer_pubkey: BuyerPubkey([5; 32]),
                amount: price,
                balance: payment.posted_remaining().checked_sub(price).unwrap_or_default(),
            },
            buyer: payment.delegate,
            signer: payment.delegate,
            s1: Signature([1; 65]),
            price,
            fee: Amount::ZERO,
            source: PriceSource::Policy(DecisionId(id(b'd', number))),
            lenient_seq: false,
            cover: None,
        },
        escrowed: boxed(offer),
        sealed_key: SealedKey([8; 80]),
        payment_seq: seq,
        s4: Signature([4; 65]),
        decision: post.decision,
        also: Vec::new(),
        state_writes: post.state_writes,
    }))
}

/// Closes the paying channel of a seller with all that is due over it.
pub(crate) fn settle<V: View>(view: &V, seller: u64) -> Option<Command>
where
    V::Error: std::fmt::Debug,
{
    let paying = view.channel(&channel(ChannelKind::Paying, seller)).unwrap()?;
    let owed = view.debt(&paying.delegate).unwrap().unwrap_or_default().owed;
    let Command::Close(mut request) = close(&paying) else {
        unreachable!()
    };
    request.balance = request.balance.checked_sub(owed.min(request.balance)).unwrap();
    Some(Command::Close(request))
}

pub(crate) fn assert_escrow(reader: &Reader<'_>, model: &MemoryLedger) {
    for sale in model.escrow_sales() {
        assert_eq!(reader.escrow_sale(&sale.id).unwrap().as_ref(), Some(sale));
        let at = reader.escrow_sale_at(&sale.identity.channel, sale.payment_seq);
        assert_eq!(at.unwrap().as_ref(), Some(sale));
        let sold = reader.sale(&sale.id).unwrap().unwrap();
        assert_eq!(
            (sold.at, sold.price, sold.buyer),
            (sale.at, sale.price, sale.buyer)
        );
    }
    for offer in model.offers() {
        assert_eq!(
            reader.escrowed_key(&offer.key).unwrap(),
            model.escrowed_key(&offer.key).unwrap()
        );
    }
    for (delegate, debt) in model.debts() {
        assert_eq!(reader.debt(delegate).unwrap().as_ref(), Some(debt));
    }
    for channel in model.channels() {
        assert_eq!(
            reader.escrow_payment(&channel.id).unwrap(),
            model.escrow_payment(&channel.id).unwrap()
        );
    }
    let counts = reader.counts().unwrap();
    assert_eq!(counts.escrow_sales, model.escrow_sales().count() as u64);
    assert_eq!(counts.escrowed_keys, model.escrowed_keys().count() as u64);
}

#[derive(Debug, Clone)]
enum Step {
    Open(bool, u64),
    Place(bool, u64),
    Revoke(u64),
    Deliver(u64, u64),
    Buy(u64, u64),
    Settle(u64),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let party = 0..PARTIES;
    prop_oneof![
        2 => (any::<bool>(), party.clone()).prop_map(|(payment, who)| Step::Open(payment, who)),
        3 => (prop::bool::weighted(0.7), 0..4u64).prop_map(|(escrow, key)| Step::Place(escrow, key)),
        1 => (0..4u64).prop_map(Step::Revoke),
        8 => (0..4u64, party.clone()).prop_map(|(key, buyer)| Step::Deliver(key, buyer)),
        2 => (0..4u64, party.clone()).prop_map(|(key, buyer)| Step::Buy(key, buyer)),
        2 => party.prop_map(Step::Settle),
        1 => Just(Step::Reopen),
    ]
}

/// What a step comes to: of a live purchase both its writes.
fn commands(model: &MemoryLedger, step: &Step, number: u64) -> Vec<Command> {
    let there = |kind, who| model.channel(&channel(kind, who)).unwrap().is_some();
    match *step {
        Step::Open(true, who) => vec![
            fund(actor(ChannelKind::Payment, who), 9),
            open_channel(ChannelKind::Payment, who, 9, number),
        ],
        Step::Open(false, who) => vec![open_channel(ChannelKind::Paying, who, 9, number)],
        Step::Place(true, key) => vec![leave(key, key % PARTIES)],
        Step::Place(false, key) => vec![place(key, key % PARTIES)],
        Step::Revoke(key) => vec![revoke(key)],
        Step::Deliver(key, buyer) if there(ChannelKind::Payment, buyer) => {
            vec![deliver(model, number, key, buyer)]
        }
        Step::Buy(key, buyer)
            if there(ChannelKind::Payment, buyer) && there(ChannelKind::Paying, key % PARTIES) =>
        {
            let seller = key % PARTIES;
            vec![
                reserve(model, number, key, buyer, seller),
                post(number, seller, 100),
            ]
        }
        Step::Deliver(..) | Step::Buy(..) | Step::Reopen => Vec::new(),
        Step::Settle(seller) => settle(model, seller).into_iter().collect(),
    }
}

proptest! {
    // Each step is a real sync: few cases, long ones.
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_left_sold_and_settled_the_disk_holds_what_the_model_says(
        steps in prop::collection::vec(step(), 20..60)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut model = MemoryLedger::new();
        let mut store = open(dir.path());
        model.submit(&genesis()).unwrap();
        store.submit_blocking(genesis()).unwrap();
        for (number, step) in steps.iter().enumerate() {
            if matches!(step, Step::Reopen) {
                drop(store);
                store = open(dir.path());
                assert_same(&store, &model);
            }
            for command in commands(&model, step, number as u64) {
                let expected = model.submit(&command).map_err(SubmitError::Refused);
                prop_assert_eq!(store.submit_blocking(command), expected);
            }
        }
        assert_same(&store, &model);
        drop(store);
        assert_same(&open(dir.path()), &model);
    }
}

#[test]
fn sales_of_both_kinds_are_told_in_the_order_they_were_made() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let run = |store: &Store, command: Command| drop(store.submit_blocking(command).unwrap());
    run(&store, genesis());
    run(&store, fund(actor(ChannelKind::Payment, 0), 9));
    run(&store, open_channel(ChannelKind::Payment, 0, 9, 5));
    run(&store, open_channel(ChannelKind::Paying, 0, 9, 5));
    run(&store, place(0, 0));
    run(&store, leave(1, 0));
    for number in 0..4 {
        if number % 2 == 0 {
            let command = deliver(&store.read().unwrap(), number, 1, 0);
            run(&store, command);
        } else {
            let command = reserve(&store.read().unwrap(), number, 0, 0, 0);
            run(&store, command);
            run(&store, post(number, 0, 10));
        }
    }
    let reader = store.read().unwrap();
    let mut sold = Vec::new();
    reader
        .sold_since(Nanos(2001), &mut |id, sale| sold.push((id, sale.at, sale.key)))
        .unwrap();
    let expected =
        [(1, 0), (2, 1), (3, 0)].map(|(number, of)| (purchase(number), Nanos(2000 + number), key(of)));
    assert_eq!(sold, expected);
    assert_eq!(reader.last_posted().unwrap(), Some(Nanos(2003)));
    assert_eq!(reader.counts().unwrap().posted, 4);
    assert_sound(&store);
    // What the final state pays of the debt is no break in the line of live sales.
    let command = settle(&reader, 0).unwrap();
    run(&store, command);
    let closed = store.read().unwrap();
    let closed = closed.channel(&channel(ChannelKind::Paying, 0)).unwrap().unwrap();
    assert_eq!(closed.posted_remaining(), Amount::from_tokens(9 - 2 - 2));
    assert_sound(&store);
}

#[test]
fn many_buyers_at_once_get_the_last_copies_once_each() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.submit_blocking(genesis()).unwrap();
    let Command::Place(mut request) = leave(0, 0) else {
        unreachable!()
    };
    request.offer.copies = Some(3);
    store.submit_blocking(Command::Place(request)).unwrap();
    for buyer in 0..8 {
        store
            .submit_blocking(fund(actor(ChannelKind::Payment, buyer), 1))
            .unwrap();
        store
            .submit_blocking(open_channel(ChannelKind::Payment, buyer, 1, 5))
            .unwrap();
    }
    let orders: Vec<_> = (0..8)
        .map(|buyer| deliver(&store.read().unwrap(), buyer, 0, buyer))
        .collect();
    let sold: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = orders
            .into_iter()
            .map(|order| scope.spawn(|| store.submit_blocking(order).is_ok()))
            .collect();
        let sold = threads.into_iter().filter_map(|thread| thread.join().ok());
        sold.filter(|sold| *sold).count()
    });
    assert_eq!(sold, 3);
    let debt = store.read().unwrap().debt(&delegate(ChannelKind::Paying, 0));
    assert_eq!(debt.unwrap().unwrap().owed, Amount::from_tokens(3));
    assert_sound(&store);
}
