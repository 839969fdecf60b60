//! A buyer that keeps its own books, and signs whatever a test wants.

use crate::calls::{amount_of, bytes_of, call, map_of};
use crate::world::{World, open};
use bourse_chain::{ChannelClose, Signer, recover};
use bourse_market::{Amount, BuyerPubkey, ChannelId, ChannelKind, KeyId, Seq, Signature};
use bourse_wamp::{Session, Value, WampError};

/// A buyer's delegate with a payment channel, on a session of its own.
pub struct Buyer {
    pub session: Session,
    pub actor: Signer,
    pub signer: Signer,
    pub channel: ChannelId,
    pub deposit: Amount,
    pub seq: Seq,
    pub balance: Amount,
    pub pubkey: BuyerPubkey,
    domain: bourse_chain::Domain,
    market: bourse_market::MarketId,
    marketmaker: bourse_market::Address,
}

/// The arguments of one buy_key, before they are spelled. Change what you like.
#[derive(Debug, Clone)]
pub struct Order {
    pub delegate: bourse_market::Address,
    pub pubkey: BuyerPubkey,
    pub key: KeyId,
    pub channel: ChannelId,
    pub seq: Seq,
    pub amount: Amount,
    pub balance: Amount,
    pub signature: Signature,
}

/// A receipt as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    pub value: Value,
    pub paid: Amount,
    pub seq: Seq,
    pub remaining: Amount,
    pub sealed_key: Vec<u8>,
    pub signature: Signature,
}

impl Buyer {
    /// A buyer whose channel holds `deposit`.
    pub async fn new(world: &World, deposit: Amount) -> Self {
        Self::on(world, world.session().await, deposit).await
    }

    /// The same on a session of the test's choice.
    pub async fn on(world: &World, session: Session, deposit: Amount) -> Self {
        let (actor, signer) = (Signer::generate(), Signer::generate());
        let channel = open(
            world,
            &session,
            ChannelKind::Payment,
            &actor,
            signer.address(),
            deposit,
        )
        .await;
        Self::over(world, session, actor, signer, channel, deposit)
    }

    /// The same over a channel that is open already, and that nothing was bought over.
    pub fn over(
        world: &World,
        session: Session,
        actor: Signer,
        signer: Signer,
        channel: ChannelId,
        deposit: Amount,
    ) -> Self {
        Self {
            session,
            actor,
            signer,
            channel,
            deposit,
            seq: Seq::FIRST,
            balance: deposit,
            // Any point that is not of low order: nobody unseals in these tests.
            pubkey: BuyerPubkey([9; 32]),
            domain: world.domain(),
            market: world.market(),
            marketmaker: world.marketmaker(),
        }
    }

    /// The price of a key now.
    pub async fn quote(&self, key: KeyId) -> Result<Amount, WampError> {
        call(
            &self.session,
            "xbr.marketmaker.get_quote",
            vec![Value::from(key.0)],
        )
        .await
        .map(|quote| amount_of(&quote, "price"))
    }

    /// An honest order at `price`.
    pub fn order(&self, key: KeyId, price: Amount) -> Order {
        let seq = self.seq.next().unwrap();
        let balance = self.balance.checked_sub(price).unwrap_or(Amount::ZERO);
        self.order_at(key, price, seq, balance)
    }

    /// An order for any state of the channel, honestly signed.
    pub fn order_at(&self, key: KeyId, amount: Amount, seq: Seq, balance: Amount) -> Order {
        Order {
            delegate: self.signer.address(),
            pubkey: self.pubkey,
            key,
            channel: self.channel,
            seq,
            amount,
            balance,
            signature: self.sign(seq, balance),
        }
    }

    /// This buyer's signature over a state of its channel.
    pub fn sign(&self, seq: Seq, balance: Amount) -> Signature {
        self.sign_for(self.channel, seq, balance)
    }

    /// This buyer's signature over a state of any channel.
    pub fn sign_for(&self, channel: ChannelId, seq: Seq, balance: Amount) -> Signature {
        let state = ChannelClose::off_chain(self.market, channel, seq, balance);
        self.signer.sign(&state.digest(&self.domain))
    }

    fn digest(&self, seq: Seq, balance: Amount) -> [u8; 32] {
        ChannelClose::off_chain(self.market, self.channel, seq, balance).digest(&self.domain)
    }

    /// Sends an order as it is; the books stay as they are.
    pub async fn send(&self, order: &Order) -> Result<Receipt, WampError> {
        send(&self.session, order).await
    }

    /// Sends an order, checks the receipt as an honest buyer does, and books it.
    pub async fn pay(&mut self, order: &Order) -> Result<Receipt, WampError> {
        let receipt = self.send(order).await?;
        self.book(&receipt);
        Ok(receipt)
    }

    /// Checks a receipt as an honest buyer does, and books it.
    pub fn book(&mut self, receipt: &Receipt) {
        assert_eq!(
            receipt.seq,
            self.seq.next().unwrap(),
            "the receipt is for the next seq"
        );
        assert_eq!(
            Some(receipt.remaining),
            self.balance.checked_sub(receipt.paid),
            "the receipt charges what it says"
        );
        assert_eq!(
            recover(&self.digest(receipt.seq, receipt.remaining), &receipt.signature).unwrap(),
            self.marketmaker,
            "the receipt is signed by the market maker"
        );
        (self.seq, self.balance) = (receipt.seq, receipt.remaining);
    }

    /// Asks for the price and buys at it.
    pub async fn buy(&mut self, key: KeyId) -> Result<Receipt, WampError> {
        let price = self.quote(key).await?;
        self.buy_at(key, price).await
    }

    /// Buys at a price that it knows.
    pub async fn buy_at(&mut self, key: KeyId, price: Amount) -> Result<Receipt, WampError> {
        let order = self.order(key, price);
        self.pay(&order).await
    }

    /// Comes back on a new session, as after a lost connection. The books stay.
    pub async fn reconnect(&mut self, world: &World) {
        self.session = world.session().await;
    }

    /// What this buyer paid so far, by its own books.
    pub fn paid(&self) -> Amount {
        self.deposit.checked_sub(self.balance).unwrap()
    }

    /// What the market maker says of the channel: seq and remaining.
    pub async fn posted(&self) -> (Seq, Amount) {
        let args = vec![Value::from(self.channel.0)];
        let balance = call(&self.session, "xbr.marketmaker.get_payment_channel_balance", args)
            .await
            .unwrap();
        let seq = map_of(&balance).get("seq").and_then(Value::as_u64).unwrap();
        (Seq(u32::try_from(seq).unwrap()), amount_of(&balance, "remaining"))
    }
}

impl Order {
    /// The arguments of buy_key, in their order.
    pub fn args(&self) -> Vec<Value> {
        vec![
            Value::from(self.delegate.0),
            Value::from(self.pubkey.0),
            Value::from(self.key.0),
            Value::from(self.channel.0),
            Value::Int(u64::from(self.seq.0).into()),
            Value::from(self.amount.to_be_bytes()),
            Value::from(self.balance.to_be_bytes()),
            Value::from(self.signature.0),
        ]
    }
}

/// Sends an order over any session.
pub async fn send(session: &Session, order: &Order) -> Result<Receipt, WampError> {
    call(session, "xbr.marketmaker.buy_key", order.args())
        .await
        .map(Receipt::of)
}

impl Receipt {
    /// Reads the answer of buy_key.
    pub fn of(value: Value) -> Self {
        let seq = map_of(&value).get("channel_seq").and_then(Value::as_u64).unwrap();
        Self {
            paid: amount_of(&value, "amount_paid"),
            seq: Seq(u32::try_from(seq).unwrap()),
            remaining: amount_of(&value, "remaining"),
            sealed_key: bytes_of(&value, "sealed_key").to_vec(),
            signature: Signature::try_from(bytes_of(&value, "signature")).unwrap(),
            value,
        }
    }
}
