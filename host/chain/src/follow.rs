//! Following the chain: which blocks come next for the ledger, with what happened in them, and which were dropped.
//!
//! What lives here: the questions to the node and the judgement of its answers. A block counts only as deep below the
//! newest as the market was told to wait; should the chain drop even such blocks, the ledger is led back to the last one
//! that it still has. A step is made by applying it to the ledger and asking for the next: nothing is remembered here
//! that a restart would miss.
//!
//! What never does: applying, waiting, and believing an event of another contract (W-08), or a consent that its member did
//! not give ([`consents`]).

mod consents;

use crate::address::from_alloy;
use crate::contracts::{Foreign, decode};
use crate::node::{Header, Node, NodeError, RawLog};
use crate::settlement::{Block, Contracts};
use bourse_market::chain::BlockRef;
use bourse_market::chain::{Advance, Logged, Mined, Unwind};
use bourse_market::{Address, BlockHash, BlockNumber, Nanos, TransactionHash};
use consents::Proofs;
use core::time::Duration;

/// Blocks asked for at a time at most. Fewer where a node refuses, or answers with more than it may.
const MAX_RANGE: u64 = 8192;
/// Steps at a range that a node takes before a wider one is tried: one that refused it once will do so again.
const STEADY: u32 = 16;
/// Events that one step may bring, but for those of a single block: a step is one write.
const MAX_EVENTS: usize = 512;
/// Blocks that the ledger can be led back by, beyond those it waits for.
pub const KEPT_BLOCKS: u64 = 128;

/// How a chain is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowOptions {
    /// The contracts whose events count.
    pub contracts: Contracts,
    /// Blocks that must lie above one before it counts.
    pub depth: u64,
    /// The first block that may hold an event: that of the contracts' deployment, or any before it.
    pub from_block: u64,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Go on.
    Advance(Box<Advance>),
    /// Go back: the chain dropped blocks that counted.
    Unwind(Unwind),
    /// Ask again at once: the chain moved between two questions, or fewer blocks are to be asked for.
    Again,
    /// Nothing, until there are more blocks.
    Wait,
}

/// Why the next step is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// The node gave no answer.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The node knows less of the chain than the ledger.
    #[error("the node {node} is at block {head}, and the ledger followed the chain to {stands} already")]
    Behind {
        /// Which.
        node: String,
        /// Its newest block.
        head: u64,
        /// Where the ledger stands.
        stands: BlockRef,
    },
    /// No block that the ledger remembers is part of the chain that the node shows.
    #[error(
        "the node {node} shows another chain: it has none of the blocks {oldest} to {stands} that the ledger followed. \
         Point the market to a node of its own chain; if the chain itself was rewound that far, restore a backup from \
         before it"
    )]
    Diverged {
        /// Which.
        node: String,
        /// The oldest block on record.
        oldest: BlockNumber,
        /// Where the ledger stands.
        stands: BlockRef,
    },
    /// Another node does not say the same.
    #[error("{verifier} does not confirm what {node} says: {what}. One of them lies or lags")]
    Disputed {
        /// Who says it.
        node: String,
        /// Who does not.
        verifier: String,
        /// What.
        what: String,
    },
}

impl FollowError {
    /// How long a node wants to be left alone, if that is what it says.
    pub fn respite(&self) -> Option<Duration> {
        match self {
            Self::Node(NodeError::Busy { retry_after, .. }) => *retry_after,
            _ => None,
        }
    }
}

/// Follows one chain through one node.
#[derive(Debug, Clone)]
pub struct Follower {
    node: Node,
    /// Who must say the same.
    verifiers: Vec<Node>,
    options: FollowOptions,
    addresses: Vec<Address>,
    /// Blocks asked for at a time.
    range: u64,
    /// Steps before more are asked for.
    steady: u32,
    /// The newest block when all that counts was followed, and the block that a ledger stands at which has applied it.
    done: Option<(BlockHash, Option<BlockRef>)>,
    head: Option<Block>,
    /// Whose word the consents of the blocks being read are.
    proofs: Proofs,
}

impl Follower {
    /// Follows `node`. Each of `verifiers` must have the same blocks and the same events of channels.
    pub fn new(node: Node, verifiers: Vec<Node>, options: FollowOptions) -> Self {
        // The token logs a great deal, by anybody's doing, and nothing that is read here.
        let addresses = options.contracts.logging().to_vec();
        Self {
            node,
            verifiers,
            options,
            addresses,
            range: MAX_RANGE,
            steady: 0,
            done: None,
            head: None,
            proofs: Proofs::default(),
        }
    }

    /// The newest block that the node has shown, and that went with what it said of the others.
    pub fn head(&self) -> Option<Block> {
        self.head
    }

    /// What the node would pay for a unit of gas, in wei.
    ///
    /// # Errors
    ///
    /// [`NodeError`], if there is no answer to use.
    pub async fn gas_price(&self) -> Result<u128, NodeError> {
        self.node.gas_price().await
    }

    /// What to do next, `kept` being the blocks that the ledger can go back to, the last first, and `at` the time.
    ///
    /// # Errors
    ///
    /// [`FollowError`]. Nothing is lost by it: the same question may be asked again.
    pub async fn next(&mut self, kept: &[BlockRef], at: Nanos) -> Result<Step, FollowError> {
        let latest = self.node.latest().await?;
        if self.done == Some((BlockHash(latest.hash.0), kept.first().copied())) {
            // It is the block that was looked at before: whatever else is said of it now is not looked at.
            return Ok(Step::Wait);
        }
        let step = self.after(&latest, kept, at).await?;
        // Only now: what a node says of its head is worth no more than the rest of what it says.
        self.head = Some(Block::from(&latest));
        Ok(step)
    }

    async fn after(&mut self, latest: &Header, kept: &[BlockRef], at: Nanos) -> Result<Step, FollowError> {
        let (head, hash) = (latest.number.to::<u64>(), BlockHash(latest.hash.0));
        let stands = kept.first().copied();
        if let Some(stands) = stands {
            if head < stands.number.0 {
                return Err(FollowError::Behind {
                    node: self.node.name().to_owned(),
                    head,
                    stands,
                });
            }
            if let Some(back) = self.look_back(stands, kept, at).await? {
                return Ok(back);
            }
        }
        let from = stands.map_or(self.options.from_block, |stands| {
            stands.number.0.saturating_add(1)
        });
        let Some(counts) = head
            .checked_sub(self.options.depth)
            .filter(|counts| *counts >= from)
        else {
            self.done = Some((hash, stands));
            return Ok(Step::Wait);
        };
        let step = self.go_on(stands, from, head, at).await?;
        if let Step::Advance(advance) = &step
            && advance.to.number.0 == counts
        {
            // There is no more of it: once this is applied, nothing is to be asked before the next.
            self.done = Some((hash, Some(advance.to)));
        }
        Ok(step)
    }

    /// Whether the block that the ledger stands at is still part of the chain; if not, where to go back to.
    async fn look_back(
        &self,
        stands: BlockRef,
        kept: &[BlockRef],
        at: Nanos,
    ) -> Result<Option<Step>, FollowError> {
        for block in kept {
            let header = self.node.header(block.number.0).await?;
            if header.is_some_and(|header| header.hash.0 == block.hash.0) {
                return Ok((*block != stands).then_some(Step::Unwind(Unwind {
                    from: stands,
                    to: *block,
                    at,
                })));
            }
        }
        Err(FollowError::Diverged {
            node: self.node.name().to_owned(),
            oldest: kept.last().map_or(stands.number, |block| block.number),
            stands,
        })
    }

    /// The blocks from `from` on, `head` being the newest.
    async fn go_on(
        &mut self,
        stands: Option<BlockRef>,
        from: u64,
        head: u64,
        at: Nanos,
    ) -> Result<Step, FollowError> {
        let counts = head.saturating_sub(self.options.depth);
        // Half of the way each time, so that close to the end there is a block on record every few.
        let half = counts.saturating_sub(from).div_ceil(2);
        let (to, logs) = loop {
            let to = from.saturating_add(half.min(self.range.saturating_sub(1)));
            match self.node.logs(from, to, &self.addresses).await {
                Ok(logs) if logs.len() <= MAX_EVENTS || to == from => break (to, logs),
                Ok(_) => {}
                Err(NodeError::Refused { .. } | NodeError::Nonsense { .. }) if to > from => {}
                // More in one block than a node hands over at once: a part for each contract.
                Err(NodeError::Refused { .. } | NodeError::Nonsense { .. }) => {
                    break (to, self.logs_by_contract(from).await?);
                }
                // It may take longer for more blocks than it may take at all.
                Err(error @ NodeError::Unreachable { .. }) if to > from => {
                    self.narrow(from, to);
                    return Err(error.into());
                }
                Err(error) => return Err(error.into()),
            }
            self.narrow(from, to);
        };
        // Afterwards, so that a block that was replaced meanwhile is seen to be.
        let last = self.node.header(to).await?.ok_or_else(|| NodeError::Nonsense {
            node: self.node.name().to_owned(),
            method: "eth_getBlockByNumber".into(),
            reason: format!("there is no block {to}, and yet {counts} is deep enough to count"),
        })?;
        for verifier in &self.verifiers {
            match self.confirm(verifier, from, &last, &logs).await {
                Err(FollowError::Node(NodeError::Refused { .. } | NodeError::Nonsense { .. }))
                    if to > from =>
                {
                    self.narrow(from, to);
                    return Ok(Step::Again);
                }
                confirmed => confirmed?,
            }
        }
        let (node, contracts) = (&self.node, &self.options.contracts);
        let logs = self.proofs.keep_those_of_members(node, contracts, logs).await?;
        // The chain may have moved between the questions.
        let Some(events) = self.read(from, &last, logs)? else {
            return Ok(Step::Again);
        };
        if let Some(stands) = stands {
            let still = self.node.header(stands.number.0).await?;
            if still.is_none_or(|still| still.hash.0 != stands.hash.0) {
                return Ok(Step::Again);
            }
        }
        match self.steady.checked_sub(1) {
            Some(steady) => self.steady = steady,
            None => self.range = self.range.saturating_mul(2).min(MAX_RANGE),
        }
        Ok(Step::Advance(Box::new(Advance {
            after: stands,
            to: BlockRef {
                number: BlockNumber(to),
                hash: BlockHash(last.hash.0),
            },
            events,
            head: BlockNumber(head),
            settled_below: BlockNumber(counts.saturating_sub(KEPT_BLOCKS)),
            at,
        })))
    }

    /// Half as many blocks at a time from now on, for the blocks from `from` to `to` were too many.
    fn narrow(&mut self, from: u64, to: u64) {
        self.range = to.saturating_sub(from).div_ceil(2).max(1);
        self.steady = STEADY;
    }

    /// The events in what a node answered, in their order; none if some are not of the blocks asked for.
    fn read(
        &self,
        from: u64,
        last: &Header,
        mut logs: Vec<RawLog>,
    ) -> Result<Option<Vec<Logged>>, FollowError> {
        let to = last.number.to::<u64>();
        let incomplete = |what: &str| NodeError::Nonsense {
            node: self.node.name().to_owned(),
            method: "eth_getLogs".into(),
            reason: format!("an event of the blocks {from} to {to} {what}"),
        };
        logs.sort_by_key(place);
        let mut events = Vec::with_capacity(logs.len());
        let mut before = None;
        for log in logs {
            let (Some((block, index)), Some(hash), Some(transaction)) =
                (place(&log), log.block_hash, log.transaction_hash)
            else {
                return Err(incomplete("does not say where it stands").into());
            };
            if !(from..=to).contains(&block) {
                return Err(incomplete(&format!("is of block {block}")).into());
            }
            if before.replace((block, index)) == Some((block, index)) {
                return Err(incomplete(&format!("comes twice: number {index} of block {block}")).into());
            }
            if log.removed || (block == to && hash != last.hash) {
                return Ok(None);
            }
            match decode(&self.options.contracts, &log) {
                Ok(event) => {
                    let mined = Mined {
                        block: BlockNumber(block),
                        transaction: TransactionHash(transaction.0),
                    };
                    events.push(Logged { event, mined });
                }
                // Not even asked for: what such a node says otherwise is worth nothing.
                Err(Foreign::Contract(address)) => {
                    return Err(incomplete(&format!("is of {address}, which was not asked about")).into());
                }
                Err(unreadable @ Foreign::Unreadable { .. }) => {
                    tracing::warn!(block, index, %unreadable, "passed over an event that says nothing");
                }
                Err(foreign) => {
                    tracing::debug!(block, index, %foreign, "passed over an entry of the log");
                }
            }
        }
        Ok(Some(events))
    }

    /// The events of one block, asked for contract by contract.
    async fn logs_by_contract(&self, block: u64) -> Result<Vec<RawLog>, NodeError> {
        let mut logs = Vec::new();
        for address in &self.addresses {
            logs.extend(self.node.logs(block, block, &[*address]).await?);
        }
        Ok(logs)
    }

    /// Whether another node has the same block, as deep, and the same events of channels up to it: neither one more, which
    /// would be invented, nor one less, which would be hidden.
    async fn confirm(
        &self,
        verifier: &Node,
        from: u64,
        last: &Header,
        logs: &[RawLog],
    ) -> Result<(), FollowError> {
        let to = last.number.to::<u64>();
        let disputed = |what: String| FollowError::Disputed {
            node: self.node.name().to_owned(),
            verifier: verifier.name().to_owned(),
            what,
        };
        let head = verifier.latest().await?.number.to::<u64>();
        if head < to.saturating_add(self.options.depth) {
            return Err(disputed(format!(
                "block {to} is not as deep there: its newest is {head}"
            )));
        }
        let known = verifier.header(to).await?;
        if known.is_none_or(|known| known.hash != last.hash) {
            return Err(disputed(format!("block {to} is another there")));
        }
        let channel = self.options.contracts.channel;
        let mut theirs = verifier.logs(from, to, &[channel]).await?;
        let mut ours: Vec<&RawLog> = logs
            .iter()
            .filter(|log| from_alloy(log.address) == channel)
            .collect();
        theirs.sort_by_key(place);
        ours.sort_by_key(|log| place(log));
        let same = |(ours, theirs): (&&RawLog, &RawLog)| {
            place(ours) == place(theirs)
                && ours.block_hash == theirs.block_hash
                && ours.transaction_hash == theirs.transaction_hash
                && ours.topics == theirs.topics
                && ours.data == theirs.data
        };
        if ours.len() != theirs.len() || !ours.iter().zip(&theirs).all(same) {
            return Err(disputed(format!(
                "XBRChannel logged {} events in the blocks {from} to {to} there, {} here, and they are not the same",
                theirs.len(),
                ours.len()
            )));
        }
        Ok(())
    }
}

/// Where an entry of the log stands.
fn place(log: &RawLog) -> Option<(u64, u64)> {
    Some((log.block_number?.to::<u64>(), log.log_index?.to::<u64>()))
}
