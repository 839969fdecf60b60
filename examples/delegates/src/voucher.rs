//! Settlement vouchers: what lets the market maker have a buyer's channel paid out, for some hours.
//!
//! The states of purchases name a block that the contract takes no more. So a market on a chain asks for the same state
//! again, final and over a recent block. What it is signed for is what was bought: the market maker can pay itself that much and
//! no more, and the rest goes back to the buyer. Of a purchase that failed it holds a voucher until the next one: that is what a
//! buyer trusts it with.

use crate::client::call;
use crate::reply::Reply;
use crate::{Balance, DelegateError, MarketClient};
use bourse_chain::{ChannelClose, Signer};
use bourse_market::{Amount, ChannelId, Signature};
use bourse_wamp::{Dict, Event, Value};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

const RENEW: &str = "bourse.market.renew_voucher";
/// How long the newest block is taken for the newest: some blocks, of the hundreds for which a voucher will do.
const HEAD_FOR: Duration = Duration::from_secs(60);

/// A state of a channel over a recent block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Voucher {
    close_at: u64,
    signature: Signature,
}

impl Voucher {
    /// As `buy_key` takes it.
    pub(crate) fn to_value(self) -> Value {
        Value::Map(Dict::from([
            ("close_at".to_owned(), self.close_at.into()),
            ("signature".to_owned(), self.signature.0.into()),
        ]))
    }
}

/// The vouchers of one channel.
pub(crate) struct Vouchers {
    client: MarketClient,
    signer: Signer,
    channel: ChannelId,
    /// The newest block, and when that was asked for.
    head: Mutex<Option<(u64, Instant)>>,
    /// The states that were paid for and ordered last: only over these is a voucher renewed.
    signed: Mutex<Signed>,
}

#[derive(Debug, Clone, Copy)]
struct Signed {
    paid: Balance,
    /// Its order may have been carried out although nobody answered.
    ordered: Balance,
}

impl Vouchers {
    pub(crate) fn new(
        client: MarketClient,
        signer: Signer,
        channel: ChannelId,
        stands: Balance,
    ) -> Arc<Self> {
        Arc::new(Self {
            client,
            signer,
            channel,
            head: Mutex::default(),
            signed: Mutex::new(Signed {
                paid: stands,
                ordered: stands,
            }),
        })
    }

    /// What was bought has led to this state.
    pub(crate) fn paid(&self, stands: Balance) {
        self.signed.lock().paid = stands;
    }

    /// This state is about to be ordered.
    pub(crate) fn ordered(&self, state: Balance) {
        self.signed.lock().ordered = state;
    }

    /// A voucher over a state; none where a market takes none.
    pub(crate) async fn over(&self, state: Balance) -> Result<Option<Voucher>, DelegateError> {
        if self.client.facts().max_unsettled.is_none() {
            return Ok(None);
        }
        let close_at = self.head().await?;
        let facts = self.client.facts();
        let message = ChannelClose {
            close_at: Amount::from_units(close_at.into()),
            market: facts.market,
            channel: self.channel,
            seq: state.seq,
            balance: state.remaining,
            is_final: true,
        };
        let signature = self.signer.sign(&message.digest(&facts.domain));
        Ok(Some(Voucher { close_at, signature }))
    }

    async fn head(&self) -> Result<u64, DelegateError> {
        let known = self.head.lock().filter(|(_, asked)| asked.elapsed() < HEAD_FOR);
        if let Some((head, _)) = known {
            return Ok(head);
        }
        let status = self.client.call("status", Vec::new(), Dict::new()).await?;
        let head = Reply::new("xbr.marketmaker.status", status)?.u64("current_block_no")?;
        *self.head.lock() = Some((head, Instant::now()));
        Ok(head)
    }

    /// Renews the voucher whenever the market says that it lapses, for as long as the session lasts.
    pub(crate) async fn watch(self: Arc<Self>) {
        if self.client.facts().max_unsettled.is_none() {
            return;
        }
        let topic = format!(
            "xbr.marketmaker.delegate.{}.on_voucher_lapsing",
            self.signer.address()
        );
        let session = self.client.session().clone();
        // The session holds what it calls: not the other way round as well.
        let vouchers = Arc::downgrade(&self);
        let renew = move |event: Event| {
            if let Some(vouchers) = vouchers.upgrade() {
                tokio::spawn(async move { vouchers.renew(&event).await });
            }
        };
        if let Err(error) = session.subscribe(&topic, renew).await {
            tracing::warn!(%error, "vouchers will not be renewed between purchases");
        }
    }

    async fn renew(&self, event: &Event) {
        let Signed { paid, ordered } = *self.signed.lock();
        let named = event.args.first().and_then(Value::as_map);
        let ours = named
            .and_then(|named| named.get("channel_oid"))
            .and_then(Value::as_bytes)
            .is_some_and(|channel| channel == self.channel.0);
        if !ours {
            return;
        }
        // It gets one over what was paid, or over what was ordered if it says that this is where the channel stands.
        let is = |state: Balance| {
            let named = |name| named.and_then(|named| named.get(name));
            named("seq").and_then(Value::as_u64) == Some(state.seq.0.into())
                && named("balance").and_then(Value::as_bytes) == Some(&state.remaining.to_be_bytes()[..])
        };
        let stands = if is(ordered) { ordered } else { paid };
        let renewed = async {
            *self.head.lock() = None;
            let Some(voucher) = self.over(stands).await? else {
                return Ok(());
            };
            let args = vec![
                self.channel.0.into(),
                voucher.close_at.into(),
                voucher.signature.0.into(),
            ];
            call(self.client.session(), RENEW, args, Dict::new())
                .await
                .map(drop)
        };
        if let Err(error) = renewed.await {
            let error: DelegateError = error;
            tracing::warn!(%error, channel = %self.channel, "a voucher could not be renewed");
        }
    }
}
