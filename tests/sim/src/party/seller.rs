//! A seller's delegate that checks and advances as the original client does.

use super::{Names, Town, key_of};
use crate::chance::Chance;
use crate::faults::Fault;
use crate::hooks::{GOOD, LABEL, LAG, POOR, SHOWN, after};
use crate::spell;
use bourse_app::simulation::Stage;
use bourse_app::uri;
use bourse_chain::{ChannelClose, KeyOffer, Signer, recover};
use bourse_market::{Amount, ApiId, BuyerPubkey, ChannelId, KeyId, Nanos, Seq, Signature};
use bourse_wamp::{Dict, Value, WampError};
use parking_lot::Mutex;
use std::collections::BTreeSet;

/// Offers under this URI are priced by a policy that runs out of fuel.
pub const UNPRICED: &str = "com.example.unpriced.";

/// What a seller knows.
#[derive(Debug, Default)]
pub struct Books {
    pub session: u64,
    /// None while it starts.
    pub pair: Option<(Seq, Amount)>,
    pub keys: BTreeSet<KeyId>,
    /// It answers under its provider id.
    pub registered: bool,
    pub starting: bool,
}

pub struct Seller {
    pub number: usize,
    pub actor: Signer,
    pub signer: Signer,
    pub channel: ChannelId,
    pub deposit: Amount,
    pub provider_id: String,
    pub books: Mutex<Books>,
}

/// A question to sell, as it came.
#[derive(Debug, Clone, Copy)]
pub struct Sell {
    pub buyer_pubkey: BuyerPubkey,
    pub key: KeyId,
    pub channel: ChannelId,
    pub seq: Seq,
    pub amount: Amount,
    pub balance: Amount,
    pub s2: Signature,
}

impl Sell {
    pub fn of(args: &[Value]) -> Self {
        Self {
            buyer_pubkey: BuyerPubkey(spell::as_bytes(&args[1])),
            key: KeyId(spell::as_bytes(&args[2])),
            channel: ChannelId(spell::as_bytes(&args[3])),
            seq: Seq(u32::try_from(spell::as_int(&args[4])).unwrap()),
            amount: Amount::from_be_bytes(spell::as_bytes(&args[5])),
            balance: Amount::from_be_bytes(spell::as_bytes(&args[6])),
            s2: Signature(spell::as_bytes(&args[7])),
        }
    }
}

/// What stands for a data key sealed to a buyer: whom it is for, and which key it is.
pub fn seal(key: KeyId, buyer: BuyerPubkey) -> [u8; 80] {
    let mut sealed = [0x5e; 80];
    sealed[..16].copy_from_slice(&key.0);
    sealed[16..48].copy_from_slice(&buyer.0);
    sealed
}

fn fault(uri: &str) -> WampError {
    WampError {
        uri: uri.to_owned(),
        args: Vec::new(),
        kwargs: Dict::new(),
    }
}

impl Seller {
    pub fn new(number: usize, chance: &Chance, deposit: Amount) -> Self {
        Self {
            number,
            actor: key_of(chance),
            signer: key_of(chance),
            channel: ChannelId(chance.bytes()),
            deposit,
            provider_id: format!("p{number}"),
            books: Mutex::default(),
        }
    }

    pub fn sell_uri(&self) -> String {
        format!("xbr.provider.{}.sell", self.provider_id)
    }

    /// Sells: checks in the order of the original, then advances, then seals and signs.
    pub fn sell(&self, names: &Names, sell: &Sell) -> Result<Dict, WampError> {
        let mut books = self.books.lock();
        if !books.keys.contains(&sell.key) {
            return Err(fault(uri::NO_SUCH_OBJECT));
        }
        if sell.channel != self.channel {
            return Err(fault(uri::UNEXPECTED_CHANNEL_OID));
        }
        let Some((seq, balance)) = books.pair else {
            return Err(fault(uri::UNEXPECTED_CHANNEL_SEQ));
        };
        if Some(sell.seq) != seq.next() {
            return Err(fault(uri::UNEXPECTED_CHANNEL_SEQ));
        }
        if Some(sell.balance) != balance.checked_sub(sell.amount) {
            return Err(fault(uri::UNEXPECTED_CHANNEL_BALANCE));
        }
        let digest =
            ChannelClose::off_chain(names.market, self.channel, sell.seq, sell.balance).digest(&names.domain);
        if recover(&digest, &sell.s2).ok() != Some(names.marketmaker) {
            return Err(fault(uri::INVALID_SIGNATURE));
        }
        books.pair = Some((sell.seq, sell.balance));
        Ok(Dict::from([
            ("key_id".to_owned(), Value::from(sell.key.0)),
            (
                "sealed_key".to_owned(),
                Value::Bytes(seal(sell.key, sell.buyer_pubkey).to_vec()),
            ),
            ("channel_seq".to_owned(), spell::int(sell.seq.0.into())),
            ("amount".to_owned(), spell::amount(sell.amount)),
            ("balance".to_owned(), spell::amount(sell.balance)),
            ("signature".to_owned(), Value::from(self.signer.sign(&digest).0)),
        ]))
    }

    /// Leaves, as a process that ended does, and yields the pair it believed in.
    pub fn leave(&self, stage: &Stage) -> Option<(Seq, Amount)> {
        let mut books = self.books.lock();
        stage.left(books.session);
        (books.session, books.registered) = (0, false);
        books.pair.take()
    }

    /// Starts: asks for its channel, registers, offers, and only then takes the posted pair for its own. Or, if it lives
    /// on and merely connects anew, it keeps the pair it has.
    pub async fn start(&self, town: &Town, stage: &Stage, session: u64, again: bool) {
        if std::mem::replace(&mut self.books.lock().starting, true) {
            return;
        }
        let kept = self.leave(stage).filter(|_| again);
        self.books.lock().session = session;
        stage.joined(session);
        self.begin(town, stage, session, kept).await;
        self.books.lock().starting = false;
    }

    async fn begin(
        &self,
        town: &Town,
        stage: &Stage,
        session: u64,
        kept: Option<(Seq, Amount)>,
    ) -> Option<()> {
        let adr = vec![Value::from(self.signer.address().0)];
        let active = spell::call(session, "get_active_paying_channel", adr, Dict::new());
        let active = town.ask_surely(stage, active).await?.ok()?;
        if active == Value::Null {
            return None;
        }
        self.books.lock().registered = true;
        stage.registered(session, &self.sell_uri());
        self.offer(town, stage).await;
        if let Some(kept) = kept {
            town.note(|| format!("seller {} goes on from {kept:?}", self.number));
            let mut books = self.books.lock();
            if books.session == session {
                books.pair = Some(kept);
            }
            return Some(());
        }
        let oid = vec![Value::from(self.channel.0)];
        let pair = spell::call(session, "get_paying_channel_balance", oid, Dict::new());
        let pair = town.ask_surely(stage, pair).await?.ok()?;
        let seq = Seq(u32::try_from(spell::int_of(&pair, "seq")).unwrap());
        let remaining = spell::amount_of(&pair, "remaining");
        town.note(|| {
            format!(
                "seller {} starts at seq {} with {remaining} left",
                self.number, seq.0
            )
        });
        let mut books = self.books.lock();
        if books.session == session {
            books.pair = Some((seq, remaining));
        }
        Some(())
    }

    /// Puts a key on sale: at a price, at none, in few copies, or for a short time.
    pub async fn offer(&self, town: &Town, stage: &Stage) {
        let key = KeyId(town.chance.bytes());
        let session = {
            let mut books = self.books.lock();
            if books.session == 0 {
                return;
            }
            books.keys.insert(key);
            books.session
        };
        let price = town
            .chance
            .permille(600)
            .then(|| Amount::from_tokens(town.chance.within(0..=20)));
        let copies = town.chance.permille(300).then(|| town.chance.within(1..=3));
        let expires = town.chance.permille(200).then(|| {
            bourse_app::Environment::now(&*town.clock).0 + town.chance.within(301..=400) * 1_000_000_000
        });
        // Some keys it leaves with the market, and is not asked for them.
        let left: Option<[u8; 32]> = town.chance.permille(250).then(|| town.chance.bytes());
        let uri = match town.process.strikes(Fault::Policy) {
            true => UNPRICED,
            false => "com.example.",
        };
        let filtered = town.in_force.filter;
        let grade = match filtered && town.chance.permille(250) {
            true => POOR,
            false => GOOD,
        };
        let mut kwargs = Dict::from([
            ("key_id".to_owned(), Value::from(key.0)),
            ("api_id".to_owned(), Value::from([7u8; 16])),
            ("uri".to_owned(), Value::Str(uri.to_owned())),
            ("valid_from".to_owned(), spell::int(0)),
            ("delegate_adr".to_owned(), Value::from(self.signer.address().0)),
            ("provider_id".to_owned(), Value::Str(self.provider_id.clone())),
        ]);
        let signature = match left {
            Some(_) => self.sign_offer(&town.names, key, uri, price, expires),
            None => Signature([1; 65]),
        };
        kwargs.insert("delegate_signature".to_owned(), Value::from(signature.0));
        kwargs.extend(left.map(|secret| ("privkey".to_owned(), Value::from(secret))));
        kwargs.extend(price.map(|price| ("price".to_owned(), spell::amount(price))));
        kwargs.extend(copies.map(|copies| ("copies".to_owned(), spell::int(copies))));
        kwargs.extend(expires.map(|expires| ("expires".to_owned(), spell::int(expires))));
        if filtered {
            let grade = Dict::from([(LABEL.to_owned(), Value::Str(grade.to_owned()))]);
            kwargs.insert("categories".to_owned(), Value::Map(grade));
        }
        // Known before it is placed, so that a sale of it is never a surprise.
        town.reference
            .lock()
            .offered(key, self.number, price, copies, expires.map(Nanos), left);
        let answer = town
            .ask_surely(stage, spell::call(session, "place_offer", Vec::new(), kwargs))
            .await;
        if filtered && grade == POOR {
            if let Some(Ok(_)) = answer {
                town.violated(format!("the offer of {key} was placed, and is not good enough"));
            }
            town.reference.lock().hides(key, Nanos(0));
        } else if filtered {
            let now = bourse_app::Environment::now(&*town.clock);
            town.reference.lock().hides(key, after(after(now, SHOWN), LAG));
        }
        town.note(|| {
            format!(
                "seller {} {} {key}: {:?}",
                self.number,
                if left.is_some() { "leaves" } else { "offers" },
                answer.map(|answer| answer.map(|_| ()))
            )
        });
    }

    fn sign_offer(
        &self,
        names: &Names,
        key: KeyId,
        uri: &str,
        price: Option<Amount>,
        expires: Option<u64>,
    ) -> Signature {
        let offer = KeyOffer {
            market: names.market,
            key,
            api: ApiId([7; 16]),
            uri: uri.to_owned(),
            price: price.unwrap_or(Amount::ZERO),
            dynamic: price.is_none(),
            valid_from: Nanos(0),
            expires: Nanos(expires.unwrap_or(0)),
            delegate: self.signer.address(),
        };
        self.signer.sign(&offer.digest(&names.domain))
    }

    /// What is left in its channel once it has given back what it was paid too early, and was paid for the keys that it
    /// left, as far as the channel has that.
    async fn settled(&self, town: &Town, stage: &Stage, session: u64) -> Option<Amount> {
        let oid = vec![Value::from(self.channel.0)];
        let ask = spell::call(session, "get_paying_channel_balance", oid, Dict::new());
        let told = town.ask(stage, ask).await.ok()?.ok()?;
        let part = |name: &str| match &told {
            Value::Map(map) if map.contains_key(name) => spell::amount_of(&told, name),
            _ => Amount::ZERO,
        };
        let remaining = part("remaining").checked_add(part("prepaid"))?;
        remaining.checked_sub(part("owed").min(remaining))
    }

    /// Retires on a day when nothing goes wrong: it is paid for the keys that it left, and closes.
    pub async fn retire(&self, town: &Town, stage: &Stage) {
        let (pair, session) = {
            let books = self.books.lock();
            (books.pair, books.session)
        };
        let (Some((seq, posted)), Some(balance)) = (pair, self.settled(town, stage, session).await) else {
            return;
        };
        town.reference.lock().would_close(self.channel, seq, balance);
        let pair = (seq, balance);
        town.close(stage, session, self.channel, &self.signer, pair).await;
        if !town.reference.lock().is_closed(&self.channel) {
            town.violated(format!(
                "seller {} at seq {} with {posted} left could not close with {balance}",
                self.number, seq.0
            ));
        }
    }

    /// Closes its channel where it stands, with all that it is owed paid, or with nothing left in it.
    pub async fn close(&self, town: &Town, stage: &Stage) {
        let (pair, session) = {
            let books = self.books.lock();
            (books.pair, books.session)
        };
        let Some((seq, balance)) = pair else { return };
        let balance = match town.chance.within(0..=9) {
            0..=2 => Amount::ZERO,
            3..=7 => self.settled(town, stage, session).await.unwrap_or(balance),
            _ => balance,
        };
        let pair = (seq, balance);
        town.reference.lock().would_close(self.channel, seq, balance);
        town.close(stage, session, self.channel, &self.signer, pair).await;
    }

    /// Takes an offer back.
    pub async fn revoke(&self, town: &Town, stage: &Stage) {
        let keys: Vec<KeyId> = self.books.lock().keys.iter().copied().collect();
        let (Some(key), session) = (town.chance.one_of(&keys), self.books.lock().session) else {
            return;
        };
        let call = spell::call(session, "revoke_offer", vec![Value::from(key.0)], Dict::new());
        if let Some(Ok(_)) = town.ask_surely(stage, call).await {
            town.reference
                .lock()
                .revoked(*key, bourse_app::Environment::now(&*town.clock));
        }
    }
}
