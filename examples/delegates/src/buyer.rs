//! A buyer's delegate: pays for keys out of a payment channel, and opens what it bought.

use crate::receipt::Expected;
use crate::terms::Order;
use crate::voucher::Vouchers;
use crate::{Balance, DataKey, DelegateError, MarketClient, Receipt, ReceiveKey};
use bourse_chain::{ChannelClose, Signer};
use bourse_market::{Amount, ChannelId, ChannelKind, KeyId};
use std::sync::Arc;

/// How often one purchase is tried anew when its price moves between quote and order.
const ATTEMPTS: usize = 5;

/// How a buyer starts.
#[derive(Debug, Clone, Default)]
pub struct BuyerOptions {
    /// Pay out of this channel; none takes the oldest that has something left.
    pub channel: Option<ChannelId>,
}

/// What a buyer gets for its money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bought {
    /// The key's id.
    pub key: KeyId,
    /// The key, ready to decrypt with.
    pub data_key: DataKey,
    /// What it cost.
    pub price: Amount,
    /// The channel afterwards.
    pub balance: Balance,
}

/// A buyer's delegate with its payment channel.
///
/// A channel moves one purchase at a time, which is why buying takes `&mut self`; to buy in parallel, open several
/// channels and start a buyer on each.
pub struct Buyer {
    client: MarketClient,
    signer: Signer,
    receive: ReceiveKey,
    channel: ChannelId,
    /// The last state that both sides signed, as far as this buyer knows.
    balance: Balance,
    /// The last order: the furthest state that this buyer signed.
    last: Option<Order>,
    /// That order was never answered: its money may be gone, and its key waiting.
    unanswered: bool,
    /// What came of such an order while another key was being bought.
    late: Option<Bought>,
    vouchers: Arc<Vouchers>,
}

impl Buyer {
    /// Finds the channel and adopts its state as the market knows it.
    ///
    /// Keys are sealed to `receive`. A program that keeps it can still open keys it paid for before it was restarted.
    ///
    /// # Errors
    ///
    /// [`DelegateError::NoChannel`] without a channel to pay from; any error of a call.
    pub async fn start(
        client: MarketClient,
        signer: Signer,
        receive: ReceiveKey,
        options: BuyerOptions,
    ) -> Result<Self, DelegateError> {
        let (kind, delegate) = (ChannelKind::Payment, signer.address());
        let channel = match options.channel {
            Some(channel) => channel,
            None => {
                let active = client.active_channel(kind, delegate).await?;
                active.ok_or(DelegateError::NoChannel { kind, delegate })?
            }
        };
        let balance = client.balance(kind, channel).await?;
        let vouchers = Vouchers::new(client.clone(), signer.clone(), channel, balance);
        Arc::clone(&vouchers).watch().await;
        Ok(Self {
            client,
            signer,
            receive,
            channel,
            balance,
            last: None,
            unanswered: false,
            late: None,
            vouchers,
        })
    }

    /// Goes on over another session, with everything it knows.
    pub fn rejoin(&mut self, client: MarketClient) {
        self.vouchers = Vouchers::new(client.clone(), self.signer.clone(), self.channel, self.balance);
        tokio::spawn(Arc::clone(&self.vouchers).watch());
        self.client = client;
    }

    /// The channel it pays from.
    pub fn channel(&self) -> ChannelId {
        self.channel
    }

    /// Where that channel stands.
    pub fn balance(&self) -> Balance {
        self.balance
    }

    /// A purchase that was answered only after the caller had gone on to another key.
    pub fn take_late(&mut self) -> Option<Bought> {
        self.late.take()
    }

    /// Buys a key, for `max_price` at most.
    ///
    /// If it is not answered, nobody knows whether the purchase happened. Call it again: the next call sends the
    /// very same order first, which is answered with the same receipt and never charged twice.
    ///
    /// # Errors
    ///
    /// [`DelegateError::TooExpensive`], [`DelegateError::Exhausted`], a [`DelegateError::Receipt`] that does not
    /// prove the purchase, and any error of a call. Money moves in none of these but the receipt's.
    pub async fn buy(&mut self, key: KeyId, max_price: Amount) -> Result<Bought, DelegateError> {
        if let Some(bought) = self.settle().await? {
            if bought.key == key {
                return Ok(bought);
            }
            self.late = Some(bought);
        }
        let mut attempt = 1;
        loop {
            let price = self.client.quote(key).await?.price;
            if price > max_price {
                return Err(DelegateError::TooExpensive {
                    price,
                    max: max_price,
                });
            }
            let order = self.order(key, price).await?;
            match self.send(order).await {
                Err(error) if attempt < ATTEMPTS && may_try_anew(&error) => attempt += 1,
                Err(error) if attempt < ATTEMPTS && is_out_of_step(&error) => {
                    self.resync().await?;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    /// Signs the next state of the channel: one position on, less the price.
    async fn order(&self, key: KeyId, price: Amount) -> Result<Order, DelegateError> {
        let (channel, now) = (self.channel, self.balance);
        let remaining = now.remaining.checked_sub(price);
        let remaining = remaining.ok_or(DelegateError::Exhausted {
            channel,
            price,
            remaining: now.remaining,
        })?;
        let seq = now.seq.next().ok_or(DelegateError::SeqExhausted { channel })?;
        let facts = self.client.facts();
        let state = ChannelClose::off_chain(facts.market, channel, seq, remaining);
        let signature = self.signer.sign(&state.digest(&facts.domain));
        Ok(Order {
            key,
            buyer_pubkey: self.receive.public(),
            channel,
            price,
            seq,
            remaining,
            signature,
            voucher: self.vouchers.over(Balance { seq, remaining }).await?,
        })
    }

    async fn send(&mut self, order: Order) -> Result<Bought, DelegateError> {
        (self.last, self.unanswered) = (Some(order), true);
        self.vouchers.ordered(Balance {
            seq: order.seq,
            remaining: order.remaining,
        });
        let result = self.client.buy(self.signer.address(), &order).await;
        self.unanswered = result.as_ref().is_err_and(may_have_happened);
        self.accept(&order, &result?)
    }

    /// Finds out what became of an order that was not answered, by sending it once more.
    async fn settle(&mut self) -> Result<Option<Bought>, DelegateError> {
        let Some(order) = self.last.filter(|_| self.unanswered) else {
            return Ok(None);
        };
        match self.send(order).await {
            Ok(bought) => Ok(Some(bought)),
            // The market did not look at it, so it may still have happened.
            Err(error) if is_turned_away(&error) => {
                self.unanswered = true;
                Err(error)
            }
            // A purchase that happened would have been confirmed: nothing was paid.
            Err(DelegateError::Refused { .. }) if !self.unanswered => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Adopts the new state of the channel, once the market maker has proven that it signed the same.
    fn accept(&mut self, order: &Order, receipt: &Receipt) -> Result<Bought, DelegateError> {
        let facts = self.client.facts();
        receipt.verify(&Expected {
            domain: facts.domain,
            marketmaker: facts.marketmaker,
            market: facts.market,
            channel: order.channel,
            key: order.key,
            price: order.price,
            seq: order.seq,
            remaining: order.remaining,
        })?;
        self.balance = Balance {
            seq: order.seq,
            remaining: order.remaining,
        };
        self.vouchers.paid(self.balance);
        let data_key = self.receive.unseal(&receipt.sealed_key)?;
        Ok(Bought {
            key: order.key,
            data_key,
            price: order.price,
            balance: self.balance,
        })
    }

    /// Asks the market where the channel stands, and adopts it if that costs nothing.
    ///
    /// Every order concedes what its balance leaves out. A market maker that names less than this buyer has signed
    /// must not be believed, or the next order would sign the difference away.
    async fn resync(&mut self) -> Result<(), DelegateError> {
        let claimed = self.client.balance(ChannelKind::Payment, self.channel).await?;
        let is_signed = |order: Order| (claimed.seq, claimed.remaining) == (order.seq, order.remaining);
        if claimed.remaining < self.balance.remaining && !self.last.is_some_and(is_signed) {
            return Err(DelegateError::ForeignState {
                channel: self.channel,
                claimed_seq: claimed.seq,
                claimed: claimed.remaining,
                seq: self.balance.seq,
                remaining: self.balance.remaining,
            });
        }
        self.balance = claimed;
        self.vouchers.paid(claimed);
        Ok(())
    }
}

/// Whether an order may have been carried out although it failed for its sender. What the market maker itself says is
/// final; the router speaks for a market maker that is gone.
fn may_have_happened(error: &DelegateError) -> bool {
    let final_words = [
        "wamp.error.invalid_argument",
        "wamp.error.no_such_procedure",
        "wamp.error.not_authorized",
    ];
    match error {
        DelegateError::NoAnswer { .. } | DelegateError::Malformed { .. } => true,
        DelegateError::Refused { uri, .. } => {
            uri.starts_with("wamp.error.") && !final_words.contains(&uri.as_str())
        }
        _ => false,
    }
}

/// The market had no time to look at the order.
fn is_turned_away(error: &DelegateError) -> bool {
    error.is("bourse.error.overloaded") || error.is("bourse.error.not_ready")
}

/// The price moved between quote and order: ask for another quote.
fn may_try_anew(error: &DelegateError) -> bool {
    error.is("bourse.error.price_changed") || error.is("xbr.error.insufficient_amount")
}

/// The market knows the channel in another state than this buyer does.
fn is_out_of_step(error: &DelegateError) -> bool {
    error.is("bourse.error.out_of_order") || error.is("bourse.error.wrong_balance")
}
