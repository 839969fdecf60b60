//! `get_config(include_eula_text=false)`: where signatures are valid, and who is who.

use super::Reply;
use crate::market::Market;
use crate::wire::{Arguments, bytes, dict, int, opt, reply, text};
use bourse_chain::checksum;
use bourse_wamp::{Dict, Invocation, Value};
use std::sync::Arc;

pub(super) async fn get_config(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let mut arguments = Arguments::of(&mut invocation, &["include_eula_text"])?;
    let licence = match arguments.or("include_eula_text", false)? {
        false => None,
        true => {
            let desk = Arc::clone(&market);
            market
                .workers
                .run(move || desk.licence.text(&desk.content))
                .await?
        }
    };
    let network = &market.network;
    let address = |address| text(checksum(address));
    let contracts = network.contracts.map(|contracts| {
        [
            ("xbrtoken", contracts.token),
            ("xbrnetwork", contracts.network),
            ("xbrcatalog", contracts.catalog),
            ("xbrmarket", contracts.market),
            ("xbrchannel", contracts.channel),
        ]
        .into_iter()
        .map(|(name, contract)| (name.to_owned(), address(contract)))
        .collect::<Dict>()
    });
    let eula = dict([
        ("url", opt(market.licence.url(), text)),
        ("hash", opt(network.eula_hash.as_deref(), text)),
        ("text", opt(licence, text)),
    ]);
    Ok(reply(Value::Map(dict([
        ("now", int(market.now().0)),
        ("chain", int(network.network_id)),
        ("verifying_chain_id", int(network.domain.chain_id)),
        (
            "verifying_contract_adr",
            address(network.domain.verifying_contract),
        ),
        ("contracts", opt(contracts, Value::Map)),
        ("eula", Value::Map(eula)),
        ("coin", opt(network.coin, address)),
        ("owner", address(network.owner)),
        (
            "market",
            text(uuid::Uuid::from_bytes(network.market.0).to_string()),
        ),
        ("marketmaker", address(network.marketmaker)),
        (
            "max_unsettled",
            opt(market.terms.max_unsettled, |most| bytes(most.to_be_bytes())),
        ),
    ]))))
}
