//! `get_quote(key_id)`: a price, and how long it holds for this session.

use super::{Reply, caller, wanted, while_wanted};
use crate::console::Quoted;
use crate::market::Market;
use crate::policies::{Inquiry, Step};
use crate::wire::{Arguments, bytes, dict, int, of_refusal, reply, text};
use bourse_market::{KeyId, Price, PriceSource, Refusal, View};
use bourse_policy::Action;
use bourse_wamp::{Invocation, Value};
use std::sync::Arc;
use tokio::time::Instant;

pub(super) async fn get_quote(market: Arc<Market>, invocation: Invocation) -> Reply {
    while_wanted(invocation.cancelled.clone(), quote(market, invocation)).await
}

async fn quote(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let session = caller(&invocation)?;
    let mut arguments = Arguments::of(&mut invocation, &["key_id"])?;
    let key: KeyId = arguments.required("key_id")?;

    let span = tracing::Span::current();
    span.record("key", tracing::field::display(key));

    let now = market.now();
    let offer = market
        .read(|ledger| ledger.offer_by_key(&key))?
        .ok_or_else(|| of_refusal(&Refusal::OfferUnknown { key }))?;
    let buyer = market.known_buyer(session);
    let inquiry = Inquiry {
        action: Action::Quote,
        buyer,
        now,
    };
    let (step, offer) = if market.policies.have_a_say(&offer) {
        // A policy may take long. It runs on a worker, and so does what comes after it: nobody is woken for the rest.
        market.workers.take_over().await;
        wanted(&invocation)?;
        let policies = Arc::clone(&market.policies);
        market
            .workers
            .run(move || policies.quote(&offer, &inquiry).map(|step| (step, offer)))
            .await??
    } else {
        (market.policies.quote(&offer, &inquiry)?, offer)
    };
    let quote = match step {
        Step::Quoted(quote) => quote,
        Step::AskSeller(bounds) => {
            let until = Instant::now() + market.terms.quote_deadline;
            Arc::new(market.ask_seller(&offer, buyer, bounds, until).await?)
        }
    };
    market.figures.quoted(&quote.source);
    market
        .demand
        .lock()
        .record_quote(now, key, offer.api, offer.seller, buyer);

    market.feed.quoted(Quoted::new(&offer, buyer, &quote, now));

    // A fixed price holds as long as its offer, and 0 stands for no end; any other as long as the quote.
    let expires = if quote.source == PriceSource::Fixed {
        offer.expires.map_or(0, |expires| expires.0)
    } else {
        quote.until.0
    };
    let mut answer = dict([
        ("timestamp", int(now.0)),
        ("key", bytes(key.0)),
        ("price", bytes(quote.price.to_be_bytes())),
        ("expires", int(expires)),
        ("dynamic", Value::Bool(offer.price == Price::Dynamic)),
    ]);
    if let Some(decision) = &quote.decision {
        span.record("decision", tracing::field::display(decision.id));
        answer.insert("policy".to_owned(), text(&decision.header.policy));
        answer.insert("revision".to_owned(), text(decision.header.revision.to_string()));
    }
    market.quotes.remember(session, key, quote);
    Ok(reply(Value::Map(answer)))
}
