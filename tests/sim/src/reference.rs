//! The reference ledger: what must be true of the market's books, from what the parties signed and heard alone.
//!
//! It knows every state a buyer signed, every state of ours a seller was shown, every offer with its terms, every receipt.
//! After each step it reads what the market posted meanwhile and holds it against that: nothing is posted that both did
//! not agree to, nobody pays twice or another price, nothing that was posted goes away, and every unit is somewhere.

use crate::chance::Chance;
use crate::hooks::{LAG, PERIOD, QUOTA, after};
use crate::party::seller::Sell;
use crate::party::{Buyer, Seller};
use bourse_app::simulation::Stage;
use bourse_app::uri;
use bourse_delegates::{DataKey, ReceiveKey};
use bourse_market::{
    Amount, Ask, BuyerPubkey, Channel, ChannelId, ChannelState, Doubt, EscrowSale, Identity, KeyId, Nanos,
    Purchase, PurchaseState, SealedKey, Seq, View,
};
use bourse_store::{Reader, StoreError};
use bourse_wamp::WampError;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What a seller offered.
#[derive(Debug, Clone)]
struct Terms {
    seller: usize,
    /// None where the market finds it.
    price: Option<Amount>,
    copies: Option<u64>,
    expires: Option<Nanos>,
    revoked: Option<Nanos>,
    /// A filter shows it to nobody who buys later.
    hidden: Option<Nanos>,
    sold: u64,
    /// The last price somebody paid, for guesses.
    last: Amount,
    /// The key itself, if it was left with the market.
    left: Option<[u8; 32]>,
}

/// A posted purchase, by who sold.
#[derive(Debug, Clone, PartialEq)]
enum Sold {
    BySeller(Box<Purchase>),
    InEscrow(Box<EscrowSale>),
}

impl Sold {
    /// What was posted at `seq` of a payment channel.
    fn at(ledger: &Reader<'_>, channel: &ChannelId, seq: Seq) -> Result<Option<Self>, StoreError> {
        let purchase = ledger.purchase_at(channel, seq)?;
        let sale = ledger.escrow_sale_at(channel, seq)?;
        Ok(match (purchase, sale) {
            (Some(purchase), None) => Some(Self::BySeller(Box::new(purchase))),
            (None, Some(sale)) => Some(Self::InEscrow(Box::new(sale))),
            // Both at once are as bad as none.
            _ => None,
        })
    }

    fn identity(&self) -> &Identity {
        match self {
            Self::BySeller(purchase) => &purchase.identity,
            Self::InEscrow(sale) => &sale.identity,
        }
    }

    fn price(&self) -> Amount {
        match self {
            Self::BySeller(purchase) => purchase.price,
            Self::InEscrow(sale) => sale.price,
        }
    }

    /// When it was reserved.
    fn reserved(&self) -> Nanos {
        match self {
            Self::BySeller(purchase) => purchase.at,
            Self::InEscrow(sale) => sale.at,
        }
    }

    fn seq(&self) -> Seq {
        match self {
            Self::BySeller(purchase) => purchase.payment_seq,
            Self::InEscrow(sale) => sale.payment_seq,
        }
    }
}

/// The books of a run.
#[derive(Debug, Default)]
pub struct Reference {
    offers: BTreeMap<KeyId, Terms>,
    keys: Vec<KeyId>,
    signed: HashSet<Identity>,
    /// Every state of ours that a seller was shown: (channel, seq, balance).
    shown: HashSet<(ChannelId, Seq, Amount)>,
    /// What each buyer was told it paid.
    told: HashMap<Identity, Amount>,
    /// What is posted on each payment channel, from seq 2 on.
    posted: BTreeMap<ChannelId, Vec<Sold>>,
    /// Each paying channel by what was posted on it and shown to its seller.
    earned: BTreeMap<ChannelId, Earned>,
    /// What each seller earned by keys that it left.
    owed: BTreeMap<usize, Amount>,
    /// The secrets behind the buyers' public keys.
    secrets: HashMap<BuyerPubkey, [u8; 32]>,
    /// Final states that sellers signed.
    would_close: HashSet<(ChannelId, Seq, Amount)>,
    /// Channels that were told to be closed, and where.
    closed: BTreeMap<ChannelId, (Seq, Amount)>,
    /// Up to when offers that ended may have left the lists.
    swept_until: Nanos,
    pub violations: Vec<String>,
    /// Purchases posted.
    pub sales: u64,
    /// Of those, the ones that were paid before, wholly or in part.
    pub netted: u64,
    /// Of those, the ones of keys that were left with the market.
    pub escrowed: u64,
    /// Channels that paid for such keys in the end.
    pub settled: HashSet<ChannelId>,
    rationed: bool,
    /// Orders for keys that the market said it did not know, where a filter hides them sooner or later.
    pub hidden: u64,
    /// Orders that a consent policy refused.
    pub withheld: u64,
}

/// A paying channel.
#[derive(Debug)]
struct Earned {
    seq: Seq,
    balance: Amount,
    /// What its seller is owed for the purchases that were posted.
    credits: Amount,
    paid: Amount,
    /// States that its seller was shown since the last posted one: it may stand at any of them.
    open: Vec<(Seq, Amount)>,
    /// The dearest purchase among them.
    dearest: Amount,
}

/// Whether its seller had been paid for it before, or went on from a state of an abandoned purchase. One that only
/// confirmed is asked for nothing more as well, and was paid nothing before.
fn is_netted(purchase: &Purchase) -> bool {
    let mut elsewhere = purchase
        .recoveries
        .iter()
        .filter(|step| step.doubt == Doubt::Elsewhere)
        .map(|step| step.ask);
    let answered = purchase.answered();
    let leads_there = |ask: Ask| {
        std::iter::successors(Some(ask), Ask::confirmed)
            .take(Purchase::RECOVERIES + 1)
            .any(|ask| Some(ask) == answered)
    };
    !purchase.prepaid.is_zero() || elsewhere.any(leads_there)
}

impl Reference {
    pub fn signed(&mut self, identity: Identity) {
        self.signed.insert(identity);
    }

    /// A buyer can open what is sealed to this key.
    pub fn receives(&mut self, pubkey: BuyerPubkey, secret: [u8; 32]) {
        self.secrets.insert(pubkey, secret);
    }

    /// Whether this is the key of that purchase, sealed to its buyer.
    pub fn is_right_key(&self, identity: &Identity, sealed: &[u8; 80]) -> bool {
        let left = self.offers.get(&identity.key).and_then(|terms| terms.left);
        match (left, self.secrets.get(&identity.buyer_pubkey)) {
            (None, _) => *sealed == crate::party::seller::seal(identity.key, identity.buyer_pubkey),
            (Some(left), Some(secret)) => {
                let opened = ReceiveKey::from_bytes(*secret).unseal(&SealedKey(*sealed));
                opened == Ok(DataKey::from_bytes(left))
            }
            (Some(_), None) => false,
        }
    }

    /// A seller signed this as the last state of its channel.
    pub fn would_close(&mut self, channel: ChannelId, seq: Seq, balance: Amount) {
        self.would_close.insert((channel, seq, balance));
    }

    pub fn told(&mut self, identity: &Identity, paid: Amount) {
        self.told.insert(*identity, paid);
    }

    pub fn offered(
        &mut self,
        key: KeyId,
        seller: usize,
        price: Option<Amount>,
        copies: Option<u64>,
        expires: Option<Nanos>,
        left: Option<[u8; 32]>,
    ) {
        let terms = Terms {
            seller,
            price,
            copies,
            expires,
            revoked: None,
            hidden: None,
            sold: 0,
            last: Amount::from_tokens(10),
            left,
        };
        self.offers.insert(key, terms);
        self.keys.push(key);
    }

    /// A filter policy hides this offer from then on.
    pub fn hides(&mut self, key: KeyId, from: Nanos) {
        if let Some(terms) = self.offers.get_mut(&key) {
            terms.hidden = Some(from);
        }
    }

    /// A consent policy lets no buyer have more than its share.
    pub fn rations(&mut self) {
        self.rationed = true;
    }

    /// A buyer was refused a key.
    pub fn refused(&mut self, key: &KeyId, error: &WampError) {
        let terms = self.offers.get(key);
        let is_hidden = terms.is_some_and(|terms| terms.hidden.is_some_and(|from| from > Nanos(0)));
        self.hidden += u64::from(is_hidden && error.uri == uri::NO_SUCH_OBJECT);
        self.withheld += u64::from(self.rationed && error.uri == uri::REFUSED);
    }

    /// Offers that have ended are about to leave the lists; that takes no time here.
    pub fn sweeps(&mut self, now: Nanos) {
        self.swept_until = self.swept_until.max(now.plus_millis(1));
    }

    pub fn revoked(&mut self, key: KeyId, at: Nanos) {
        if let Some(terms) = self.offers.get_mut(&key) {
            terms.revoked.get_or_insert(at);
        }
    }

    /// A seller is asked to sign a state of its channel. It follows from what is posted, or from a state that the seller
    /// was shown since and may have adopted; and all of them together never pay more than the dearest purchase. What a
    /// crash kept from being shown is on record all the same, and counts.
    pub fn shown(&mut self, stage: &Stage, seller: usize, sell: &Sell) {
        let abandoned = stage.read(|ledger| {
            let abandoned = ledger
                .channel(&sell.channel)?
                .and_then(|channel| channel.abandoned);
            abandoned.map_or(Ok(None), |id| ledger.purchase(&id))
        });
        let abandoned = abandoned.unwrap();
        self.shown.insert((sell.channel, sell.seq, sell.balance));
        if self
            .offers
            .get(&sell.key)
            .is_some_and(|terms| terms.left.is_some())
        {
            self.violations.push(format!(
                "seller {seller} was asked for a key that it left: {sell:?}"
            ));
        }
        let Some(earned) = self.earned.get_mut(&sell.channel) else {
            self.violations.push(format!(
                "seller {seller} was asked about a channel that is not its own: {sell:?}"
            ));
            return;
        };
        if self.closed.contains_key(&sell.channel) {
            self.violations.push(format!(
                "seller {seller} was asked over a closed channel: {sell:?}"
            ));
        }
        let from = |(seq, balance): (Seq, Amount)| {
            seq.next() == Some(sell.seq) && balance.checked_sub(sell.amount) == Some(sell.balance)
        };
        let posted = (earned.seq, earned.balance);
        if from(posted) {
            earned.dearest = earned.dearest.max(sell.amount);
        }
        let given_up = abandoned.as_ref().and_then(Purchase::payable);
        earned.dearest = earned.dearest.max(given_up.unwrap_or_default());
        let mut recorded = abandoned.iter().flat_map(Purchase::asks);
        let follows = from(posted)
            || earned.open.iter().copied().any(from)
            || recorded.any(|ask| from((ask.seq, ask.balance)));
        let paid = earned.balance.checked_sub(sell.balance);
        if !follows || paid.is_none_or(|paid| paid > earned.dearest) {
            self.violations.push(format!(
                "seller {seller} was shown {sell:?}, and its channel is {earned:?}"
            ));
        }
        earned.open.push((sell.seq, sell.balance));
    }

    /// Its delegate was told that this channel is closed.
    pub fn closed(&mut self, channel: ChannelId, seq: Seq, balance: Amount) {
        self.closed.insert(channel, (seq, balance));
    }

    /// Whether it was.
    pub fn is_closed(&self, channel: &ChannelId) -> bool {
        self.closed.contains_key(channel)
    }

    /// How many were.
    pub fn closings(&self) -> u64 {
        u64::try_from(self.closed.len()).unwrap()
    }

    /// One of the last keys, sold out and ended ones among them.
    pub fn any_key(&self, chance: &Chance) -> Option<KeyId> {
        let recent = &self.keys[self.keys.len().saturating_sub(8)..];
        chance.one_of(recent).copied()
    }

    /// What somebody without a quote would guess.
    pub fn list_price(&self, key: &KeyId) -> Amount {
        self.offers
            .get(key)
            .map_or(Amount::ZERO, |terms| terms.price.unwrap_or(terms.last))
    }

    /// Whether the market posted this very purchase.
    pub fn is_posted(&self, stage: &Stage, identity: &Identity) -> bool {
        stage
            .read(|ledger| Sold::at(ledger, &identity.channel, identity.seq))
            .unwrap()
            .is_some_and(|found| match found {
                Sold::BySeller(found) => {
                    found.identity == *identity && matches!(found.state, PurchaseState::Posted { .. })
                }
                Sold::InEscrow(found) => found.identity == *identity,
            })
    }

    /// Reads what was posted since the last look.
    pub fn look(&mut self, stage: &Stage, buyers: &[Buyer], sellers: &[Seller]) {
        let looked = stage.read(|ledger| {
            for buyer in buyers {
                self.follow(ledger, buyer, sellers)?;
            }
            for seller in sellers {
                if let Some(channel) = ledger.channel(&seller.channel)? {
                    let settled = self.check_owed(ledger, seller, &channel)?;
                    self.check_earned(seller, &channel, settled);
                }
            }
            for (id, told) in &self.closed {
                let channel = ledger.channel(id)?.unwrap();
                let stands = (channel.seq, channel.posted_remaining());
                if channel.state != ChannelState::Closed || stands != *told {
                    self.violations
                        .push(format!("channel {id} was closed at {told:?}, and is {channel:?}"));
                }
            }
            Ok(())
        });
        looked.unwrap();
    }

    /// Follows one payment channel to where it stands.
    fn follow(&mut self, ledger: &Reader<'_>, buyer: &Buyer, sellers: &[Seller]) -> Result<(), StoreError> {
        let Some(channel) = ledger.channel(&buyer.channel)? else {
            return Ok(());
        };
        let known = self.posted.entry(buyer.channel).or_default().len();
        let stands = usize::try_from(channel.seq.0).unwrap() - 1;
        if stands < known {
            let what = format!(
                "buyer {}: {known} purchases were posted, {stands} are left",
                buyer.number
            );
            self.violations.push(what);
            return Ok(());
        }
        for step in known..stands {
            let seq = Seq(u32::try_from(step).unwrap() + 2);
            match Sold::at(ledger, &buyer.channel, seq)? {
                Some(Sold::BySeller(purchase)) => self.admit(buyer, sellers, *purchase),
                Some(Sold::InEscrow(sale)) => self.admit_escrowed(buyer, sellers, *sale),
                None => self.violations.push(format!(
                    "buyer {}: nothing is posted at seq {}",
                    buyer.number, seq.0
                )),
            }
        }
        if self.rationed {
            self.check_ration(buyer);
        }
        let spent = self.posted[&buyer.channel]
            .iter()
            .fold(Amount::ZERO, |sum, sold| sum.saturating_add(sold.price()));
        if buyer.deposit.checked_sub(spent) != Some(channel.posted_remaining()) {
            self.violations.push(format!(
                "buyer {}: of {} it spent {spent}, and {} is left",
                buyer.number,
                buyer.deposit,
                channel.posted_remaining()
            ));
        }
        Ok(())
    }

    /// A buyer may take all of one period at its end and all of the next at its start, and then no more before that one
    /// is over.
    fn check_ration(&mut self, buyer: &Buyer) {
        let least = after(Nanos(0), PERIOD - LAG).0;
        let many = self.posted[&buyer.channel].windows(2 * QUOTA + 1);
        let spans = many.filter_map(|some| Some((some.first()?.reserved(), some.last()?.reserved())));
        let too_fast: Vec<_> = spans
            .filter(|(from, to)| to.0.saturating_sub(from.0) < least)
            .collect();
        for span in too_fast {
            self.violations.push(format!(
                "buyer {} got more than two shares within {span:?}",
                buyer.number
            ));
        }
    }

    /// One purchase more: did both agree, and on these terms?
    fn admit(&mut self, buyer: &Buyer, sellers: &[Seller], purchase: Purchase) {
        let identity = purchase.identity;
        let mut wrong = Vec::new();
        if !self.signed.contains(&identity) {
            wrong.push("its buyer never signed it");
        }
        if purchase.price > identity.amount || purchase.buyer != buyer.signer.address() {
            wrong.push("it is not what its buyer signed");
        }
        let answered = purchase.answered().unwrap();
        let state = (purchase.paying_channel, answered.seq, answered.balance);
        if !self.shown.contains(&state) {
            wrong.push("its seller was never shown that state");
        }
        let PurchaseState::Posted { at, sealed_key, .. } = purchase.state else {
            self.violations
                .push(format!("{identity:?} moved its channel and is not posted"));
            return;
        };
        if !self.is_right_key(&identity, &sealed_key.0) {
            wrong.push("its key is not the one that was bought");
        }
        if let Some(terms) = self.check_terms(&identity.key, purchase.price, purchase.at, &mut wrong) {
            if sellers[terms.seller].channel != purchase.paying_channel {
                wrong.push("it pays another seller");
            }
            if terms.left.is_some() {
                wrong.push("its seller had left the key");
            }
        }
        if at < purchase.at {
            wrong.push("it was posted before it was reserved");
        }
        for what in wrong {
            self.violations.push(format!(
                "purchase at seq {} of buyer {}: {what}: {purchase:?}",
                identity.seq.0, buyer.number
            ));
        }
        self.sales += 1;
        self.netted += u64::from(is_netted(&purchase));
        let Some(earned) = self.earned.get_mut(&purchase.paying_channel) else {
            self.violations
                .push(format!("{purchase:?} pays over a channel that was never opened"));
            return;
        };
        let base = purchase.paying_base().unwrap_or_default();
        earned.credits = earned.credits.saturating_add(purchase.price);
        earned.paid = earned
            .paid
            .saturating_add(base.checked_sub(answered.balance).unwrap_or_default());
        if answered.seq > earned.seq {
            (earned.seq, earned.balance) = (answered.seq, answered.balance);
            earned.open.retain(|(seq, _)| *seq > answered.seq);
            earned.dearest = Amount::ZERO;
        }
        let sold = Sold::BySeller(Box::new(purchase));
        self.posted.entry(identity.channel).or_default().push(sold);
    }

    /// What must hold of a sale of any key; one more copy is gone.
    fn check_terms(
        &mut self,
        key: &KeyId,
        price: Amount,
        at: Nanos,
        wrong: &mut Vec<&'static str>,
    ) -> Option<&Terms> {
        let Some(terms) = self.offers.get_mut(key) else {
            wrong.push("nobody offered its key");
            return None;
        };
        terms.sold += 1;
        terms.last = price;
        if terms.price.is_some_and(|asked| asked != price) {
            wrong.push("its price is not the seller's");
        }
        if terms.copies.is_some_and(|copies| terms.sold > copies) {
            wrong.push("more copies were sold than there were");
        }
        let over = |end: Option<Nanos>| end.is_some_and(|end| end <= at);
        if over(terms.expires) || over(terms.revoked) {
            wrong.push("it was reserved after the offer ended");
        }
        if over(terms.hidden) {
            wrong.push("a filter hid the offer");
        }
        Some(terms)
    }

    /// One sale more of a key that was left with the market: as above, and its seller is owed for it.
    fn admit_escrowed(&mut self, buyer: &Buyer, sellers: &[Seller], sale: EscrowSale) {
        let identity = sale.identity;
        let mut wrong = Vec::new();
        if !self.signed.contains(&identity) {
            wrong.push("its buyer never signed it");
        }
        if sale.price > identity.amount || sale.buyer != buyer.signer.address() {
            wrong.push("it is not what its buyer signed");
        }
        if !self.is_right_key(&identity, &sale.sealed_key.0) {
            wrong.push("its key is not the one that was bought");
        }
        let terms = self.check_terms(&identity.key, sale.price, sale.at, &mut wrong);
        if let Some((seller, left)) = terms.map(|terms| (terms.seller, terms.left)) {
            if sellers[seller].signer.address() != sale.seller {
                wrong.push("it is owed to another seller");
            }
            if left.is_none() {
                wrong.push("its seller had not left the key");
            }
            let owed = self.owed.entry(seller).or_default();
            *owed = owed.saturating_add(sale.price);
        }
        for what in wrong {
            self.violations.push(format!(
                "sale at seq {} of buyer {}: {what}: {sale:?}",
                identity.seq.0, buyer.number
            ));
        }
        self.sales += 1;
        self.escrowed += 1;
        let sold = Sold::InEscrow(Box::new(sale));
        self.posted.entry(identity.channel).or_default().push(sold);
    }

    /// What a seller is owed and was paid for keys that it left is what they earned; and it was paid by a final state that
    /// it signed. Yields what it was paid.
    fn check_owed(
        &mut self,
        ledger: &Reader<'_>,
        seller: &Seller,
        channel: &Channel,
    ) -> Result<Amount, StoreError> {
        let debt = ledger.debt(&seller.signer.address())?.unwrap_or_default();
        let paid = ledger.escrow_payment(&channel.id)?;
        let paid = paid.map_or(Amount::ZERO, |payment| payment.amount);
        let earned = self.owed.get(&seller.number).copied().unwrap_or_default();
        if debt.owed.checked_add(paid) != Some(earned) || debt.settled != paid {
            self.violations.push(format!(
                "seller {} earned {earned} by keys that it left and was paid {paid}, its debt is {debt:?}",
                seller.number
            ));
        }
        if !paid.is_zero() {
            self.settled.insert(channel.id);
            let last = (channel.id, channel.seq, channel.posted_remaining());
            if channel.state != ChannelState::Closed || !self.would_close.contains(&last) {
                self.violations.push(format!(
                    "seller {} never signed to be paid {paid} over {channel:?}",
                    seller.number
                ));
            }
        }
        Ok(paid)
    }

    /// A paying channel was opened.
    pub fn opened(&mut self, seller: &Seller) {
        let earned = Earned {
            seq: Seq::FIRST,
            balance: seller.deposit,
            credits: Amount::ZERO,
            paid: Amount::ZERO,
            open: Vec::new(),
            dearest: Amount::ZERO,
        };
        self.earned.insert(seller.channel, earned);
    }

    /// `settled` is what the channel paid beyond its sales.
    fn check_earned(&mut self, seller: &Seller, channel: &Channel, settled: Amount) {
        let Some(earned) = self.earned.get(&seller.channel) else {
            return;
        };
        // What was prepaid and not netted is given back at the end.
        let returned = channel
            .closing
            .as_ref()
            .map_or(Amount::ZERO, |closing| closing.returned);
        let balance = channel.posted_remaining().saturating_add(settled);
        let adds_up = (channel.seq, balance) == (earned.seq, earned.balance.saturating_add(returned))
            && seller.deposit.checked_sub(earned.balance) == Some(earned.paid)
            && earned.paid.checked_sub(earned.credits) == channel.prepaid.checked_add(returned);
        if !adds_up {
            self.violations.push(format!(
                "seller {} stands at seq {} with {} left and {} prepaid; its sales come to {earned:?}",
                seller.number,
                channel.seq.0,
                channel.posted_remaining(),
                channel.prepaid
            ));
        }
    }

    /// Everything once more: all that was ever posted is there, word for word, and all that was told is posted.
    /// And what left the lists had ended when it was swept, or was sold to the last copy.
    pub fn audit(&mut self, stage: &Stage) {
        let read = stage.read(|ledger| {
            for (key, terms) in &self.offers {
                let unlisted = ledger.offer_by_key(key)?.is_some_and(|offer| offer.unlisted);
                let sold_out = terms.copies == Some(terms.sold);
                let ended = terms.expires.is_some_and(|end| end < self.swept_until);
                if unlisted && !sold_out && !ended {
                    self.violations
                        .push(format!("key {key} left the lists, and is on sale: {terms:?}"));
                }
            }
            for (channel, sales) in &self.posted {
                for sold in sales {
                    let now = Sold::at(ledger, channel, sold.seq())?;
                    if now.as_ref() != Some(sold) {
                        self.violations
                            .push(format!("{sold:?} was posted, and is {now:?} now"));
                    }
                }
            }
            Ok(())
        });
        read.unwrap();
        let by_identity: HashMap<&Identity, Amount> = self
            .posted
            .values()
            .flatten()
            .map(|sold| (sold.identity(), sold.price()))
            .collect();
        for (identity, paid) in &self.told {
            if by_identity.get(identity) != Some(paid) {
                self.violations
                    .push(format!("a receipt over {paid} for {identity:?} is worth nothing"));
            }
        }
        let report = stage.verify().unwrap();
        self.violations.extend(
            report
                .violations
                .iter()
                .map(|violation| format!("verify: {violation}")),
        );
    }

    /// At the end nothing is under way, and every party's own books are the market's.
    pub fn close(&mut self, stage: &Stage, buyers: &[Buyer], sellers: &[Seller]) {
        let read = stage.read(|ledger| {
            if !ledger.sent_purchases()?.is_empty() {
                self.violations.push("a purchase is left under way".to_owned());
            }
            for buyer in buyers {
                let books = buyer.books.lock();
                let channel = ledger.channel(&buyer.channel)?.unwrap();
                if (channel.seq, channel.posted_remaining()) != (books.seq, books.balance)
                    || !books.outstanding.is_empty()
                {
                    self.violations.push(format!(
                        "buyer {} believes in seq {} with {} left ({} open), the market in seq {} with {}",
                        buyer.number,
                        books.seq.0,
                        books.balance,
                        books.outstanding.len(),
                        channel.seq.0,
                        channel.posted_remaining()
                    ));
                }
            }
            for seller in sellers {
                let books = seller.books.lock();
                let channel = ledger.channel(&seller.channel)?.unwrap();
                if books
                    .pair
                    .is_some_and(|pair| pair != (channel.seq, channel.posted_remaining()))
                {
                    self.violations.push(format!(
                        "seller {} believes in {:?}, the market in seq {} with {}",
                        seller.number,
                        books.pair,
                        channel.seq.0,
                        channel.posted_remaining()
                    ));
                }
            }
            Ok(())
        });
        read.unwrap();
    }
}
