//! Random lives of a market with live and escrowed keys: what buyers paid is with their sellers, owed to them, or the fee.

use crate::world::*;
use bourse_market::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const SELLERS: u8 = 2;

fn delegate(number: u8) -> Address {
    Address([0x30 + number % SELLERS; 20])
}

fn member(number: u8) -> Address {
    Address([0x40 + number % SELLERS; 20])
}

/// Key 0 and 1 are live, 2 and 3 in escrow; even ones are the first seller's. Two copies of key 3.
fn key(number: u8) -> KeyId {
    KeyId([0x50 + number % 4; 16])
}

#[derive(Debug, Clone, Copy)]
enum Action {
    Buy {
        key: u8,
        price: u8,
        fee: u8,
        off: i8,
        box_: bool,
    },
    Again {
        nth: u8,
    },
    Open {
        seller: u8,
        by: u8,
        deposit: u8,
    },
    Close {
        nth: u8,
        settle: bool,
        off: i8,
        signer: Option<u8>,
    },
    Revoke {
        key: u8,
    },
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => (0..4u8, 0..9u8, 0..3u8, prop_oneof![6 => Just(0), 1 => any::<i8>()], prop::bool::weighted(0.9))
            .prop_map(|(key, price, fee, off, box_)| Action::Buy { key, price, fee, off, box_ }),
        2 => any::<u8>().prop_map(|nth| Action::Again { nth }),
        2 => (any::<u8>(), any::<u8>(), 1..30u8)
            .prop_map(|(seller, by, deposit)| Action::Open { seller, by, deposit }),
        3 => (any::<u8>(), any::<bool>(), prop_oneof![4 => Just(0), 1 => any::<i8>()], prop::option::weighted(0.1, any::<u8>()))
            .prop_map(|(nth, settle, off, signer)| Action::Close { nth, settle, off, signer }),
        1 => (0..16u8).prop_map(|key| Action::Revoke { key }),
    ]
}

/// The market, and what an outsider wrote down.
struct Market {
    world: World,
    sold: Vec<(DeliverRequest, EscrowSale)>,
    /// What each seller earned by escrowed keys, and what was paid of it.
    earned: BTreeMap<Address, Amount>,
    paid: BTreeMap<Address, Amount>,
    opened: u8,
}

impl Market {
    fn new() -> Self {
        let mut world = World::endowed();
        world.fund(BUYER_ACTOR, tokens(100));
        world.accept(Command::Open(Box::new(world.open_payment())));
        for number in 0..4 {
            let escrowed = number >= 2;
            let offer = Offer {
                id: OfferId(key(number).0),
                key: key(number),
                seller: delegate(number),
                price: Price::Dynamic,
                signature_verified: escrowed,
                copies: (number == 3).then_some(2),
                ..world.offer()
            };
            let escrow = escrowed.then_some(EscrowedKey([number; 88]));
            world.accept(Command::Place(Box::new(PlaceRequest { offer, escrow })));
        }
        let mut market = Self {
            world,
            sold: Vec::new(),
            earned: BTreeMap::new(),
            paid: BTreeMap::new(),
            opened: 0,
        };
        for seller in 0..SELLERS {
            market.open(seller, seller, 20);
        }
        market
    }

    fn open(&mut self, seller: u8, by: u8, deposit: u8) {
        self.opened += 1;
        let open = OpenRequest {
            id: ChannelId([0x60 + self.opened; 16]),
            delegate: delegate(seller),
            actor: member(by),
            signer: member(by),
            recipient: member(by),
            amount: tokens(deposit.into()),
            ..self.world.open_paying()
        };
        self.world.accept(Command::Open(Box::new(open)));
    }

    fn request(&mut self, number: u8, price: u8, fee: u8) -> DeliverRequest {
        let payment = self.world.channel(PAYMENT);
        let seq = payment.seq.next().unwrap();
        let price = tokens(price.into());
        let id = self.world.fresh_id();
        let mut decision = self.world.decision(0);
        decision.id = DecisionId(id.0);
        DeliverRequest {
            order: Order {
                id,
                at: self.world.now,
                identity: Identity {
                    channel: PAYMENT,
                    seq,
                    key: key(number),
                    buyer_pubkey: BuyerPubkey([0xbb; 32]),
                    amount: price,
                    balance: payment.posted_remaining().checked_sub(price).unwrap_or_default(),
                },
                buyer: BUYER,
                signer: BUYER,
                s1: signature(1),
                price,
                fee: tokens(fee.into()).min(price),
                source: PriceSource::Policy(decision.id),
                lenient_seq: false,
                cover: None,
            },
            escrowed: EscrowedKey([number; 88]),
            sealed_key: SealedKey([number; 80]),
            payment_seq: seq,
            s4: signature(4),
            decision: Some(decision),
            also: Vec::new(),
            state_writes: Vec::new(),
        }
    }

    /// The same order as a live purchase, over the seller's first channel that is open and its own.
    fn buy_live(&mut self, request: &DeliverRequest, number: u8) {
        let mine = |channel: &&Channel| channel.delegate == delegate(number) && channel.is_live();
        let Some(paying) = self.world.ledger.channels().find(mine).cloned() else {
            return;
        };
        let credit = request.order.price.checked_sub(request.order.fee).unwrap();
        let reserve = ReserveRequest {
            order: Order {
                id: request.order.id,
                at: request.order.at,
                identity: request.order.identity,
                buyer: request.order.buyer,
                signer: request.order.signer,
                s1: request.order.s1,
                price: request.order.price,
                fee: request.order.fee,
                source: request.order.source,
                lenient_seq: false,
                cover: None,
            },
            callee: PLACER.session,
            paying_channel: paying.id,
            paying_seq: paying.seq.next().unwrap(),
            paying_balance: paying.posted_remaining().checked_sub(credit).unwrap_or_default(),
            s2: signature(2),
        };
        if self.world.submit(Command::Reserve(Box::new(reserve))).is_ok() {
            let post = PostRequest {
                signer: delegate(number),
                decision: request.decision.clone(),
                ..self.world.post_request(request.order.id)
            };
            self.world.accept(Command::Post(Box::new(post)));
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Buy {
                key: number,
                price,
                fee,
                off,
                box_,
            } => {
                let mut request = self.request(number, price, fee);
                let balance = &mut request.order.identity.balance;
                *balance = shifted(*balance, off);
                if number < 2 {
                    return self.buy_live(&request, number);
                }
                if !box_ {
                    request.escrowed = EscrowedKey([0xff; 88]);
                }
                if let Ok(Outcome::Delivered { sale, again, .. }) =
                    self.world.submit(Command::Deliver(Arc::new(request.clone())))
                {
                    assert!(!again && off == 0 && box_);
                    let earned = self.earned.entry(sale.seller).or_default();
                    *earned = earned.saturating_add(sale.credit().unwrap());
                    self.sold.push((request, *sale));
                }
            }
            Action::Again { nth } => {
                let Some((request, first)) =
                    self.sold.get(usize::from(nth) % self.sold.len().max(1)).cloned()
                else {
                    return;
                };
                let id = self.world.fresh_id();
                let request = DeliverRequest {
                    order: Order { id, ..request.order },
                    ..request
                };
                match self.world.submit(Command::Deliver(Arc::new(request))) {
                    Ok(Outcome::Delivered {
                        sale, again: true, ..
                    }) => assert_eq!(*sale, first),
                    other => panic!("{other:?}"),
                }
            }
            Action::Open { seller, by, deposit } => self.open(seller, by, deposit),
            Action::Close {
                nth,
                settle,
                off,
                signer,
            } => self.close(nth, settle, off, signer),
            Action::Revoke { key: number } => {
                let revoke = RevokeRequest {
                    key: key(number),
                    caller: PLACER,
                    proven: None,
                    at: self.world.now,
                };
                // Seldom, or nothing would be left to sell.
                if number < 4 {
                    self.world.accept(Command::Revoke(revoke));
                    assert_eq!(self.world.ledger.escrowed_key(&key(number)).unwrap(), None);
                }
            }
        }
    }

    fn close(&mut self, nth: u8, settle: bool, off: i8, signer: Option<u8>) {
        let all: Vec<Channel> = self.world.ledger.channels().cloned().collect();
        let before = &all[usize::from(nth) % all.len()];
        if before.id == PAYMENT || before.closing.is_some() {
            return;
        }
        let zero = Amount::ZERO;
        let earned = self.earned.get(&before.delegate).copied().unwrap_or(zero);
        let paid = self.paid.get(&before.delegate).copied().unwrap_or(zero);
        let due = match before.bound {
            true => earned.checked_sub(paid).unwrap().min(before.remaining),
            false => zero,
        };
        let mut request = self.world.close_request(before.id);
        if settle {
            request.balance = request.balance.checked_sub(due).unwrap();
        }
        request.balance = shifted(request.balance, off);
        request.signer = signer.map_or(before.delegate, delegate);
        let held = self.world.account(before.actor).balance;
        let closes = request.signer == before.delegate
            && (request.balance == before.remaining
                || Some(request.balance) == before.remaining.checked_sub(due));
        match self.world.submit(Command::Close(Box::new(request.clone()))) {
            Ok(Outcome::Closed {
                channel,
                again: false,
            }) => {
                assert!(closes);
                let settled = before.remaining.checked_sub(request.balance).unwrap();
                assert_eq!(channel.spent, before.spent.saturating_add(settled));
                let now = self.world.account(before.actor).balance;
                assert_eq!(now, held.saturating_add(channel.spent));
                self.paid.insert(before.delegate, paid.saturating_add(settled));
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => assert!(!closes),
        }
    }

    /// The debts are what the outsider wrote down; the rest is audited by the world after each command.
    fn check(&self) {
        for number in 0..SELLERS {
            let delegate = delegate(number);
            let debt = self.world.ledger.debt(&delegate).unwrap().unwrap_or_default();
            let of = |sums: &BTreeMap<Address, Amount>| sums.get(&delegate).copied().unwrap_or_default();
            assert_eq!(debt.settled, of(&self.paid));
            assert_eq!(debt.owed.checked_add(debt.settled), Some(of(&self.earned)));
        }
    }
}

fn shifted(amount: Amount, by: i8) -> Amount {
    let units = Amount::from_units(by.unsigned_abs().into());
    match by < 0 {
        true => amount.checked_sub(units).unwrap_or(Amount::MAX),
        false => amount.saturating_add(units),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn what_escrowed_keys_earned_is_owed_or_paid(actions in prop::collection::vec(action(), 1..60)) {
        let mut market = Market::new();
        for action in actions {
            market.act(action);
            market.check();
        }
    }
}

#[test]
fn the_random_lives_are_not_idle() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut sold, mut settled) = (0, 0);
    for _ in 0..20 {
        let actions = prop::collection::vec(action(), 40..60)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let mut market = Market::new();
        actions.into_iter().for_each(|action| market.act(action));
        sold += market.sold.len();
        settled += market.paid.values().filter(|paid| !paid.is_zero()).count();
    }
    assert!(
        sold > 60 && settled > 8,
        "{sold} sold, {settled} sellers were paid"
    );
}
