//! Settlement on a chain: channels are opened and paid out by the contracts, and the ledger follows.

use crate::contracts::{Deployment, DeploymentError};
use crate::settlement::{verify_close, verify_consent, verify_contract_consent, verify_open};
use crate::{
    Block, CloseChannel, DelegateBinding, Domain, Network, OpenChannel, SetConsent, Settlement,
    SettlementError, SignedClose, SignedOpen, recover,
};
use alloy_primitives::{U256, U512};
use bourse_market::registry::ConsentRequest;
use bourse_market::{
    Address, Amount, BlockNumber, ChannelId, Command, Genesis, Nanos, OFF_CHAIN_CLOSE_AT, Signature,
};
use core::ops::RangeInclusive;
use parking_lot::RwLock;
use std::time::{Duration, Instant};

/// Blocks for which a signed state may be shown to the contract, from the one it names on.
pub const PRESIGNED_BLOCKS: u64 = 1440;
/// How old the block that a message for the contract names may be when it comes to us: what is left of [`PRESIGNED_BLOCKS`] is
/// for the transaction to be mined in.
pub const SIGNING_WINDOW: u64 = 1000;

/// How old the block of a settlement voucher may be when it comes to us.
const VOUCHER_WINDOW: u64 = 300;

/// When no node was heard for so long, nobody knows any more which block is the newest: on most chains it is less than the blocks
/// for which a settlement voucher may wait to be used.
const STALE_AFTER: Duration = Duration::from_secs(300);
/// A chain has a new block more often than this: a node that shows the same one for longer stands still.
const NO_BLOCK_AFTER: Duration = Duration::from_secs(900);

/// When something was last heard of the chain.
#[derive(Debug, Clone, Copy)]
struct Heard {
    /// When a node answered all that it was asked; none before the first time.
    at: Option<Instant>,
    /// When the newest block became another.
    moved: Instant,
}

/// A market whose money is real: on the deployment it was looked up in.
#[derive(Debug)]
pub struct EthereumSettlement {
    network: Network,
    deployment: RwLock<Deployment>,
    depth: u64,
    head: RwLock<Block>,
    heard: RwLock<Heard>,
}

impl EthereumSettlement {
    /// The market of `deployment`, of market maker `marketmaker`; blocks count when `depth` others lie above them, and
    /// `head` is the newest.
    pub fn new(deployment: Deployment, marketmaker: Address, depth: u64, head: Block) -> Self {
        let network = Network {
            domain: Domain {
                chain_id: deployment.chain_id,
                verifying_contract: deployment.contracts.network,
            },
            network_id: deployment.network_id,
            contracts: Some(deployment.contracts),
            coin: Some(deployment.coin),
            eula_hash: Some(deployment.eula_hash.clone()),
            market: deployment.market,
            owner: deployment.owner,
            marketmaker,
        };
        Self {
            network,
            deployment: RwLock::new(deployment),
            depth,
            head: RwLock::new(head),
            heard: RwLock::new(Heard {
                at: Some(Instant::now()),
                moved: Instant::now(),
            }),
        }
    }

    /// The blocks at which a message may have been signed that is to go to the contract, and the first and last of them.
    fn window(&self) -> (RangeInclusive<Amount>, u64, u64) {
        let head = self.head_block().number;
        let earliest = head.saturating_sub(SIGNING_WINDOW).max(1);
        let blocks = Amount::from_units(earliest.into())..=Amount::from_units(head.into());
        (blocks, earliest, head)
    }

    /// What the contracts said when they were asked last.
    pub fn deployment(&self) -> Deployment {
        self.deployment.read().clone()
    }

    /// Takes over what the contracts say now, where the start went by what they had said before.
    ///
    /// # Errors
    ///
    /// [`DeploymentError::Another`] if it is not the same market on the same chain; nothing is taken over then.
    pub fn confirm(&self, found: Deployment) -> Result<(), DeploymentError> {
        let mut known = self.deployment.write();
        known.must_match(&found)?;
        *known = found;
        Ok(())
    }

    /// A node was asked all that there is to ask, and answered: the newest block that is known is the newest, or nearly.
    pub fn hear(&self) {
        self.heard.write().at = Some(Instant::now());
    }

    /// No node was heard yet: the newest block that is known may lie far behind the chain's.
    pub fn unheard(&self) {
        self.heard.write().at = None;
    }

    /// Whether nobody knows by now which block is the newest.
    fn is_stale(&self) -> bool {
        let heard = *self.heard.read();
        heard.at.is_none_or(|at| at.elapsed() > STALE_AFTER) || heard.moved.elapsed() > NO_BLOCK_AFTER
    }

    /// Tells which block is the newest now.
    pub fn set_head(&self, head: Block) {
        let before = core::mem::replace(&mut *self.head.write(), head);
        if before != head {
            self.heard.write().moved = Instant::now();
        }
    }
}

impl Settlement for EthereumSettlement {
    fn domain(&self) -> Domain {
        self.network.domain
    }

    fn head_block(&self) -> Block {
        *self.head.read()
    }

    fn network(&self) -> Network {
        self.network.clone()
    }

    fn genesis(&self, at: Nanos) -> Command {
        Command::Genesis(Genesis {
            market: self.network.market,
            marketmaker: self.network.marketmaker,
            owner: self.network.owner,
            float: Amount::ZERO,
            local: false,
            at,
        })
    }

    /// States exchanged off the chain name block 1. While the contract would still take one, whoever holds both
    /// signatures of an old state could settle by it.
    fn check_trading(&self) -> Result<(), SettlementError> {
        let head = self.head_block().number;
        let needs = (1 + PRESIGNED_BLOCKS).saturating_add(self.depth);
        match head > needs {
            true => Ok(()),
            false => Err(SettlementError::YoungChain { head, needs }),
        }
    }

    /// Signed at a recent block, so that the contract still takes it when its transaction is mined.
    fn open_channel(&self, request: &OpenChannel, at: Nanos) -> Result<SignedOpen, SettlementError> {
        let (window, earliest, head) = self.window();
        if !window.contains(&request.opened_at) {
            return Err(SettlementError::OpenAt {
                got: request.opened_at,
                earliest,
                head,
            });
        }
        let binding = DelegateBinding {
            market: request.market,
            actor: request.member,
            delegate: request.delegate,
        };
        let bound_by = match &request.delegate_signature {
            None => None,
            Some(signature) => Some(recover(&binding.digest(&self.network.domain), signature)?),
        };
        let request = verify_open(&self.network, request, at)?;
        Ok(SignedOpen { request, bound_by })
    }

    /// A final state must name a recent block, else the contract would not take it; and one that is not final is never
    /// signed over a recent block: with it anybody could lock what is in the channel for good. A client that knows only the
    /// block of states that are exchanged asks to close by it: that ends the channel, and settles nothing yet.
    fn close_channel(&self, request: &CloseChannel) -> Result<SignedClose, SettlementError> {
        let (window, earliest, head) = self.window();
        if request.close_at == OFF_CHAIN_CLOSE_AT && !window.contains(&request.close_at) {
            self.check_trading()?;
        } else if !window.contains(&request.close_at) {
            return Err(SettlementError::CloseAt {
                got: request.close_at,
                earliest,
                head,
            });
        }
        verify_close(&self.network, request)
    }

    /// A voucher is kept until it is 900 blocks old: it must be worth the keeping.
    fn check_voucher(&self, close_at: BlockNumber) -> Result<(), SettlementError> {
        let head = self.head_block().number;
        if self.is_stale() {
            return Err(SettlementError::HeadUnknown { head });
        }
        let earliest = head.saturating_sub(VOUCHER_WINDOW).max(2);
        match (earliest..=head).contains(&close_at.0) {
            true => Ok(()),
            false => Err(SettlementError::VoucherAt {
                got: close_at.0,
                earliest,
                head,
            }),
        }
    }

    /// Given at a block that there is, for what is signed at a later block goes before, whoever says it. A withdrawal is taken
    /// in any case: the newest block may not be known.
    fn set_consent(&self, request: &SetConsent, at: Nanos) -> Result<ConsentRequest, SettlementError> {
        let head = BlockNumber(self.head_block().number);
        if request.granted && request.signed_at > head {
            return Err(SettlementError::OpenAt {
                got: Amount::from_units(request.signed_at.0.into()),
                earliest: 1,
                head: head.0,
            });
        }
        verify_consent(&self.network, request, head, at)
    }

    fn carry_consent(&self, request: &SetConsent, signature: &Signature) -> Result<Address, SettlementError> {
        let (window, earliest, head) = self.window();
        let got = Amount::from_units(request.signed_at.0.into());
        if !window.contains(&got) {
            return Err(SettlementError::OpenAt { got, earliest, head });
        }
        verify_contract_consent(&self.network, request, signature)
    }

    fn fund(&self, _: Address, _: Amount, _: Nanos) -> Result<Command, SettlementError> {
        Err(SettlementError::NoFaucet)
    }

    /// On the chain, in a transaction of its own.
    fn transaction_of_open(&self, _: ChannelId) -> Option<[u8; 32]> {
        None
    }

    /// On the chain, in a transaction of its own.
    fn transaction_of_close(&self, _: ChannelId) -> Option<[u8; 32]> {
        None
    }

    /// What the contract will keep of what the market maker earns of a price: the fee is a part of the coin's whole supply.
    /// The seller is credited with the rest, rounded down, of which the contract keeps its part once more at the payout.
    fn fee(&self, price: Amount) -> Amount {
        let wide = |amount: Amount| U512::from(U256::from_limbs(*amount.limbs()));
        let (supply, fee) = {
            let deployment = self.deployment.read();
            (wide(deployment.coin_supply), wide(deployment.fee))
        };
        // A supply of zero and a fee above it were refused at the start.
        let Some(credit) = (wide(price) * supply.saturating_sub(fee)).checked_div(supply) else {
            return Amount::ZERO;
        };
        let credit = Amount::from_limbs(credit.saturating_to::<U256>().into_limbs());
        price.checked_sub(credit).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChannelClose, ChannelOpen, Contracts, Signer};
    use bourse_market::{ChannelKind, MarketId, Seq};

    const MARKET: MarketId = MarketId([1; 16]);

    fn settlement(fee: Amount, head: u64) -> EthereumSettlement {
        let address = |byte| Address([byte; 20]);
        let deployment = Deployment {
            contracts: Contracts {
                token: address(1),
                network: address(2),
                catalog: address(3),
                market: address(4),
                channel: address(5),
            },
            chain_id: 1337,
            network_id: 1337,
            eula_hash: "QmEula".to_owned(),
            market: MARKET,
            owner: address(6),
            coin: address(1),
            coin_supply: Amount::from_tokens(1_000_000_000),
            fee,
        };
        let head = Block {
            number: head,
            hash: [0; 32],
            gas_limit: 10_000_000,
        };
        EthereumSettlement::new(deployment, address(7), 20, head)
    }

    #[test]
    fn w_51_no_trade_while_the_contract_would_take_states_that_name_block_1() {
        for (head, trades) in [(0, false), (1441, false), (1461, false), (1462, true)] {
            let result = settlement(Amount::ZERO, head).check_trading();
            assert_eq!(result.is_ok(), trades, "{head}: {result:?}");
        }
    }

    #[test]
    fn a_fee_and_a_sellers_credit_make_the_price_and_the_seller_gets_no_more_than_the_contract_pays() {
        let supply = Amount::from_tokens(1_000_000_000);
        // 5 %.
        let settlement = settlement(Amount::from_tokens(50_000_000), 5000);
        let fee = |units| settlement.fee(Amount::from_units(units));
        assert_eq!(fee(100), Amount::from_units(5));
        assert_eq!(fee(0), Amount::ZERO);
        // Of 1 unit the seller's 0.95 are rounded down to 0; of 21 units its 19.95 to 19.
        assert_eq!(fee(1), Amount::from_units(1));
        assert_eq!(fee(21), Amount::from_units(2));
        assert_eq!(settlement.fee(supply), Amount::from_tokens(50_000_000));
        // Half of all there may be, without an overflow on the way.
        assert!(settlement.fee(Amount::MAX) < Amount::MAX);
        assert_eq!(self::settlement(supply, 5000).fee(supply), supply);
    }

    #[test]
    fn what_the_contracts_say_later_is_taken_over_if_it_is_the_same_market_and_refused_by_name_if_not() {
        let supply = Amount::from_tokens(1_000_000_000);
        let settlement = settlement(Amount::ZERO, 5000);
        let known = settlement.deployment.read().clone();
        let fee = Deployment {
            fee: Amount::from_tokens(50_000_000),
            ..known.clone()
        };
        settlement.confirm(fee).unwrap();
        assert_eq!(settlement.fee(supply), Amount::from_tokens(50_000_000));
        let elsewhere = |change: fn(&mut Deployment)| {
            let mut found = known.clone();
            change(&mut found);
            settlement.confirm(found).unwrap_err().to_string()
        };
        for (error, says) in [
            (
                elsewhere(|found| found.chain_id = 1),
                "the chain's id is 1 now, and was 1337",
            ),
            (
                elsewhere(|found| found.market = MarketId([2; 16])),
                "the market is",
            ),
            (
                elsewhere(|found| found.owner = Address([9; 20])),
                "the market's owner is",
            ),
            (
                elsewhere(|found| found.coin = Address([9; 20])),
                "the market's coin is",
            ),
            (
                elsewhere(|found| found.contracts.channel = Address([9; 20])),
                "XBRChannel is",
            ),
        ] {
            assert!(error.contains(says), "{error}");
        }
        assert_eq!(settlement.fee(supply), Amount::from_tokens(50_000_000));
    }

    #[test]
    fn a_voucher_is_worth_nothing_while_nobody_knows_how_old_its_block_is() {
        let settlement = settlement(Amount::ZERO, 5000);
        let check = || settlement.check_voucher(BlockNumber(4900));
        assert_eq!(check(), Ok(()));
        settlement.unheard();
        assert_eq!(check(), Err(SettlementError::HeadUnknown { head: 5000 }));
        // What is exchanged off the chain is worth what it was: the chain gets no younger.
        assert_eq!(settlement.check_trading(), Ok(()));
        settlement.hear();
        assert_eq!(check(), Ok(()));
    }

    #[test]
    fn a_closing_state_names_a_recent_block_of_this_chain() {
        let settlement = settlement(Amount::ZERO, 5000);
        let signer = Signer::from_bytes(&[9; 32]).unwrap();
        let request = |block: u64| {
            let state = ChannelClose {
                close_at: Amount::from_units(block.into()),
                market: MARKET,
                channel: ChannelId([3; 16]),
                seq: Seq(4),
                balance: Amount::from_tokens(5),
                is_final: true,
            };
            CloseChannel {
                channel: state.channel,
                chain_id: 1337,
                close_at: state.close_at,
                verifying_contract: Address([2; 20]),
                balance: state.balance,
                seq: state.seq,
                is_final: true,
                signature: signer.sign(&state.digest(&settlement.domain())),
            }
        };
        for block in [1, 4000, 4500, 5000] {
            let signed = settlement.close_channel(&request(block)).unwrap();
            assert_eq!(signed.signer, signer.address());
        }
        for block in [0, 2, 3999, 5001] {
            let refused = settlement.close_channel(&request(block)).unwrap_err();
            let refused = refused.to_string();
            assert!(refused.contains(&format!("block {block},")), "{refused}");
            assert!(refused.contains("4000 to 5000"), "{refused}");
        }
    }

    #[test]
    fn a_state_over_block_1_is_signed_as_a_request_only_where_the_contract_takes_it_no_more() {
        let signer = Signer::from_bytes(&[9; 32]).unwrap();
        let close = |head| {
            let settlement = settlement(Amount::ZERO, head);
            let state = ChannelClose {
                is_final: true,
                ..ChannelClose::off_chain(MARKET, ChannelId([3; 16]), Seq(4), Amount::from_tokens(5))
            };
            settlement.close_channel(&CloseChannel {
                channel: state.channel,
                chain_id: 1337,
                close_at: state.close_at,
                verifying_contract: Address([2; 20]),
                balance: state.balance,
                seq: state.seq,
                is_final: true,
                signature: signer.sign(&state.digest(&settlement.domain())),
            })
        };
        // A recent block like any other, then too old for us and not for the contract.
        assert!(close(1001).is_ok());
        for head in [1002, 1441, 1461] {
            let refused = close(head).unwrap_err();
            assert!(matches!(refused, SettlementError::YoungChain { .. }), "{refused}");
        }
        assert!(close(1462).is_ok());
    }

    #[test]
    fn an_opening_names_a_recent_block_and_its_delegate_may_say_whose_it_is() {
        let settlement = settlement(Amount::ZERO, 5000);
        let actor = Signer::from_bytes(&[9; 32]).unwrap();
        let delegate = Signer::from_bytes(&[8; 32]).unwrap();
        let request = |block: u64, binder: Option<&Signer>| {
            let open = ChannelOpen {
                kind: ChannelKind::Paying,
                opened_at: Amount::from_units(block.into()),
                market: MARKET,
                channel: ChannelId([3; 16]),
                actor: actor.address(),
                delegate: delegate.address(),
                marketmaker: Address([7; 20]),
                recipient: actor.address(),
                amount: Amount::from_tokens(5),
            };
            let binding = DelegateBinding {
                market: MARKET,
                actor: open.actor,
                delegate: open.delegate,
            };
            let domain = settlement.domain();
            let sent = OpenChannel {
                member: open.actor,
                market: MARKET,
                channel: open.channel,
                chain_id: 1337,
                opened_at: open.opened_at,
                verifying_contract: Address([2; 20]),
                channel_type: 2,
                delegate: open.delegate,
                marketmaker: open.marketmaker,
                recipient: open.recipient,
                amount: open.amount,
                signature: actor.sign(&open.digest(&domain)),
                delegate_signature: binder.map(|binder| binder.sign(&binding.digest(&domain))),
            };
            settlement.open_channel(&sent, Nanos(1))
        };
        for block in [4000, 5000] {
            assert_eq!(request(block, None).unwrap().bound_by, None);
        }
        for block in [0, 3999, 5001] {
            let refused = request(block, None).unwrap_err().to_string();
            assert!(refused.contains("4000 to 5000"), "{refused}");
        }
        // Whoever signed it: whether that is the delegate is seen in the write.
        for binder in [&delegate, &actor] {
            let signed = request(5000, Some(binder)).unwrap();
            assert_eq!(signed.bound_by, Some(binder.address()));
        }
    }
}
