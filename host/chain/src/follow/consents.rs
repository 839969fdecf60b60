//! Which consents on the chain are their members'.
//!
//! XBRMarket has a function, `_setConsent`, that was meant for itself and is open to everybody: it sets a consent in any
//! member's name and logs it as any other. Only what a transaction calls tells them apart: `setConsent` takes the sender
//! for the member, `setConsentFor` checks the member's signature. So that transaction is looked up, and what came about in
//! any other way is passed over; so is what a contract called in between, for no answer of a node shows that.

use crate::address::from_alloy;
use crate::contracts::abi::market::{ConsentSet, setConsentCall, setConsentForCall};
use crate::node::{Node, NodeError, RawLog, SentTransaction};
use crate::settlement::Contracts;
use alloy_primitives::B256;
use alloy_sol_types::{SolCall, SolEvent};
use bourse_market::Address;
use std::collections::{HashMap, HashSet};
use tokio::task::JoinSet;

/// Questions to the node at a time.
const AT_A_TIME: usize = 4;

/// What transactions that logged consents were found to be, of the blocks that are being read: where a node breaks off, what it
/// said so far is not asked for again.
#[derive(Debug, Clone, Default)]
pub(super) struct Proofs(HashMap<Place, bool>);

impl Proofs {
    /// The same entries without the consents that nobody proved.
    pub(super) async fn keep_those_of_members(
        &mut self,
        node: &Node,
        contracts: &Contracts,
        mut logs: Vec<RawLog>,
    ) -> Result<Vec<RawLog>, NodeError> {
        let mut asked = HashSet::new();
        for log in logs.iter().filter(|log| is_consent(contracts, log)) {
            let nowhere = || {
                broken(
                    node,
                    "a consent does not say which transaction logged it".to_owned(),
                )
            };
            asked.insert(place(log).ok_or_else(nowhere)?);
        }
        self.0.retain(|place, _| asked.contains(place));
        asked.retain(|place| !self.0.contains_key(place));
        let asked: Vec<Place> = asked.into_iter().collect();
        for some in asked.chunks(AT_A_TIME) {
            self.ask(node, contracts.market, some).await?;
        }
        let before = logs.len();
        let proven = |log: &RawLog| place(log).and_then(|place| self.0.get(&place)) == Some(&true);
        logs.retain(|log| !is_consent(contracts, log) || proven(log));
        if logs.len() < before {
            let count = before - logs.len();
            tracing::warn!(
                count,
                "passed over consents on the chain that their members did not give there themselves"
            );
        }
        Ok(logs)
    }

    async fn ask(&mut self, node: &Node, market: Address, places: &[Place]) -> Result<(), NodeError> {
        let mut answers = JoinSet::new();
        for place in places {
            let (node, place) = (node.clone(), *place);
            answers.spawn(async move { (place, is_members(&node, market, place).await) });
        }
        let mut result = Ok(());
        while let Some(answer) = answers.join_next().await {
            match answer {
                Ok((place, Ok(members))) => drop(self.0.insert(place, members)),
                Ok((_, Err(error))) => result = Err(error),
                Err(error) => result = Err(broken(node, error.to_string())),
            }
        }
        result
    }
}

/// A block, the place of a transaction in it, and its hash.
type Place = (B256, u64, B256);

fn place(log: &RawLog) -> Option<Place> {
    Some((
        log.block_hash?,
        log.transaction_index?.to::<u64>(),
        log.transaction_hash?,
    ))
}

fn is_consent(contracts: &Contracts, log: &RawLog) -> bool {
    from_alloy(log.address) == contracts.market && log.topics.first() == Some(&ConsentSet::SIGNATURE_HASH)
}

async fn is_members(node: &Node, market: Address, (block, index, hash): Place) -> Result<bool, NodeError> {
    match node.transaction_in(block, index).await? {
        Some(sent) if sent.hash == hash => Ok(proves(&sent, market)),
        _ => Err(broken(
            node,
            format!(
                "there is no transaction {hash} at place {index} of block {block}, and yet it logged a consent"
            ),
        )),
    }
}

/// Whether the transaction calls a function that sees to it that the member itself consents.
fn proves(sent: &SentTransaction, market: Address) -> bool {
    let selector = sent.input.first_chunk();
    let checks = [setConsentCall::SELECTOR, setConsentForCall::SELECTOR];
    sent.to.map(from_alloy) == Some(market) && selector.is_some_and(|selector| checks.contains(selector))
}

fn broken(node: &Node, reason: String) -> NodeError {
    NodeError::Nonsense {
        node: node.name().to_owned(),
        method: "eth_getTransactionByBlockHashAndIndex".into(),
        reason,
    }
}
