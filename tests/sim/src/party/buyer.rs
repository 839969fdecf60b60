//! A buyer's delegate: it keeps its own books, asks again when an answer is lost, and now and then tries to cheat.

use super::{Lost, Names, Town, key_of};
use crate::chance::Chance;
use crate::spell;
use bourse_app::simulation::Stage;
use bourse_app::uri;
use bourse_chain::{ChannelClose, Signer, recover};
use bourse_delegates::ReceiveKey;
use bourse_market::{Amount, ChannelId, Identity, KeyId, Seq, Signature};
use bourse_wamp::{Dict, Value, WampError};
use parking_lot::Mutex;

/// One buy_key as it is sent, as often as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub identity: Identity,
    pub s1: Signature,
}

/// What a buyer knows.
#[derive(Debug)]
pub struct Books {
    pub session: u64,
    pub seq: Seq,
    pub balance: Amount,
    /// Sent, and no last word heard.
    pub outstanding: Vec<Order>,
    /// Bought, each with its receipt as it came.
    pub bought: Vec<(Order, Value)>,
    /// Doing one thing at a time.
    pub busy: bool,
}

pub struct Buyer {
    pub number: usize,
    pub actor: Signer,
    pub signer: Signer,
    pub channel: ChannelId,
    pub deposit: Amount,
    pub books: Mutex<Books>,
}

impl Buyer {
    pub fn new(number: usize, chance: &Chance, deposit: Amount) -> Self {
        let books = Books {
            session: 0,
            seq: Seq::FIRST,
            balance: deposit,
            outstanding: Vec::new(),
            bought: Vec::new(),
            busy: false,
        };
        Self {
            number,
            actor: key_of(chance),
            signer: key_of(chance),
            channel: ChannelId(chance.bytes()),
            deposit,
            books: Mutex::new(books),
        }
    }

    fn digest(&self, names: &Names, seq: Seq, balance: Amount) -> [u8; 32] {
        ChannelClose::off_chain(names.market, self.channel, seq, balance).digest(&names.domain)
    }

    /// Signs a state of its channel, for a key.
    fn order(&self, town: &Town, key: KeyId, seq: Seq, amount: Amount, balance: Amount) -> Order {
        let secret = town.chance.bytes();
        let pubkey = ReceiveKey::from_bytes(secret).public();
        town.reference.lock().receives(pubkey, secret);
        let identity = Identity {
            channel: self.channel,
            seq,
            key,
            buyer_pubkey: pubkey,
            amount,
            balance,
        };
        let s1 = self.signer.sign(&self.digest(&town.names, seq, balance));
        town.reference.lock().signed(identity);
        Order { identity, s1 }
    }

    async fn send(
        &self,
        town: &Town,
        stage: &Stage,
        order: &Order,
    ) -> Result<Result<Value, WampError>, Lost> {
        let Identity {
            channel,
            seq,
            key,
            buyer_pubkey,
            amount,
            balance,
        } = order.identity;
        let args = vec![
            Value::from(self.signer.address().0),
            Value::from(buyer_pubkey.0),
            Value::from(key.0),
            Value::from(channel.0),
            spell::int(seq.0.into()),
            spell::amount(amount),
            spell::amount(balance),
            Value::from(order.s1.0),
        ];
        let session = self.books.lock().session;
        let answer = town
            .ask(stage, spell::call(session, "buy_key", args, Dict::new()))
            .await;
        if let Ok(Err(error)) = &answer {
            town.reference.lock().refused(&key, error);
        }
        town.note(|| {
            let said = match &answer {
                Err(Lost) => "no answer".to_owned(),
                Ok(Ok(receipt)) => format!("receipt for {}", spell::amount_of(receipt, "amount_paid")),
                Ok(Err(error)) => format!("{} {:?}", error.uri, error.args.first()),
            };
            format!("buyer {} seq {} key {key}: {said}", self.number, seq.0)
        });
        answer
    }

    /// What a receipt must say, and what it does to the books.
    fn book(&self, town: &Town, order: &Order, receipt: Value) {
        let (identity, mut books) = (order.identity, self.books.lock());
        let (paid, remaining) = (
            spell::amount_of(&receipt, "amount_paid"),
            spell::amount_of(&receipt, "remaining"),
        );
        let seq = Seq(u32::try_from(spell::int_of(&receipt, "channel_seq")).unwrap());
        let s4 = Signature(spell::bytes_of(&receipt, "signature"));
        let signer = recover(&self.digest(&town.names, seq, remaining), &s4).ok();
        let sealed: [u8; 80] = spell::bytes_of(&receipt, "sealed_key");
        let sound = Some(seq) == books.seq.next()
            && Some(remaining) == books.balance.checked_sub(paid)
            && (seq, remaining) == (identity.seq, identity.balance)
            && paid <= identity.amount
            && signer == Some(town.names.marketmaker)
            && town.reference.lock().is_right_key(&identity, &sealed);
        if !sound {
            let number = self.number;
            town.violated(format!(
                "buyer {number} got a receipt that does not fit its books: {receipt:?}"
            ));
        }
        town.reference.lock().told(&identity, paid);
        (books.seq, books.balance) = (seq, remaining);
        books.bought.push((order.clone(), receipt));
    }

    /// Hears the last word on an order, or keeps it for later.
    fn hear(
        &self,
        town: &Town,
        stage: &Stage,
        order: &Order,
        answer: Result<Result<Value, WampError>, Lost>,
    ) {
        let known = |books: &Books| books.bought.iter().find(|(bought, _)| bought == order).cloned();
        let forget = || self.books.lock().outstanding.retain(|other| other != order);
        match answer {
            Err(Lost) => {}
            Ok(Ok(receipt)) => {
                forget();
                let before = known(&self.books.lock());
                match before {
                    None => self.book(town, order, receipt),
                    Some((_, first)) if first == receipt => {}
                    Some((_, first)) => {
                        town.violated(format!("two receipts for one purchase: {first:?}, {receipt:?}"))
                    }
                }
            }
            Ok(Err(error)) if is_passing(&error) => {}
            Ok(Err(error)) => {
                forget();
                // Each seller has one line, so no purchase comes to its head while another is under way; but for one whose
                // end the disk refused again and again.
                if format!("{:?}", error.args).contains("moved on") && stage.unresolved() == 0 {
                    town.violated(format!("two purchases met at one seller: {error:?}"));
                }
                if known(&self.books.lock()).is_some() {
                    town.violated(format!("a receipt was not replayed but refused with {error:?}"));
                }
                // The last word is that nothing was charged.
                if town.reference.lock().is_posted(stage, &order.identity) {
                    town.violated(format!(
                        "{:?} was charged and answered with {error:?}",
                        order.identity
                    ));
                }
            }
        }
    }

    async fn send_and_hear(&self, town: &Town, stage: &Stage, order: &Order) {
        let answer = self.send(town, stage, order).await;
        self.hear(town, stage, order, answer);
    }

    /// Buys a key, or asks again for what it has no answer to.
    pub async fn buy(&self, town: &Town, stage: &Stage) {
        if self.settle(town, stage).await {
            return;
        }
        let Some(key) = town.reference.lock().any_key(&town.chance) else {
            return;
        };
        let Some(price) = self.price(town, stage, key).await else {
            return;
        };
        let (seq, balance) = self.posted();
        let amount = match town.chance.permille(100) {
            // Willing to pay more, and signing for the price.
            true => price.saturating_add(Amount::from_tokens(1)),
            false => price,
        };
        let Some(rest) = balance.checked_sub(price) else {
            return;
        };
        let order = self.order(town, key, seq.next().unwrap(), amount, rest);
        self.books.lock().outstanding.push(order.clone());
        match town.chance.permille(50) {
            // The client sends it twice, and one may be refused before the other is sold.
            true => {
                let answers = tokio::join!(self.send(town, stage, &order), self.send(town, stage, &order));
                for answer in <[_; 2]>::from(answers) {
                    match answer {
                        Ok(Err(_)) => {}
                        other => self.hear(town, stage, &order, other),
                    }
                }
            }
            false => self.send_and_hear(town, stage, &order).await,
        }
    }

    fn posted(&self) -> (Seq, Amount) {
        let books = self.books.lock();
        (books.seq, books.balance)
    }

    async fn price(&self, town: &Town, stage: &Stage, key: KeyId) -> Option<Amount> {
        if town.chance.permille(200) {
            return Some(town.reference.lock().list_price(&key));
        }
        let session = self.books.lock().session;
        let quote = spell::call(session, "get_quote", vec![Value::from(key.0)], Dict::new());
        let quote = town.ask(stage, quote).await.ok()?.ok()?;
        Some(spell::amount_of(&quote, "price"))
    }

    /// Asks once more for everything it has no last word on. True if something is still open, or just became known.
    pub async fn settle(&self, town: &Town, stage: &Stage) -> bool {
        let outstanding = self.books.lock().outstanding.clone();
        for order in &outstanding {
            self.send_and_hear(town, stage, order).await;
        }
        !outstanding.is_empty()
    }

    /// Closes its channel, with what is left or, if it can get it, with everything it ever had.
    pub async fn close(&self, town: &Town, stage: &Stage) {
        let (seq, balance) = self.posted();
        let refund = town.chance.permille(300).then_some(self.deposit);
        let pair = (seq, refund.unwrap_or(balance));
        let session = self.books.lock().session;
        town.close(stage, session, self.channel, &self.signer, pair).await;
    }

    /// Asks for an old receipt.
    pub async fn replay(&self, town: &Town, stage: &Stage) {
        let bought = self.books.lock().bought.clone();
        let Some((order, receipt)) = town.chance.one_of(&bought) else {
            return;
        };
        match self.send(town, stage, order).await {
            Err(Lost) => {}
            Ok(Ok(again)) if again == *receipt => {}
            other => town.violated(format!("the receipt {receipt:?} came back as {other:?}")),
        }
    }

    /// Pays for two keys with one state.
    pub async fn spend_twice(&self, town: &Town, stage: &Stage) {
        if self.settle(town, stage).await {
            return;
        }
        let any = || town.reference.lock().any_key(&town.chance);
        let (Some(one), Some(two)) = (any(), any()) else {
            return;
        };
        let (seq, balance) = self.posted();
        let next = seq.next().unwrap();
        let order = |key| {
            let price = town.reference.lock().list_price(&key);
            let rest = balance.checked_sub(price).unwrap_or_default();
            self.order(town, key, next, price, rest)
        };
        let (one, two) = (order(one), order(two));
        self.books.lock().outstanding.extend([one.clone(), two.clone()]);
        let (first, second) = tokio::join!(self.send(town, stage, &one), self.send(town, stage, &two));
        self.hear(town, stage, &one, first);
        self.hear(town, stage, &two, second);
    }

    /// Signs a state that is over, or one that costs nothing, or has somebody else sign.
    pub async fn cheat(&self, town: &Town, stage: &Stage) {
        let Some(key) = town.reference.lock().any_key(&town.chance) else {
            return;
        };
        let (seq, balance) = self.posted();
        let price = town.reference.lock().list_price(&key);
        let rest = balance.checked_sub(price).unwrap_or_default();
        let mut order = match town.chance.within(0..=2) {
            0 => self.order(town, key, seq, price, rest.saturating_add(Amount::from_units(1))),
            1 => self.order(
                town,
                key,
                seq.next().unwrap(),
                price,
                balance.saturating_add(Amount::from_units(1)),
            ),
            _ => self.order(town, key, seq.next().unwrap(), price, rest),
        };
        order.s1 = match order.identity.balance == rest {
            true => key_of(&town.chance).sign(&self.digest(&town.names, order.identity.seq, rest)),
            false => order.s1,
        };
        if let Ok(Ok(receipt)) = self.send(town, stage, &order).await {
            town.violated(format!("{order:?} was sold: {receipt:?}"));
        }
    }
}

/// Says that now is not the moment, and nothing about the purchase.
fn is_passing(error: &WampError) -> bool {
    let text = format!("{:?}", error.args);
    [uri::OVERLOADED, uri::NOT_READY].contains(&error.uri.as_str())
        // What the disk refused may yet be carried out.
        || (error.uri == uri::RUNTIME && text.contains("same request again"))
        || (error.uri == uri::OUT_OF_ORDER
            && (text.contains("under way") || text.contains("ask again") || text.contains("pending")))
}
