//! Carrying a purchase out: price, turn, RESERVE, the seller, and on to its end.

use super::deliver::{deliver, escrowed};
use super::exchange::exchange;
use super::finish::{settle, void};
use super::pending::Answer;
use super::sell::{unavailable, unpayable};
use super::turns::{Crowded, Place, Turn};
use super::{BuyRequest, UNSIGNED};
use crate::market::Market;
use crate::policies::{Cleared, Inquiry, Step};
use crate::quotes::Quote;
use crate::vouchers;
use crate::wire::{fault, of_refusal, of_store, unexpected, uri};
use bourse_market::voucher::{Cover, SignedVoucher};
use bourse_market::{
    Amount, Channel, ChannelKind, ChannelState, Command, Fault, KeyId, Offer, Order, Outcome, Purchase,
    PurchaseId, Refusal, ReserveRequest, SessionId, StateWrite, View, check_on_sale,
};
use bourse_policy::Action;
use bourse_wamp::WampError;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a seller may take that has never yet answered with its delegate's signature.
const UNPROVEN_DEADLINE: Duration = Duration::from_secs(2);
/// Kept free of the deadline for the write that resolves the purchase.
const SETTLE: Duration = Duration::from_millis(200);

/// Everything known of a purchase before it is reserved.
pub(super) struct Plan {
    offer: Offer,
    pub(super) provider_id: String,
    /// The session registered to sell.
    pub(super) callee: SessionId,
    pub(super) paying: Channel,
    proven: bool,
    /// The session itself answered with the delegate's signature before.
    pub(super) answered: bool,
}

/// What a purchase is made at, and under.
pub(super) struct Price {
    pub(super) quote: Arc<Quote>,
    /// It was promised to the session, and is used up by the purchase.
    promised: bool,
    /// What the filters and consent decided about the purchase.
    pub(super) cleared: Cleared,
    /// What makes its payment a claim that the contract would pay.
    pub(super) voucher: Option<SignedVoucher>,
}

/// When each step must be over, so that the whole is over in time.
#[derive(Clone, Copy)]
struct Deadlines {
    /// The turn must have come. A seller that is asked has at least as long to answer as its buyers waited, steps of
    /// recovery included: were it asked at the last moment, its lateness would be the line's fault, and it would be
    /// suspended for it.
    turn: Instant,
    /// The seller must have answered.
    answer: Instant,
}

impl Deadlines {
    fn before(end: Instant, whole: Duration) -> Self {
        Self {
            turn: end - whole / 2,
            answer: end - SETTLE.min(whole / 4),
        }
    }

    /// A pair that has never answered gets less, or strangers could hold up a seller they name.
    fn answer_of(&self, proven: bool) -> Instant {
        if proven {
            self.answer
        } else {
            self.answer.min(Instant::now() + UNPROVEN_DEADLINE)
        }
    }
}

/// Carries out one purchase. On an error nothing is reserved any more.
pub(super) async fn carry(
    market: &Arc<Market>,
    request: BuyRequest,
    voucher: Option<SignedVoucher>,
    end: Instant,
) -> Answer {
    let deadlines = Deadlines::before(end, market.terms.sell_deadline);
    let key = request.identity.key;
    let offer = offer(market, &key)?;
    let mut price = price(market, &request, &offer, deadlines.turn).await?;
    price.voucher = voucher;
    // What is over is over, whether its seller is there or not.
    check_on_sale(&offer, market.now()).map_err(|refusal| of_refusal(&refusal))?;
    if let Some(escrowed) = escrowed(market, &offer)? {
        return deliver(market, &request, &offer, escrowed, price, deadlines.turn).await;
    }
    let plan = plan(market, offer).await?;
    rehearse(market, &request, &plan, &price)?;

    let turn = await_turn(market, &plan, deadlines.turn).await?;
    let (purchase, price) = reserve(market, &request, &plan, price, deadlines.answer).await?;
    crate::crash::point("reserve-committed");

    let answer_by = deadlines.answer_of(plan.proven);
    let resolved = match exchange(market, &turn, &plan, &purchase, answer_by).await {
        Ok(sale) => settle(market, &purchase, &plan, &price, sale).await,
        Err(reason) => Err(void(market, &purchase, reason).await),
    };
    drop(turn);
    resolved
}

fn offer(market: &Market, key: &KeyId) -> Result<Offer, WampError> {
    market
        .read(|ledger| ledger.offer_by_key(key))?
        .ok_or_else(|| of_refusal(&Refusal::OfferUnknown { key: *key }))
}

/// Whether the purchase may be made at all, and at what price: that of the session's live quote, else a fresh one.
/// Neither crowded workers nor slow policies and sellers may take past `until`.
async fn price(
    market: &Arc<Market>,
    request: &BuyRequest,
    offer: &Offer,
    until: Instant,
) -> Result<Price, WampError> {
    let now = market.now();
    let promised = market
        .quotes
        .peek(request.session, &offer.key, &offer.id, &request.buyer, now);
    let inquiry = Inquiry {
        action: Action::Buy,
        buyer: Some(request.buyer),
        now,
    };
    let quoted = promised.is_some();
    let asked = match quoted {
        true => market.policies.guard(offer),
        false => market.policies.have_a_say(offer),
    };
    let (cleared, step) = if asked {
        let (policies, offer) = (Arc::clone(&market.policies), offer.clone());
        let found = market
            .workers
            .run_bought(move || policies.purchase(&offer, &inquiry, quoted));
        tokio::time::timeout_at(until, found).await.map_err(|_| {
            fault(
                uri::OVERLOADED,
                "the price was not found in time; nothing was charged",
            )
        })???
    } else {
        market.policies.purchase(offer, &inquiry, quoted)?
    };
    let quote = match (promised, step) {
        (Some(quote), _) => quote,
        (None, Some(Step::Quoted(quote))) => quote,
        (None, Some(Step::AskSeller(bounds))) => {
            Arc::new(market.ask_seller(offer, inquiry.buyer, bounds, until).await?)
        }
        (None, None) => return Err(fault(uri::RUNTIME, "the purchase has no price")),
    };
    let writes = cleared.state_writes.len() + quote.state_writes.len();
    if writes > StateWrite::MAX_PER_PURCHASE {
        // Not all would be kept, and a policy that counts must not be made to forget.
        return Err(fault(
            uri::POLICY_FAILED,
            format!(
                "the policies of this purchase want to remember {writes} things together, at most {} can be kept",
                StateWrite::MAX_PER_PURCHASE
            ),
        ));
    }
    Ok(Price {
        quote,
        promised: quoted,
        cleared,
        voucher: None,
    })
}

/// Who sells, over which channel, and whether it may.
async fn plan(market: &Market, offer: Offer) -> Result<Plan, WampError> {
    let not_connected = || unavailable("the seller is not connected");
    let provider_id = offer.provider_id.clone().ok_or_else(not_connected)?;
    let registration = market
        .provider(&provider_id, &offer.seller)
        .await
        .ok_or_else(not_connected)?;
    let bound = match registration.bound {
        Some(channel) => channel,
        None => {
            let kind = ChannelKind::Paying;
            let active = match market.read(|ledger| ledger.active_channel(kind, &offer.seller))? {
                Some(active) => active,
                None => {
                    let shut = market.read(|ledger| ledger.quarantined_channel(kind, &offer.seller))?;
                    return Err(shut.map_or_else(unpayable, |channel| {
                        of_refusal(&Refusal::ChannelQuarantined { channel })
                    }));
                }
            };
            market.providers.bind(&provider_id, offer.seller, active.id)
        }
    };
    let key = offer.pair();
    let (paying, pair) =
        market.read(|ledger| Ok((ledger.channel(&bound)?, ledger.pair(&key)?.unwrap_or_default())))?;
    let paying = paying.filter(is_open).ok_or_else(unpayable)?;

    if pair
        .suspended
        .as_ref()
        .is_some_and(|suspension| registration.since > suspension.at)
    {
        market.submit(Command::ReleasePair(key)).await?;
    }
    if let Some(suspension) = &paying.suspended {
        // Only the provider whose answer was unclear can clear it up, and only by starting afresh.
        let suspended_by = market.read(|ledger| {
            let purchase = ledger.purchase(&suspension.purchase)?;
            purchase.map_or(Ok(None), |purchase| ledger.offer(&purchase.offer))
        })?;
        let same = suspended_by.is_some_and(|offer| offer.provider_id.as_deref() == Some(&provider_id));
        if same && registration.since > suspension.at {
            market
                .submit(Command::ReleaseChannel {
                    channel: paying.id,
                    by_operator: false,
                })
                .await?;
        }
    }
    let callee = SessionId(registration.session);
    Ok(Plan {
        offer,
        provider_id,
        callee,
        answered: pair.sessions.contains(&callee),
        paying,
        proven: pair.is_proven(),
    })
}

/// A seller whose channel was closed is paid over no other until it registers anew.
fn is_open(paying: &Channel) -> bool {
    paying.state == ChannelState::Open
}

/// Asks the core on a snapshot. Whatever only the head of the line can decide is left to it.
fn rehearse(market: &Market, request: &BuyRequest, plan: &Plan, price: &Price) -> Result<(), WampError> {
    let ledger = market.store.read().map_err(of_store)?;
    let paying = ledger
        .channel(&plan.paying.id)
        .map_err(of_store)?
        .filter(is_open)
        .ok_or_else(unpayable)?;
    let Ok(reserve) = assemble(market, request, plan, &paying, price) else {
        return Ok(());
    };
    match bourse_market::apply(&ledger, &Command::Reserve(Box::new(reserve))) {
        Ok(_) | Err(Fault::Refused(Refusal::PayingMoved { .. })) => Ok(()),
        // Not this purchase's channel alone: the seller may be mid-sale with less or more left when the turn comes.
        Err(Fault::Refused(Refusal::InsufficientPayingBalance { .. })) if paying.pending.is_some() => Ok(()),
        Err(Fault::Refused(refusal)) => Err(of_refusal(&refusal)),
        Err(Fault::View(error)) => Err(of_store(error)),
    }
}

/// The buyer's side of a purchase at this price, whoever sells.
pub(super) fn order(market: &Market, request: &BuyRequest, price: &Price) -> Order {
    let due = price.quote.price;
    Order {
        id: PurchaseId(market.environment.fresh_id()),
        at: market.now(),
        identity: request.identity,
        buyer: request.buyer,
        signer: request.buyer,
        s1: request.s1,
        price: due,
        fee: market.settlement.fee(due),
        source: price.quote.source,
        lenient_seq: market.terms.lenient_seq,
        cover: market.terms.max_unsettled.map(|most| Cover {
            most,
            not_before: vouchers::not_before(market),
            voucher: price.voucher.clone(),
        }),
    }
}

/// The reservation as it would be made over `paying` as it stands, our signature still missing.
fn assemble(
    market: &Market,
    request: &BuyRequest,
    plan: &Plan,
    paying: &Channel,
    price: &Price,
) -> Result<ReserveRequest, WampError> {
    let order = order(market, request, price);
    let credit = order.price.checked_sub(order.fee).unwrap_or(Amount::ZERO);
    let (payable, _) = paying.net(credit);
    let remaining = paying.posted_remaining();
    let paying_balance = remaining.checked_sub(payable).ok_or_else(|| {
        of_refusal(&Refusal::InsufficientPayingBalance {
            credit: payable,
            remaining,
        })
    })?;
    let paying_seq = paying
        .seq
        .next()
        .ok_or_else(|| of_refusal(&Refusal::SeqExhausted { channel: paying.id }))?;
    Ok(ReserveRequest {
        order,
        callee: plan.callee,
        paying_channel: paying.id,
        paying_seq,
        paying_balance,
        s2: UNSIGNED,
    })
}

/// Waits for the head of the paying channel's line.
async fn await_turn(market: &Market, plan: &Plan, until: Instant) -> Result<Turn, WampError> {
    match market.turns.join(plan.paying.id, plan.proven) {
        Ok(Place::Now(turn)) => Ok(turn),
        Ok(Place::Wait(turn)) => match tokio::time::timeout_at(until, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(unavailable(
                "the seller is busy: its turn did not come in time; nothing was charged",
            )),
        },
        Err(Crowded) => Err(fault(uri::OVERLOADED, "too many purchases wait for this seller")),
    }
}

/// At the head of the line: signs the seller's next state and reserves the purchase, in this order, so that a reserved
/// purchase always carries the signature that the seller will be shown.
async fn reserve(
    market: &Arc<Market>,
    request: &BuyRequest,
    plan: &Plan,
    price: Price,
    until: Instant,
) -> Result<(Arc<Purchase>, Price), WampError> {
    let price = hold(market, request, &plan.offer, price, until).await?;
    match try_reserve(market, request, plan, &price).await {
        Ok(purchase) => Ok((purchase, price)),
        Err(error) => {
            put_back(market, request, price);
            Err(error)
        }
    }
}

/// Uses the session's quote up, or prices afresh if it ran out while waiting.
pub(super) async fn hold(
    market: &Arc<Market>,
    request: &BuyRequest,
    offer: &Offer,
    mut price: Price,
    until: Instant,
) -> Result<Price, WampError> {
    let take = |price: &Price| {
        market
            .quotes
            .take(request.session, &offer.key, &price.quote, market.now())
    };
    if price.promised && !take(&price) {
        let voucher = price.voucher.take();
        price = self::price(market, request, offer, until).await?;
        price.voucher = voucher;
        price.promised = price.promised && take(&price);
    }
    Ok(price)
}

/// Gives the quote of a purchase back that was refused untouched.
pub(super) fn put_back(market: &Market, request: &BuyRequest, price: Price) {
    if price.promised {
        market
            .quotes
            .put_back(request.session, request.identity.key, price.quote);
    }
}

async fn try_reserve(
    market: &Arc<Market>,
    request: &BuyRequest,
    plan: &Plan,
    price: &Price,
) -> Result<Arc<Purchase>, WampError> {
    let paying = market
        .read(|ledger| ledger.channel(&plan.paying.id))?
        .filter(is_open)
        .ok_or_else(unpayable)?;
    let mut reserve = assemble(market, request, plan, &paying, price)?;
    let digest = market.state_digest(paying.id, reserve.paying_seq, reserve.paying_balance);
    let signer = Arc::clone(&market.signer);
    reserve.s2 = market.workers.run_bought(move || signer.sign(&digest)).await?;
    match market.submit(Command::Reserve(Box::new(reserve))).await? {
        Outcome::Reserved(purchase) => {
            tracing::Span::current().record("purchase", tracing::field::display(purchase.id));
            Ok(Arc::new(*purchase))
        }
        // Nobody else carries out this channel's purchases, so this is one that an earlier process posted.
        Outcome::Replayed(_) => Err(fault(
            uri::OUT_OF_ORDER,
            "this purchase was posted before; ask again",
        )),
        other => Err(unexpected(&other)),
    }
}
