//! `get_config(include_eula_text=false)`: where signatures are valid, and who is who.

use super::Reply;
use crate::market::Market;
use crate::wire::{Arguments, int, opt, reply, text};
use bourse_chain::checksum;
use bourse_wamp::{Dict, Invocation, Value};
use std::sync::Arc;

pub(super) async fn get_config(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let mut arguments = Arguments::of(&mut invocation, &["include_eula_text"])?;
    // Nothing is accepted without a chain, so there is no text to include.
    let _include: bool = arguments.or("include_eula_text", false)?;
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
    let eula = Dict::from([
        ("url".to_owned(), Value::Null),
        ("hash".to_owned(), opt(network.eula_hash.as_deref(), text)),
        ("text".to_owned(), Value::Null),
    ]);
    Ok(reply(Value::Map(Dict::from([
        ("now".to_owned(), int(market.now().0)),
        ("chain".to_owned(), int(network.network_id)),
        ("verifying_chain_id".to_owned(), int(network.domain.chain_id)),
        (
            "verifying_contract_adr".to_owned(),
            address(network.domain.verifying_contract),
        ),
        ("contracts".to_owned(), opt(contracts, Value::Map)),
        ("eula".to_owned(), Value::Map(eula)),
        ("coin".to_owned(), opt(network.coin, address)),
        ("owner".to_owned(), address(network.owner)),
        (
            "market".to_owned(),
            text(uuid::Uuid::from_bytes(network.market.0).to_string()),
        ),
        ("marketmaker".to_owned(), address(network.marketmaker)),
    ]))))
}
