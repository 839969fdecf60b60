//! The procedures of the market maker, one file each: parse, decide, spell the reply.
//!
//! A handler owns its arguments' names and its reply; what several share lives in the rooms it calls.

mod authenticate;
mod buy_key;
mod close_channel;
mod dev_fund;
mod find_consents;
mod get_balance;
mod get_catalogs_by_owner;
mod get_channel;
mod get_channels;
mod get_config;
mod get_consent;
mod get_gas_price;
mod get_offer;
mod get_quote;
mod get_status;
mod get_transaction_receipt;
mod logout;
mod open_channel;
mod pages;
mod place_offer;
mod query_offers;
mod renew_voucher;
mod revoke_offer;
mod set_consent;
mod status;

use crate::access::{self, Admission, Caller, Row};
use crate::authenticator::settle;
use crate::market::Market;
use crate::wire::{fault, uri};
use bourse_market::Address;
use bourse_wamp::{CallError, CallResult, Invocation, Session, WampError};
use futures_util::future::{BoxFuture, FutureExt};
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument, Span};

/// What a procedure answers.
pub(crate) type Reply = Result<CallResult, WampError>;

type Handler = fn(Arc<Market>, Invocation) -> BoxFuture<'static, Reply>;

macro_rules! table {
    ($($uri:literal => $handler:path),* $(,)?) => {
        /// Every procedure with its URI.
        const PROCEDURES: &[(&str, Handler)] =
            &[$(($uri, |market, invocation| Box::pin($handler(market, invocation)))),*];
    };
}

table! {
    "xbr.marketmaker.status" => status::status,
    "xbr.marketmaker.get_status" => get_status::get_status,
    "xbr.marketmaker.get_config" => get_config::get_config,
    "xbr.marketmaker.get_gas_price" => get_gas_price::get_gas_price,
    "xbr.marketmaker.get_transaction_receipt" => get_transaction_receipt::get_transaction_receipt,
    "xbr.marketmaker.place_offer" => place_offer::place_offer,
    "xbr.marketmaker.get_offer" => get_offer::get_offer,
    "xbr.marketmaker.query_offers" => query_offers::query_offers,
    "xbr.marketmaker.revoke_offer" => revoke_offer::revoke_offer,
    "xbr.marketmaker.get_quote" => get_quote::get_quote,
    "xbr.marketmaker.buy_key" => buy_key::buy_key,
    "xbr.marketmaker.open_channel" => open_channel::open_channel,
    "xbr.marketmaker.close_channel" => close_channel::close_channel,
    "xbr.marketmaker.get_payment_channel" => get_channel::get_payment_channel,
    "xbr.marketmaker.get_paying_channel" => get_channel::get_paying_channel,
    "xbr.marketmaker.get_active_payment_channel" => get_channel::get_active_payment_channel,
    "xbr.marketmaker.get_active_paying_channel" => get_channel::get_active_paying_channel,
    "xbr.marketmaker.get_payment_channel_balance" => get_balance::get_payment_channel_balance,
    "xbr.marketmaker.get_paying_channel_balance" => get_balance::get_paying_channel_balance,
    "xbr.marketmaker.get_channels_by_delegate" => get_channels::get_channels_by_delegate,
    "xbr.marketmaker.get_channels_by_actor" => get_channels::get_channels_by_actor,
    "xbr.marketmaker.set_consent" => set_consent::set_consent,
    "xbr.marketmaker.get_consent" => get_consent::get_consent,
    "xbr.marketmaker.find_consents" => find_consents::find_consents,
    "bourse.market.renew_voucher" => renew_voucher::renew_voucher,
    "xbr.marketmaker.get_catalogs_by_owner" => get_catalogs_by_owner::get_catalogs_by_owner,
    "xbr.marketmaker.authenticator.authenticate" => authenticate::authenticate,
    "xbr.marketmaker.authenticator.logout" => logout::logout,
}

/// The faucet, where there is one.
const FAUCET: (&str, Handler) = ("bourse.dev.fund", |market, invocation| {
    Box::pin(dev_fund::dev_fund(market, invocation))
});

/// Those whose calls begin on a worker, for most of them need one.
const COMPUTED: &[&str] = &["xbr.marketmaker.get_quote"];

/// Registers every procedure on the market maker's session.
///
/// # Errors
///
/// The first that the router does not take, and why.
pub(crate) async fn register_all(
    market: &Arc<Market>,
    session: &Session,
) -> Result<(), (&'static str, CallError)> {
    let faucet = market.terms.faucet.then_some(&FAUCET);
    for (procedure, handler) in PROCEDURES.iter().chain(faucet) {
        // The market holds the session; were the session to hold the market, neither would ever go.
        let figures = market.figures.procedure(procedure);
        let reception = COMPUTED.contains(procedure).then(|| market.workers.reception());
        let market = Arc::downgrade(market);
        let serve = move |invocation: Invocation| {
            let (market, figures) = (market.upgrade(), figures.clone());
            let (began, span) = (Instant::now(), span(procedure, &invocation));
            let serving = async move {
                let market = market.ok_or_else(|| fault(uri::NOT_READY, "the market has stopped"))?;
                if let Some(caller) = invocation.caller {
                    market.seen(caller);
                }
                let (desk, caller) = (Arc::clone(&market), invocation.caller);
                let reply = admitted(market, procedure, *handler, invocation).await;
                let error = reply.as_ref().err().map(|error| error.uri.as_str());
                figures.answered(error, began.elapsed());
                if let Err(error) = &reply {
                    tracing::debug!(error = error.uri, "refused");
                    Span::current().record("error", error.uri.as_str());
                    desk.feed.refused(procedure, error, caller, desk.now());
                }
                reply
            };
            serving.instrument(span)
        };
        let registering = match reception {
            Some(reception) => session.register_at(procedure, reception, serve).boxed(),
            None => session.register(procedure, serve).boxed(),
        };
        registering.await.map_err(|error| (*procedure, error))?;
    }
    Ok(())
}

/// What all lines about one call have in common. What it turns out to be about is recorded on the way: its key, the decision
/// behind its quote, its purchase; at its end the error it is refused with. Never what was signed.
fn span(procedure: &'static str, invocation: &Invocation) -> Span {
    tracing::info_span!(
        "call",
        procedure,
        session = invocation.caller,
        key = Empty,
        channel = Empty,
        decision = Empty,
        purchase = Empty,
        error = Empty,
    )
}

/// Answers one call as the market maker's session would, without a router.
pub(crate) async fn answer(market: &Arc<Market>, invocation: Invocation) -> Reply {
    let faucet = market.terms.faucet.then_some(&FAUCET);
    let known = PROCEDURES
        .iter()
        .chain(faucet)
        .find(|(procedure, _)| *procedure == invocation.procedure);
    match known {
        Some((procedure, handler)) => admitted(Arc::clone(market), procedure, *handler, invocation).await,
        None => Err(fault(uri::NO_SUCH_PROCEDURE, invocation.procedure)),
    }
}

/// Asks the table whether the caller may, then the procedure. What is not in the table is for nobody.
async fn admitted(
    market: Arc<Market>,
    procedure: &'static str,
    handler: Handler,
    invocation: Invocation,
) -> Reply {
    let refused = || fault(uri::NOT_AUTHORIZED, format!("{procedure} is not for this caller"));
    let row = Row::of(procedure).ok_or_else(refused)?;
    let logged_in = invocation
        .caller
        .filter(|_| !market.doors.is_own() && access::claimed(&invocation).is_some());
    if let Some(session) = logged_in {
        look_at_login(&market, session).await;
    }
    match access::admit(&market, row, &invocation)? {
        Admission::Granted => handler(market, invocation).await,
        Admission::ForItsError => match handler(market, invocation).await {
            Ok(_) => Err(refused()),
            Err(error) => Err(error),
        },
    }
}

/// At another's router the first call of whoever is logged in tells that it proved what it was asked for: only then is it found
/// out by what it is in. Until it is, it calls as anybody.
async fn look_at_login(market: &Arc<Market>, session: u64) {
    if let Err(error) = settle(market, session).await {
        tracing::debug!(session, %error, "it is not known by what a session is in");
    }
}

/// Works only for as long as the caller waits. The router counts a call no longer once it is cancelled, but the market
/// works on so many at a time: were the cancelled ones to stay, one session could fill it with calls that wait for
/// something slow. For what only reads or waits; what writes is done to its end.
async fn while_wanted<T>(
    cancelled: CancellationToken,
    work: impl Future<Output = Result<T, WampError>>,
) -> Result<T, WampError> {
    tokio::select! {
        biased;
        answer = work => answer,
        () = cancelled.cancelled() => Err(given_up()),
    }
}

/// For what waited for a worker ([`Workers::take_over`](crate::workers::Workers::take_over)), and did not learn meanwhile that
/// its caller gave it up.
fn wanted(invocation: &Invocation) -> Result<(), WampError> {
    match invocation.cancelled.is_cancelled() {
        true => Err(given_up()),
        false => Ok(()),
    }
}

fn given_up() -> WampError {
    fault(uri::CANCELED, "the caller gave the call up")
}

/// The calling session; the router always discloses it.
fn caller(invocation: &Invocation) -> Result<u64, WampError> {
    invocation
        .caller
        .ok_or_else(|| fault(uri::NOT_AUTHORIZED, "the router does not disclose who calls"))
}

/// The member that the caller is logged in as, if its login says that it is one.
fn member(market: &Market, invocation: &Invocation) -> Result<Option<Address>, WampError> {
    Ok(Caller::of(market, invocation)?.member)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_access_has_a_row_for_each_procedure_and_no_others() {
        let mut served: Vec<_> = PROCEDURES.iter().chain([&FAUCET]).map(|(uri, _)| *uri).collect();
        let mut listed: Vec<_> = access::TABLE.iter().map(|row| row.procedure).collect();
        served.sort_unstable();
        listed.sort_unstable();
        assert_eq!(served, listed);
        assert!(COMPUTED.iter().all(|procedure| served.contains(procedure)));
    }
}
