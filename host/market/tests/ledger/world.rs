//! A small market to start from: one buyer with 100 tokens in a channel, one seller with 50, one key at 10.

use bourse_market::*;
use std::collections::BTreeMap;

pub(crate) const MM: Address = Address([0xaa; 20]);
pub(crate) const MARKET: MarketId = MarketId([0x11; 16]);
/// The buyer's member and delegate.
pub(crate) const BUYER_ACTOR: Address = Address([0xb0; 20]);
pub(crate) const BUYER: Address = Address([0xb1; 20]);
/// The seller's member and delegate.
pub(crate) const SELLER_ACTOR: Address = Address([0xc0; 20]);
pub(crate) const SELLER: Address = Address([0xc1; 20]);
/// Somebody who should get nothing.
pub(crate) const STRANGER: Address = Address([0xee; 20]);
pub(crate) const PAYMENT: ChannelId = ChannelId([0xb2; 16]);
pub(crate) const PAYING: ChannelId = ChannelId([0xc2; 16]);
pub(crate) const KEY: KeyId = KeyId([0xd0; 16]);
pub(crate) const PLACER: Placer = Placer {
    session: SessionId(77),
    authid: None,
};

pub(crate) fn tokens(count: u64) -> Amount {
    Amount::from_tokens(count)
}

pub(crate) fn signature(byte: u8) -> Signature {
    Signature([byte; 65])
}

pub(crate) fn purchase_id(number: u64) -> PurchaseId {
    PurchaseId(u128::from(number).to_be_bytes())
}

pub(crate) fn pair() -> PairKey {
    PairKey {
        delegate: SELLER,
        provider_id: "seller-1".to_owned(),
    }
}

pub(crate) fn genesis() -> Genesis {
    Genesis {
        market: MARKET,
        marketmaker: MM,
        owner: MM,
        float: tokens(1000),
        local: true,
        at: Nanos(1),
    }
}

/// A ledger that is audited after whatever it accepts.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) ledger: MemoryLedger,
    pub(crate) now: Nanos,
    next_id: u64,
}

impl World {
    pub(crate) fn empty() -> Self {
        Self {
            ledger: MemoryLedger::new(),
            now: Nanos(1_000_000),
            next_id: 1,
        }
    }

    pub(crate) fn endowed() -> Self {
        let mut world = Self::empty();
        world.accept(Command::Genesis(genesis()));
        world
    }

    /// Everything that a purchase needs.
    pub(crate) fn trading() -> Self {
        let mut world = Self::endowed();
        world.fund(BUYER_ACTOR, tokens(150));
        world.accept(Command::Open(Box::new(world.open_payment())));
        world.accept(Command::Open(Box::new(world.open_paying())));
        world.place(|_| ());
        world
    }

    /// Everything that a purchase needs, and the key is free: it can be bought as often as one likes.
    pub(crate) fn free() -> Self {
        let mut world = Self::trading();
        world.force_offer(|offer| offer.price = Price::Fixed(Amount::ZERO));
        world
    }

    /// A trading market whose seller has answered once: KEY at 10 was bought.
    pub(crate) fn proven() -> Self {
        let mut world = Self::trading();
        world.buy();
        world
    }

    pub(crate) fn fresh_id(&mut self) -> PurchaseId {
        self.next_id += 1;
        purchase_id(self.next_id)
    }

    /// Submits, and audits what comes of it. A refusal must leave every record as it was.
    pub(crate) fn submit(&mut self, command: Command) -> Result<Outcome, Refusal> {
        let before = self.ledger.clone();
        let result = self.ledger.submit(&command);
        if result.is_err() {
            assert_eq!(before, self.ledger, "a refusal changed the ledger");
        }
        assert_eq!(self.ledger.audit(), [], "after {command:?}");
        assert_eq!(self.ledger.glance(), [], "at the next start, after {command:?}");
        result
    }

    #[track_caller]
    pub(crate) fn accept(&mut self, command: Command) -> Outcome {
        self.submit(command).unwrap()
    }

    #[track_caller]
    pub(crate) fn refuse(&mut self, command: Command, expected: Refusal) {
        assert_eq!(self.submit(command), Err(expected));
    }

    pub(crate) fn fund(&mut self, address: Address, amount: Amount) {
        self.accept(Command::Fund(FundRequest {
            address,
            amount,
            at: self.now,
        }));
    }

    pub(crate) fn open_payment(&self) -> OpenRequest {
        OpenRequest {
            id: PAYMENT,
            kind: ChannelKind::Payment,
            market: MARKET,
            actor: BUYER_ACTOR,
            delegate: BUYER,
            marketmaker: MM,
            recipient: MM,
            amount: tokens(100),
            open_at: Amount::from_units(1),
            signature: signature(9),
            signer: BUYER_ACTOR,
            at: self.now,
        }
    }

    pub(crate) fn open_paying(&self) -> OpenRequest {
        OpenRequest {
            id: PAYING,
            kind: ChannelKind::Paying,
            actor: SELLER_ACTOR,
            delegate: SELLER,
            recipient: SELLER_ACTOR,
            amount: tokens(50),
            signer: SELLER_ACTOR,
            ..self.open_payment()
        }
    }

    pub(crate) fn offer(&self) -> Offer {
        Offer {
            id: OfferId([0xd1; 16]),
            key: KEY,
            api: ApiId([0xd2; 16]),
            catalog: None,
            uri: "com.example.".to_owned(),
            seller: SELLER,
            provider_id: Some(pair().provider_id),
            placer: PLACER,
            placed_at: self.now,
            valid_from: None,
            expires: None,
            revoked: None,
            signature: signature(8),
            signature_verified: false,
            claimed: true,
            unlisted: false,
            price: Price::Fixed(tokens(10)),
            pricing: PricingTerms::default(),
            copies: None,
            remaining: None,
            categories: BTreeMap::new(),
        }
    }

    /// Places the usual offer with changes.
    pub(crate) fn place(&mut self, change: impl FnOnce(&mut Offer)) -> Offer {
        let mut offer = self.offer();
        change(&mut offer);
        match self.accept(Command::Place(Box::new(PlaceRequest { offer, escrow: None }))) {
            Outcome::Placed(offer) => *offer,
            other => panic!("{other:?}"),
        }
    }

    /// Writes records that no command makes, such as damaged ones.
    pub(crate) fn force_channel(&mut self, id: ChannelId, change: impl FnOnce(&mut Channel)) {
        let mut channel = self.channel(id);
        change(&mut channel);
        self.ledger.commit(vec![Change::Channel(Box::new(channel))]);
    }

    pub(crate) fn force_offer(&mut self, change: impl FnOnce(&mut Offer)) {
        let mut offer = self.offer_of(KEY);
        change(&mut offer);
        self.ledger.commit(vec![Change::Offer(Box::new(offer))]);
    }

    pub(crate) fn channel(&self, id: ChannelId) -> Channel {
        self.ledger.channel(&id).unwrap().unwrap()
    }

    pub(crate) fn offer_of(&self, key: KeyId) -> Offer {
        self.ledger.offer_by_key(&key).unwrap().unwrap()
    }

    pub(crate) fn purchase(&self, id: PurchaseId) -> Purchase {
        self.ledger.purchase(&id).unwrap().unwrap()
    }

    pub(crate) fn account(&self, address: Address) -> Account {
        self.ledger.account(&address).unwrap().unwrap_or_default()
    }

    pub(crate) fn pair(&self) -> Pair {
        self.ledger.pair(&pair()).unwrap().unwrap_or_default()
    }

    /// The buyer's next correct request for KEY at 10 tokens.
    pub(crate) fn request(&mut self) -> ReserveRequest {
        self.request_at(tokens(10))
    }

    pub(crate) fn request_at(&mut self, price: Amount) -> ReserveRequest {
        let (payment, paying) = (self.channel(PAYMENT), self.channel(PAYING));
        let less =
            |channel: &Channel, amount| channel.posted_remaining().checked_sub(amount).unwrap_or_default();
        let left_to_pay = less(&paying, paying.net(price).0);
        ReserveRequest {
            order: Order {
                id: self.fresh_id(),
                at: self.now,
                identity: Identity {
                    channel: PAYMENT,
                    seq: payment.seq.next().unwrap_or(payment.seq),
                    key: KEY,
                    buyer_pubkey: BuyerPubkey([0xbb; 32]),
                    amount: price,
                    balance: less(&payment, price),
                },
                buyer: BUYER,
                signer: BUYER,
                s1: signature(1),
                price,
                fee: Amount::ZERO,
                source: PriceSource::Fixed,
                lenient_seq: false,
                cover: None,
            },
            callee: PLACER.session,
            paying_channel: PAYING,
            paying_seq: paying.seq.next().unwrap_or(paying.seq),
            paying_balance: left_to_pay,
            s2: signature(2),
        }
    }

    pub(crate) fn reserve(&mut self, request: ReserveRequest) -> Purchase {
        match self.accept(Command::Reserve(Box::new(request))) {
            Outcome::Reserved(purchase) => *purchase,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn post_request(&self, id: PurchaseId) -> PostRequest {
        PostRequest {
            id,
            at: self.now,
            s3: signature(3),
            recovered: 0,
            signer: SELLER,
            sealed_key: SealedKey([0x5e; 80]),
            s4: signature(4),
            voucher: None,
            decision: None,
            also: Vec::new(),
            state_writes: Vec::new(),
        }
    }

    pub(crate) fn post(&mut self, id: PurchaseId) -> Purchase {
        match self.accept(Command::Post(Box::new(self.post_request(id)))) {
            Outcome::Posted { purchase, .. } => *purchase,
            other => panic!("{other:?}"),
        }
    }

    /// The next step of recovery of a sent purchase: to confirm what it was asked last.
    pub(crate) fn recover_request(&self, id: PurchaseId) -> RecoverRequest {
        let ask = self.purchase(id).asks().last().and_then(|ask| ask.confirmed());
        RecoverRequest {
            id,
            at: self.now,
            doubt: Doubt::Unclear,
            ask: ask.unwrap(),
            s2: signature(0x20),
        }
    }

    /// The states of the abandoned purchase that a sent one could go on from, in the order they are tried.
    pub(crate) fn netting_requests(&self, id: PurchaseId) -> Vec<RecoverRequest> {
        let purchase = self.purchase(id);
        let abandoned = self.channel(purchase.paying_channel).abandoned;
        let abandoned = self.purchase(abandoned.unwrap());
        nettings(&purchase, &abandoned)
            .map(|ask| RecoverRequest {
                doubt: Doubt::Elsewhere,
                ask,
                ..self.recover_request(id)
            })
            .collect()
    }

    pub(crate) fn recover(&mut self, id: PurchaseId) -> Purchase {
        match self.accept(Command::Recover(self.recover_request(id))) {
            Outcome::Recovering(purchase) => *purchase,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn void_request(&self, id: PurchaseId, ambiguous: bool) -> VoidRequest {
        let error = "xbr.error.transaction_failed".to_owned();
        VoidRequest {
            id,
            at: self.now,
            reason: VoidReason {
                error,
                text: "it fell silent".to_owned(),
                ambiguous,
            },
        }
    }

    pub(crate) fn void(&mut self, id: PurchaseId, ambiguous: bool) -> Outcome {
        self.accept(Command::Void(self.void_request(id, ambiguous)))
    }

    /// One whole purchase of KEY at 10.
    pub(crate) fn buy(&mut self) -> Purchase {
        let request = self.request();
        let id = self.reserve(request).id;
        self.post(id)
    }

    /// One purchase whose seller gives no clear answer.
    pub(crate) fn buy_unclear(&mut self) -> Outcome {
        let request = self.request();
        let id = self.reserve(request).id;
        self.void(id, true)
    }

    /// The delegate's correct request to close a channel where it stands.
    pub(crate) fn close_request(&self, id: ChannelId) -> CloseRequest {
        let channel = self.channel(id);
        CloseRequest {
            id,
            seq: channel.seq,
            balance: channel.posted_remaining().saturating_add(channel.prepaid),
            is_final: true,
            close_at: Amount::from_units(1),
            delegate_signature: signature(0xd),
            signer: channel.delegate,
            marketmaker_signature: signature(0xf),
            at: self.now,
        }
    }

    pub(crate) fn close(&mut self, id: ChannelId) -> Channel {
        match self.accept(Command::Close(Box::new(self.close_request(id)))) {
            Outcome::Closed {
                channel,
                again: false,
            } => *channel,
            other => panic!("{other:?}"),
        }
    }

    /// What a policy keeps under `key`.
    pub(crate) fn value(&self, policy: &str, key: &str) -> Option<Vec<u8>> {
        self.ledger.policy_value(&slot(policy, key)).unwrap()
    }

    /// A policy's counter.
    pub(crate) fn counter(&self, policy: &str, key: &str) -> i64 {
        self.ledger.policy_counter(&slot(policy, key)).unwrap()
    }

    /// A decision of a policy with this id.
    pub(crate) fn decision(&self, id: u8) -> Decision {
        Decision {
            id: DecisionId([id; 16]),
            header: DecisionHeader {
                at: self.now,
                hook: "pricing".to_owned(),
                policy: "surge".to_owned(),
                revision: RevisionId([7; 32]),
                purchase: None,
            },
            body: vec![1, 2, 3],
        }
    }
}

/// Where `policy` keeps `key`.
pub(crate) fn slot(policy: &str, key: &str) -> PolicySlot {
    PolicySlot {
        policy: policy.to_owned(),
        key: key.to_owned(),
    }
}
