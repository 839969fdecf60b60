//! Random lives of a market: whatever is tried, in whatever order, no unit is lost, made or paid twice.

use crate::actions::{Action, Twist, action};
use crate::world::{MARKET, MM, genesis, purchase_id, signature, tokens};
use bourse_market::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const BUYERS: u8 = 3;
const SELLERS: u8 = 2;
const KEYS: u8 = 6;

fn buyer(number: u8) -> Address {
    Address([0x10 + number % BUYERS; 20])
}

fn seller(number: u8) -> Address {
    Address([0x20 + number % SELLERS; 20])
}

/// The member behind a delegate.
fn actor(delegate: Address) -> Address {
    Address(delegate.0.map(|byte| byte + 0x40))
}

fn payment(number: u8) -> ChannelId {
    ChannelId([0x10 + number % BUYERS; 16])
}

fn paying(number: u8) -> ChannelId {
    ChannelId([0x20 + number % SELLERS; 16])
}

fn key(number: u8) -> KeyId {
    KeyId([0x30 + number % KEYS; 16])
}

/// The ledger, and beside it what an outsider would write down.
struct Market {
    ledger: MemoryLedger,
    clock: u64,
    ids: u64,
    /// The pair both sides signed last, by channel.
    signed: BTreeMap<ChannelId, (Seq, Amount)>,
    /// Every posted purchase with the request that led to it.
    posted: Vec<(Purchase, ReserveRequest)>,
    requests: BTreeMap<PurchaseId, ReserveRequest>,
    /// Every closed channel as it was then.
    closed: BTreeMap<ChannelId, Channel>,
    granted: Amount,
    more: u8,
}

impl Market {
    fn new() -> Self {
        let (ledger, signed) = (MemoryLedger::new(), BTreeMap::new());
        let (posted, requests) = (Vec::new(), BTreeMap::new());
        let mut market = Self {
            ledger,
            clock: 1000,
            ids: 0,
            signed,
            posted,
            requests,
            closed: BTreeMap::new(),
            granted: Amount::ZERO,
            more: 0,
        };
        market.submit(Command::Genesis(genesis())).unwrap();
        for number in 0..BUYERS {
            let address = actor(buyer(number));
            market
                .submit(Command::Fund(FundRequest {
                    address,
                    amount: tokens(200),
                    at: Nanos(1),
                }))
                .unwrap();
            market
                .open(
                    ChannelKind::Payment,
                    payment(number),
                    buyer(number),
                    actor(buyer(number)),
                    150,
                )
                .unwrap();
        }
        for number in 0..SELLERS {
            market
                .open(
                    ChannelKind::Paying,
                    paying(number),
                    seller(number),
                    actor(seller(number)),
                    120,
                )
                .unwrap();
        }
        for number in 0..KEYS {
            let offer = market.offer(number);
            market
                .submit(Command::Place(Box::new(PlaceRequest { offer, escrow: None })))
                .unwrap();
        }
        market
    }

    /// Keys 0 and 1 are fixed (one of them free), the others dynamic; some are limited in copies or time.
    fn offer(&self, number: u8) -> Offer {
        let price = match number {
            0 => Price::Fixed(tokens(7)),
            1 => Price::Fixed(Amount::ZERO),
            _ => Price::Dynamic,
        };
        Offer {
            id: OfferId(key(number).0),
            key: key(number),
            api: ApiId([1; 16]),
            catalog: None,
            uri: String::new(),
            seller: seller(number),
            provider_id: (number != 5).then(|| format!("provider-{}", number % 3)),
            placer: Placer {
                session: SessionId(number.into()),
                authid: None,
            },
            placed_at: Nanos(1),
            valid_from: None,
            expires: (number == 4).then_some(Nanos(1_000_000)),
            revoked: None,
            signature: signature(0),
            signature_verified: false,
            claimed: true,
            unlisted: false,
            price,
            pricing: PricingTerms::default(),
            copies: (number == 3).then_some(3),
            remaining: None,
            categories: BTreeMap::new(),
        }
    }

    fn open(
        &mut self,
        kind: ChannelKind,
        id: ChannelId,
        delegate: Address,
        actor: Address,
        deposit: u64,
    ) -> Result<Outcome, Refusal> {
        let recipient = if kind == ChannelKind::Payment { MM } else { actor };
        self.submit(Command::Open(Box::new(OpenRequest {
            id,
            kind,
            market: MARKET,
            actor,
            delegate,
            marketmaker: MM,
            recipient,
            amount: tokens(deposit),
            open_at: Amount::from_units(1),
            signature: signature(0),
            signer: actor,
            at: Nanos(self.clock),
        })))
    }

    fn channel(&self, id: ChannelId) -> Channel {
        self.ledger.channel(&id).unwrap().unwrap()
    }

    /// The channel that a delegate uses: the oldest live one, else the one it had first.
    fn active(&self, kind: ChannelKind, delegate: Address, first: ChannelId) -> ChannelId {
        self.ledger
            .channels()
            .filter(|channel| channel.kind == kind && channel.delegate == delegate && channel.is_live())
            .min_by_key(|channel| (channel.opened, channel.id))
            .map_or(first, |channel| channel.id)
    }

    fn fresh_id(&mut self) -> PurchaseId {
        self.ids += 1;
        purchase_id(self.ids)
    }

    /// The purchase that an index means: half of the time one that is pending, else any.
    fn nth(&self, nth: u8) -> PurchaseId {
        let sent = |purchase: &&Purchase| purchase.state == PurchaseState::Sent;
        let pending: Vec<_> = self
            .ledger
            .purchases()
            .filter(sent)
            .map(|purchase| purchase.id)
            .collect();
        let all: Vec<_> = self.ledger.purchases().map(|purchase| purchase.id).collect();
        let among = if !nth.is_multiple_of(4) && !pending.is_empty() {
            pending
        } else {
            all
        };
        if among.is_empty() {
            purchase_id(u64::MAX)
        } else {
            among[usize::from(nth / 4) % among.len()]
        }
    }

    fn reserve_request(
        &mut self,
        buyer_number: u8,
        key_number: u8,
        price: u8,
        twist: Twist,
    ) -> ReserveRequest {
        let key_number = key_number % KEYS;
        let channel = self.active(ChannelKind::Payment, buyer(buyer_number), payment(buyer_number));
        let paying_channel = self.active(ChannelKind::Paying, seller(key_number), paying(key_number));
        let fixed = match self.offer(key_number).price {
            Price::Fixed(fixed) if !price.is_multiple_of(3) => Some(fixed),
            _ => None,
        };
        let id = self.fresh_id();
        let price = fixed.unwrap_or(tokens(price.into()));
        let decision = DecisionId(id.0);
        let source = if fixed.is_some() {
            PriceSource::Fixed
        } else {
            PriceSource::Policy(decision)
        };
        let (from, to) = (self.channel(channel), self.channel(paying_channel));
        let less = |amount: Amount, cost: Amount| amount.checked_sub(cost).unwrap_or(Amount::MAX);
        let mut request = ReserveRequest {
            order: Order {
                id,
                at: Nanos(self.clock),
                identity: Identity {
                    channel,
                    seq: from.seq.next().unwrap(),
                    key: key(key_number),
                    buyer_pubkey: BuyerPubkey([buyer_number; 32]),
                    amount: price,
                    balance: less(from.posted_remaining(), price),
                },
                buyer: buyer(buyer_number),
                signer: buyer(buyer_number),
                s1: signature(1),
                price,
                fee: Amount::ZERO,
                source,
                lenient_seq: false,
                cover: None,
            },
            callee: SessionId(key_number.into()),
            paying_channel: to.id,
            paying_seq: to.seq.next().unwrap(),
            paying_balance: less(to.posted_remaining(), to.net(price).0),
            s2: signature(2),
        };
        let off = |amount: Amount, by: i8| {
            let by_units = Amount::from_units(by.unsigned_abs().into());
            if by < 0 {
                less(amount, by_units)
            } else {
                amount.saturating_add(by_units)
            }
        };
        let identity = &mut request.order.identity;
        match twist {
            Twist::None => {}
            Twist::Seq(by) => identity.seq = Seq(identity.seq.0.wrapping_add_signed(by.into())),
            Twist::Balance(by) => identity.balance = off(identity.balance, by),
            Twist::Generous(by) => identity.amount = identity.amount.saturating_add(tokens(by.into())),
            Twist::Outdated(by) => {
                identity.amount = identity.amount.saturating_add(tokens(by.into()));
                identity.balance = less(from.posted_remaining(), identity.amount);
            }
            Twist::Stingy(by) => identity.amount = less(identity.amount, Amount::from_units(by.into())),
            Twist::Signer(who) => request.order.signer = buyer(who),
            Twist::Named(who) => request.order.buyer = buyer(who),
            Twist::PayingSeq(by) => {
                request.paying_seq = Seq(request.paying_seq.0.wrapping_add_signed(by.into()));
            }
            Twist::PayingBalance(by) => request.paying_balance = off(request.paying_balance, by),
            Twist::PayingChannel(who) => request.paying_channel = paying(who),
            Twist::Fee(fee) => {
                request.order.fee = tokens(fee.into());
                request.paying_balance =
                    less(to.posted_remaining(), to.net(less(price, request.order.fee)).0);
            }
            Twist::Lenient => (request.order.lenient_seq, identity.seq) = (true, from.seq),
            Twist::Late => request.order.at = Nanos(u64::MAX),
            Twist::Unpriced => request.order.source = PriceSource::Fixed,
            Twist::Largest => {
                (request.order.price, identity.amount, request.order.fee) =
                    (Amount::MAX, Amount::MAX, Amount::MAX);
            }
        }
        request
    }

    fn act(&mut self, action: Action) {
        self.clock += 20_000;
        match action {
            Action::Fund { who, amount } => self.fund(actor(buyer(who)), tokens(amount.into())),
            Action::FundLargest { who } => self.fund(actor(buyer(who)), Amount::MAX),
            Action::OpenMore {
                paying,
                who,
                deposit,
                by,
            } => {
                self.more += 1;
                let kind = if paying {
                    ChannelKind::Paying
                } else {
                    ChannelKind::Payment
                };
                let delegate = if paying { seller(who) } else { buyer(who) };
                // Sometimes for somebody else's delegate.
                let _ = self.open(
                    kind,
                    ChannelId([self.more; 16]),
                    delegate,
                    actor(buyer(by)),
                    deposit.into(),
                );
            }
            Action::Revoke { key: number, session } => {
                let caller = Placer {
                    session: SessionId(session.into()),
                    authid: None,
                };
                let at = Nanos(self.clock);
                let _ = self.submit(Command::Revoke(RevokeRequest {
                    key: key(number),
                    caller,
                    proven: None,
                    at,
                }));
            }
            Action::Reserve {
                buyer,
                key,
                price,
                twist,
            } => {
                let request = self.reserve_request(buyer, key, price, twist);
                self.reserve(request);
            }
            Action::Again { nth } => self.replay(nth),
            Action::Recover { nth, ahead } => self.recover(self.nth(nth), ahead),
            Action::Post {
                nth,
                recovered,
                signer,
                decided,
            } => self.post(self.nth(nth), recovered, signer, decided),
            Action::Void { nth, ambiguous } => self.void(self.nth(nth), ambiguous),
            Action::Adopted {
                buyer,
                key,
                prices,
                state,
            } => self.adopted(buyer, key, prices, state),
            Action::Release { seller, by_operator } => {
                let _ = self.submit(Command::ReleaseChannel {
                    channel: paying(seller),
                    by_operator,
                });
            }
            Action::ReleasePair { key: number } => {
                let pair = self.offer(number % KEYS).pair();
                self.submit(Command::ReleasePair(pair)).unwrap();
            }
            Action::Close { nth, off, signer } => self.close(nth, off, signer),
            Action::Genesis => {
                let _ = self.submit(Command::Genesis(genesis())).unwrap();
            }
        }
    }

    fn fund(&mut self, address: Address, amount: Amount) {
        let outcome = self.submit(Command::Fund(FundRequest {
            address,
            amount,
            at: Nanos(self.clock),
        }));
        if outcome.is_ok() {
            self.granted = self.granted.checked_add(amount).unwrap();
        }
    }

    fn reserve(&mut self, request: ReserveRequest) {
        let before = self.ledger.clone();
        match self.submit(Command::Reserve(Box::new(request.clone()))) {
            Ok(Outcome::Reserved(purchase)) => {
                // The buyer is charged exactly what it signed, and the signer is who pays.
                let (seq, remaining) = self.signed(purchase.identity.channel);
                assert_eq!(
                    remaining.checked_sub(purchase.price),
                    Some(request.order.identity.balance)
                );
                assert_eq!(Some(purchase.payment_seq), seq.next());
                assert!(purchase.price <= request.order.identity.amount);
                assert_eq!(
                    request.order.signer,
                    self.channel(purchase.identity.channel).delegate
                );
                self.voiding_restores(&before, &purchase);
                self.requests.insert(purchase.id, request);
            }
            Ok(Outcome::Replayed(purchase)) => assert_eq!(purchase.identity, request.order.identity),
            Ok(other) => panic!("{other:?}"),
            Err(_) => {}
        }
    }

    /// On a copy: void at once, and only the purchase itself tells that anything happened.
    fn voiding_restores(&self, before: &MemoryLedger, purchase: &Purchase) {
        let mut copy = self.ledger.clone();
        let reason = VoidReason {
            error: String::new(),
            text: String::new(),
            ambiguous: false,
        };
        let request = VoidRequest {
            id: purchase.id,
            at: Nanos(self.clock),
            reason: reason.clone(),
        };
        let outcome = copy.submit(&Command::Void(request)).unwrap();
        let Outcome::Voided {
            purchase,
            channel_suspended: None,
            pair_suspended: None,
        } = outcome
        else {
            panic!("{outcome:?}")
        };
        assert_eq!(
            purchase.state,
            PurchaseState::Voided {
                at: Nanos(self.clock),
                reason
            }
        );
        let mut expected = before.clone();
        expected.commit(vec![Change::Purchase(purchase)]);
        assert_eq!(copy, expected);
    }

    /// Asks for a posted purchase again.
    fn replay(&mut self, nth: u8) {
        let Some((purchase, request)) = self
            .posted
            .get(usize::from(nth) % self.posted.len().max(1))
            .cloned()
        else {
            return;
        };
        let before = self.ledger.clone();
        let id = self.fresh_id();
        let request = ReserveRequest {
            order: Order {
                id,
                price: Amount::MAX,
                at: Nanos(u64::MAX),
                ..request.order
            },
            ..request
        };
        let outcome = self.submit(Command::Reserve(Box::new(request)));
        assert_eq!(outcome, Ok(Outcome::Replayed(Box::new(purchase))));
        assert_eq!(before, self.ledger);
    }

    fn post(&mut self, id: PurchaseId, recovered: u8, signer: Option<u8>, decided: bool) {
        let known = self.ledger.purchase(&id).unwrap();
        // Mostly a question that was asked.
        let steps = known
            .as_ref()
            .map_or(0, |purchase| purchase.recoveries.len() as u32);
        let recovered = match recovered % 8 {
            7 => steps + 1,
            nth => u32::from(nth) % (steps + 1),
        };
        let rightful = known.as_ref().map_or(MM, |purchase| purchase.seller);
        let before = known
            .as_ref()
            .map(|purchase| self.channel(purchase.paying_channel));
        let decision = match known.as_ref().map(|purchase| purchase.source) {
            Some(PriceSource::Policy(id)) if decided => Some(Decision {
                id,
                header: DecisionHeader {
                    at: Nanos(self.clock),
                    hook: "pricing".to_owned(),
                    policy: "surge".to_owned(),
                    revision: RevisionId([0; 32]),
                    purchase: None,
                },
                body: Vec::new(),
            }),
            _ => None,
        };
        let outcome = self.submit(Command::Post(Box::new(PostRequest {
            id,
            at: Nanos(self.clock),
            s3: signature(3),
            recovered,
            signer: signer.map_or(rightful, seller),
            sealed_key: SealedKey([5; 80]),
            s4: signature(4),
            voucher: None,
            decision,
            also: vec![Decision {
                id: DecisionId(id.0),
                header: DecisionHeader {
                    at: Nanos(self.clock),
                    hook: "consent".to_owned(),
                    policy: "quota".to_owned(),
                    revision: RevisionId([0; 32]),
                    purchase: None,
                },
                body: Vec::new(),
            }],
            state_writes: vec![StateWrite {
                policy: "quota".to_owned(),
                key: "sold".to_owned(),
                edit: StateEdit::Add(1),
            }],
        })));
        let sold = PolicySlot {
            policy: "quota".to_owned(),
            key: "sold".to_owned(),
        };
        let posted = self.posted.len() as i64 + i64::from(outcome.is_ok());
        assert_eq!(self.ledger.policy_counter(&sold), Ok(posted));
        match outcome {
            Ok(Outcome::Posted {
                purchase,
                payment,
                paying,
                ..
            }) => {
                assert_eq!(known.unwrap().state, PurchaseState::Sent);
                assert!(signer.is_none_or(|signer| seller(signer) == rightful));
                let (seq, _) = self.signed(payment.id);
                assert_eq!(seq.next(), Some(purchase.payment_seq));
                let (seq, _) = self.signed(paying.id);
                assert_eq!(seq.next(), Some(purchase.paying_seq));
                let answered = purchase.ask(recovered).unwrap();
                assert_eq!((paying.seq, paying.remaining), (answered.seq, answered.balance));
                self.check_paid(&before.unwrap(), &paying, &purchase);
                self.signed
                    .insert(payment.id, (purchase.payment_seq, purchase.payment_balance));
                self.signed.insert(paying.id, (answered.seq, answered.balance));
                let request = self.requests[&id].clone();
                self.posted.push((*purchase, request));
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => {}
        }
    }

    /// Never more than the larger of this purchase and the abandoned one; and what it gets too early is remembered.
    fn check_paid(&self, before: &Channel, after: &Channel, purchase: &Purchase) {
        let paid = after.spent.checked_sub(before.spent).unwrap();
        let credit = purchase.credit().unwrap();
        let abandoned = before.abandoned.and_then(|id| self.ledger.purchase(&id).unwrap());
        let most = abandoned.map_or(Amount::ZERO, |abandoned| abandoned.held().unwrap());
        assert!(paid <= most.max(purchase.payable().unwrap()));
        assert_eq!(
            before.prepaid.checked_add(paid).unwrap(),
            after.prepaid.checked_add(credit).unwrap()
        );
        assert_eq!(after.unresolved > 0, !after.prepaid.is_zero());
    }

    fn recover(&mut self, id: PurchaseId, ahead: u8) {
        let Some(known) = self.ledger.purchase(&id).unwrap() else {
            return;
        };
        let abandoned = self.channel(known.paying_channel).abandoned;
        let abandoned = abandoned.and_then(|id| self.ledger.purchase(&id).unwrap());
        let last = known.asks().last().unwrap();
        let confirmed = last.confirmed().unwrap();
        let netted = |nth| {
            abandoned
                .iter()
                .flat_map(|abandoned| nettings(&known, abandoned))
                .nth(nth)
        };
        let (doubt, ask) = match ahead {
            0 => (Doubt::Unclear, last),
            1 => (Doubt::Unclear, confirmed),
            2 => (Doubt::Unclear, confirmed.confirmed().unwrap()),
            3 => (Doubt::Elsewhere, confirmed),
            nth => (Doubt::Elsewhere, netted(usize::from(nth) - 4).unwrap_or(last)),
        };
        let outcome = self.submit(Command::Recover(RecoverRequest {
            id,
            at: Nanos(self.clock),
            doubt,
            ask,
            s2: signature(2),
        }));
        if let Ok(Outcome::Recovering(purchase)) = outcome {
            assert_eq!(known.state, PurchaseState::Sent);
            assert!(![0, 2].contains(&ahead), "{ahead}");
            let pair = self.ledger.pair(&self.pair_of(&purchase)).unwrap().unwrap();
            assert!(pair.is_proven());
            match doubt {
                Doubt::Unclear => assert!(pair.sessions.contains(&purchase.callee)),
                Doubt::Elsewhere => assert_eq!(abandoned.unwrap().paying_seq, purchase.paying_seq),
            }
            // Whichever state it signs, it is in flight.
            let paying = self.channel(purchase.paying_channel);
            assert!(purchase.asks().all(|ask| paying.remaining <= ask.balance));
        }
    }

    fn pair_of(&self, purchase: &Purchase) -> PairKey {
        self.ledger
            .offer_by_key(&purchase.identity.key)
            .unwrap()
            .unwrap()
            .pair()
    }

    /// A purchase falls silent, and its seller comes back with the state it adopted.
    fn adopted(&mut self, buyer: u8, key: u8, (before, after): (u8, u8), state: u8) {
        let request = self.reserve_request(buyer, key, before, Twist::None);
        let (id, channel) = (request.order.id, request.paying_channel);
        self.reserve(request);
        self.recover(id, 1);
        self.void(id, true);
        self.submit(Command::ReleasePair(self.offer(key % KEYS).pair()))
            .unwrap();
        let _ = self.submit(Command::ReleaseChannel {
            channel,
            by_operator: true,
        });
        let request = self.reserve_request(buyer, key, after, Twist::None);
        let id = request.order.id;
        self.reserve(request);
        self.recover(id, 4 + state);
        self.post(id, 1, None, true);
    }

    fn void(&mut self, id: PurchaseId, ambiguous: bool) {
        let again = self.ledger.purchase(&id).unwrap().is_some_and(|purchase| {
            let mut steps = purchase.recoveries.iter();
            steps.any(|step| step.doubt == Doubt::Unclear)
        });
        let reason = VoidReason {
            error: String::new(),
            text: "unclear".to_owned(),
            ambiguous,
        };
        let outcome = self.submit(Command::Void(VoidRequest {
            id,
            at: Nanos(self.clock),
            reason,
        }));
        if let Ok(Outcome::Voided {
            channel_suspended,
            pair_suspended,
            ..
        }) = outcome
        {
            assert_eq!(
                channel_suspended.is_some() ^ pair_suspended.is_some(),
                ambiguous || again
            );
        }
    }

    /// Closes any channel. That it succeeds means: by its delegate, where both sides stand, with nothing under way; and
    /// every unit is in the account it belongs to.
    fn close(&mut self, nth: u8, (seq_off, balance_off): (i8, i8), signer: Option<u8>) {
        let ids: Vec<ChannelId> = self.ledger.channels().map(|channel| channel.id).collect();
        let before = self.channel(ids[usize::from(nth) % ids.len()]);
        let (seq, signed) = self.signed(before.id);
        let remaining = signed.saturating_add(before.prepaid);
        let by = Amount::from_units(balance_off.unsigned_abs().into());
        let balance = if balance_off < 0 {
            remaining.checked_sub(by).unwrap_or(Amount::MAX)
        } else {
            remaining.saturating_add(by)
        };
        let request = CloseRequest {
            id: before.id,
            seq: Seq(seq.0.wrapping_add_signed(seq_off.into())),
            balance,
            is_final: true,
            close_at: Amount::from_units(1),
            delegate_signature: signature(0xd),
            signer: signer.map_or(before.delegate, buyer),
            marketmaker_signature: signature(0xf),
            at: Nanos(self.clock),
        };
        let holds = |market: &Self, address| {
            market
                .ledger
                .account(&address)
                .unwrap()
                .unwrap_or_default()
                .balance
        };
        let parties = [before.recipient, before.depositor()];
        let held = parties.map(|party| holds(self, party));
        match self.submit(Command::Close(Box::new(request.clone()))) {
            Ok(Outcome::Closed {
                channel,
                again: false,
            }) => {
                assert_eq!(
                    (request.seq, request.balance, before.pending),
                    (seq, remaining, None)
                );
                assert_eq!(request.signer, before.delegate);
                assert_eq!(channel.state, ChannelState::Closed);
                let earned = before.spent.checked_sub(before.prepaid).unwrap();
                let mut due = [earned, remaining];
                if parties[0] == parties[1] {
                    due = [before.amount; 2];
                }
                for ((party, held), due) in parties.into_iter().zip(held).zip(due) {
                    assert_eq!(Some(holds(self, party)), held.checked_add(due));
                }
                self.signed.insert(channel.id, (seq, remaining));
                self.closed.insert(channel.id, *channel);
            }
            Ok(Outcome::Closed { channel, again: true }) => assert_eq!(self.closed[&before.id], *channel),
            Ok(other) => panic!("{other:?}"),
            Err(_) => assert!(
                signer.is_some()
                    || (request.seq, request.balance) != (seq, remaining)
                    || before.pending.is_some()
            ),
        }
    }

    fn submit(&mut self, command: Command) -> Result<Outcome, Refusal> {
        let before = self.ledger.clone();
        let result = self.ledger.submit(&command);
        if result.is_err() {
            assert_eq!(before, self.ledger);
        }
        result
    }

    /// What both sides signed last; a new channel is at its deposit.
    fn signed(&self, id: ChannelId) -> (Seq, Amount) {
        self.signed
            .get(&id)
            .copied()
            .unwrap_or_else(|| (Seq::FIRST, self.channel(id).amount))
    }

    /// The invariants, by the auditor and once more without it.
    fn check(&self) {
        assert_eq!(self.ledger.audit(), []);
        let mut all = Amount::ZERO;
        let mut add = |amount: Amount| all = all.checked_add(amount).unwrap();
        self.ledger
            .accounts()
            .for_each(|(_, account)| add(account.balance));
        for channel in self.ledger.channels() {
            match self.closed.get(&channel.id) {
                Some(closed) => assert_eq!(channel, closed, "a closed channel changed"),
                None => [channel.remaining, channel.inflight, channel.spent]
                    .into_iter()
                    .for_each(&mut add),
            }
            assert_eq!((channel.seq, channel.posted_remaining()), self.signed(channel.id));
        }
        let funded = tokens(1000 + 200 * u64::from(BUYERS))
            .checked_add(self.granted)
            .unwrap();
        assert_eq!(all, funded);

        let mut seen = BTreeSet::new();
        for (purchase, _) in &self.posted {
            assert_eq!(
                self.ledger.purchase(&purchase.id).unwrap().as_ref(),
                Some(purchase),
                "a receipt changed"
            );
            assert!(seen.insert((purchase.identity.channel, purchase.payment_seq)));
            for seq in purchase.paying_seq.0..=purchase.answered().unwrap().seq.0 {
                assert!(seen.insert((purchase.paying_channel, Seq(seq))));
            }
        }
        let is_posted = |purchase: &&Purchase| matches!(purchase.state, PurchaseState::Posted { .. });
        assert_eq!(
            self.ledger.purchases().filter(is_posted).count(),
            self.posted.len()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_invariant_holds_after_every_step(actions in prop::collection::vec(action(), 1..100)) {
        let mut market = Market::new();
        market.check();
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
    let (mut posted, mut recovered, mut netted, mut voided, mut suspended, mut closed) = (0, 0, 0, 0, 0, 0);
    for _ in 0..20 {
        let actions = prop::collection::vec(action(), 80..100)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let mut market = Market::new();
        actions.into_iter().for_each(|action| market.act(action));
        posted += market.posted.len();
        let is_recovered = |(purchase, _): &&(Purchase, ReserveRequest)| purchase.recovered() > 0;
        recovered += market.posted.iter().filter(is_recovered).count();
        let is_netted = |(purchase, _): &&(Purchase, ReserveRequest)| !purchase.prepaid.is_zero();
        netted += market.posted.iter().filter(is_netted).count();
        closed += market.closed.len();
        let is_voided = |purchase: &&Purchase| matches!(purchase.state, PurchaseState::Voided { .. });
        voided += market.ledger.purchases().filter(is_voided).count();
        suspended += market
            .ledger
            .channels()
            .filter(|channel| channel.suspended.is_some())
            .count();
    }
    assert!(
        posted > 60 && recovered > 5 && netted > 0 && voided > 20 && suspended > 0 && closed > 20,
        "{posted} posted, {recovered} of them recovered, {netted} netted, {voided} voided, {suspended} suspended, {closed} closed"
    );
}
