//! Settlement without a chain: test tokens in accounts of the ledger, channels open the moment they are asked for.

use crate::address::address_of_hash;
use crate::settlement::{verify_close, verify_consent, verify_open};
use crate::{
    Block, CloseChannel, Domain, Network, OpenChannel, SetConsent, Settlement, SettlementError, SignedClose,
    SignedOpen, keccak256,
};
use bourse_market::registry::ConsentRequest;
use bourse_market::{
    Address, Amount, BlockNumber, ChannelId, Command, FundRequest, Genesis, MarketId, Nanos, Signature,
};

/// Chain id of every local market, the usual one of development chains.
pub const LOCAL_CHAIN_ID: u64 = 1337;
/// The one block a local market ever sees.
pub const LOCAL_BLOCK: u64 = 1;
/// Whole tokens the market maker starts with by default, to lock into paying channels.
pub const LOCAL_FLOAT_TOKENS: u64 = 1_000_000_000;
/// Whole tokens the faucet gives in one call at most.
pub const FAUCET_LIMIT_TOKENS: u64 = 10_000_000;

/// The contract that local messages name: derived from the market, deployed nowhere, so that no local signature
/// settles anything anywhere.
pub fn local_verifying_contract(market: MarketId) -> Address {
    address_of_hash(&keccak256(
        &[b"bourse.local".as_slice(), market.as_bytes()].concat(),
    ))
}

/// A market whose money is play money. Owner and market maker are the same address.
#[derive(Debug, Clone)]
pub struct LocalSettlement {
    network: Network,
    float: Amount,
}

impl LocalSettlement {
    /// A local market. `float` is what its market maker starts with, usually [`LOCAL_FLOAT_TOKENS`]; it counts at
    /// [`Settlement::genesis`] alone.
    pub fn new(market: MarketId, marketmaker: Address, float: Amount) -> Self {
        let domain = Domain {
            chain_id: LOCAL_CHAIN_ID,
            verifying_contract: local_verifying_contract(market),
        };
        let network = Network {
            domain,
            network_id: LOCAL_CHAIN_ID,
            contracts: None,
            coin: None,
            eula_hash: None,
            market,
            owner: marketmaker,
            marketmaker,
        };
        Self { network, float }
    }
}

impl Settlement for LocalSettlement {
    fn domain(&self) -> Domain {
        self.network.domain
    }

    fn head_block(&self) -> Block {
        let hash = keccak256(&[b"bourse.local.block".as_slice(), self.network.market.as_bytes()].concat());
        Block {
            number: LOCAL_BLOCK,
            hash,
            gas_limit: 0,
        }
    }

    fn network(&self) -> Network {
        self.network.clone()
    }

    fn genesis(&self, at: Nanos) -> Command {
        Command::Genesis(Genesis {
            market: self.network.market,
            marketmaker: self.network.marketmaker,
            owner: self.network.owner,
            float: self.float,
            local: true,
            at,
        })
    }

    fn check_trading(&self) -> Result<(), SettlementError> {
        Ok(())
    }

    /// A delegate is that of the first actor that names it: its own word is not needed.
    fn open_channel(&self, request: &OpenChannel, at: Nanos) -> Result<SignedOpen, SettlementError> {
        let request = verify_open(&self.network, request, at)?;
        Ok(SignedOpen {
            request,
            bound_by: None,
        })
    }

    /// Any block from 1 on: there is none to be old against.
    fn close_channel(&self, request: &CloseChannel) -> Result<SignedClose, SettlementError> {
        verify_close(&self.network, request)
    }

    /// There is no contract that would not take it.
    fn check_voucher(&self, _: BlockNumber) -> Result<(), SettlementError> {
        Ok(())
    }

    /// Any block from 1 on, like every other message; it is recorded in the one block there is.
    fn set_consent(&self, request: &SetConsent, at: Nanos) -> Result<ConsentRequest, SettlementError> {
        verify_consent(&self.network, request, BlockNumber(LOCAL_BLOCK), at)
    }

    fn carry_consent(&self, _: &SetConsent, _: &Signature) -> Result<Address, SettlementError> {
        Err(SettlementError::NoContract)
    }

    fn fund(&self, address: Address, amount: Amount, at: Nanos) -> Result<Command, SettlementError> {
        let limit = Amount::from_tokens(FAUCET_LIMIT_TOKENS);
        if amount > limit {
            return Err(SettlementError::FaucetLimit { limit, got: amount });
        }
        Ok(Command::Fund(FundRequest { address, amount, at }))
    }

    fn transaction_of_open(&self, channel: ChannelId) -> Option<[u8; 32]> {
        Some(keccak256(&[b"open".as_slice(), channel.as_bytes()].concat()))
    }

    fn transaction_of_close(&self, channel: ChannelId) -> Option<[u8; 32]> {
        Some(keccak256(&[b"close".as_slice(), channel.as_bytes()].concat()))
    }

    fn fee(&self, _price: Amount) -> Amount {
        Amount::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChannelOpen, Consent, SignatureError, Signer, consent_id};
    use bourse_market::registry::{ActorType, Attributes};
    use bourse_market::{CatalogId, ChannelKind, OpenRequest, Signature};

    const MARKET: MarketId = MarketId([1; 16]);
    const MAKER: Address = Address([2; 20]);
    const AT: Nanos = Nanos(5);

    fn settlement() -> LocalSettlement {
        LocalSettlement::new(MARKET, MAKER, Amount::from_tokens(LOCAL_FLOAT_TOKENS))
    }

    fn request(signer: &Signer) -> OpenChannel {
        let open = ChannelOpen {
            kind: ChannelKind::Payment,
            opened_at: Amount::from_units(1),
            market: MARKET,
            channel: ChannelId([3; 16]),
            actor: signer.address(),
            delegate: Address([4; 20]),
            marketmaker: MAKER,
            recipient: MAKER,
            amount: Amount::from_tokens(500),
        };
        let domain = settlement().domain();
        OpenChannel {
            member: open.actor,
            market: open.market,
            channel: open.channel,
            chain_id: domain.chain_id,
            opened_at: open.opened_at,
            verifying_contract: domain.verifying_contract,
            channel_type: 1,
            delegate: open.delegate,
            marketmaker: open.marketmaker,
            recipient: open.recipient,
            amount: open.amount,
            signature: signer.sign(&open.digest(&domain)),
            delegate_signature: None,
        }
    }

    fn open(change: impl FnOnce(&mut OpenChannel)) -> Result<OpenRequest, SettlementError> {
        let mut request = request(&Signer::from_bytes(&[9; 32]).unwrap());
        change(&mut request);
        Ok(settlement().open_channel(&request, AT)?.request)
    }

    #[test]
    fn a_signed_request_becomes_one_to_the_ledger() {
        let sent = request(&Signer::from_bytes(&[9; 32]).unwrap());
        let open = open(|_| ()).unwrap();
        assert_eq!((open.signer, open.actor, open.at), (sent.member, sent.member, AT));
        assert_eq!(
            (open.id, open.kind, open.amount),
            (sent.channel, ChannelKind::Payment, sent.amount)
        );
        assert_eq!(open.signature, sent.signature);
    }

    #[test]
    fn what_a_request_names_must_be_this_market() {
        let contract = settlement().domain().verifying_contract;
        let zero = Address([0; 20]);
        assert_eq!(
            open(|request| request.chain_id = 1),
            Err(SettlementError::WrongChain {
                expected: 1337,
                got: 1
            })
        );
        assert_eq!(
            open(|request| request.verifying_contract = zero),
            Err(SettlementError::WrongContract {
                expected: contract,
                got: zero
            })
        );
        assert_eq!(
            open(|request| request.market = MarketId([0; 16])),
            Err(SettlementError::WrongMarket {
                expected: MARKET,
                got: MarketId([0; 16])
            })
        );
        assert_eq!(
            open(|request| request.marketmaker = zero),
            Err(SettlementError::WrongMarketMaker {
                expected: MAKER,
                got: zero
            })
        );
        for got in [0, 3, 257] {
            assert_eq!(
                open(|request| request.channel_type = got),
                Err(SettlementError::WrongType { got })
            );
        }
        assert_eq!(
            open(|request| request.opened_at = Amount::ZERO),
            Err(SettlementError::BlockZero)
        );
    }

    #[test]
    fn every_signed_field_is_bound_by_the_signature() {
        let changes: [fn(&mut OpenChannel); 7] = [
            |request| request.member = Address([7; 20]),
            |request| request.channel = ChannelId([7; 16]),
            |request| request.channel_type = 2,
            |request| request.opened_at = Amount::from_units(2),
            |request| request.delegate = Address([7; 20]),
            |request| request.recipient = Address([7; 20]),
            |request| request.amount = Amount::from_tokens(501),
        ];
        for change in changes {
            assert!(matches!(open(change), Err(SettlementError::WrongSigner { .. })));
        }
        let malformed = open(|request| request.signature = Signature([0; 65]));
        assert_eq!(
            malformed,
            Err(SettlementError::Signature(SignatureError::WrongV { v: 0 }))
        );
    }

    fn consent(change: impl FnOnce(&mut SetConsent)) -> Result<ConsentRequest, SettlementError> {
        let signer = Signer::from_bytes(&[9; 32]).unwrap();
        let domain = settlement().domain();
        let message = Consent {
            member: signer.address(),
            updated: Amount::from_units(3),
            market: MARKET,
            delegate: Address([4; 20]),
            delegate_type: 2,
            catalog: CatalogId([5; 16]),
            consent: true,
            service_prefix: "com.example.".to_owned(),
        };
        let mut request = SetConsent {
            member: message.member,
            market: MARKET,
            chain_id: domain.chain_id,
            signed_at: BlockNumber(3),
            verifying_contract: domain.verifying_contract,
            delegate: message.delegate,
            delegate_type: 2,
            catalog: message.catalog,
            granted: true,
            service_prefix: message.service_prefix.clone(),
            attributes: Attributes::default(),
            signature: signer.sign(&message.digest(&domain)),
            login: None,
        };
        change(&mut request);
        settlement().set_consent(&request, AT)
    }

    #[test]
    fn a_signed_consent_becomes_a_request_in_the_one_block_there_is() {
        let request = consent(|_| ()).unwrap();
        let consent = request.consent;
        assert_eq!(request.signer, consent.key.member);
        assert_eq!(
            (consent.updated, consent.signed_at),
            (BlockNumber(1), BlockNumber(3))
        );
        assert!(consent.granted && consent.synced);
        assert_eq!(consent.id, consent_id(&consent.key));
        assert_eq!(consent.key.delegate_type, ActorType::Consumer);
    }

    #[test]
    fn every_signed_field_of_a_consent_is_bound_by_the_signature() {
        let changes: [fn(&mut SetConsent); 7] = [
            |request| request.member = Address([7; 20]),
            |request| request.signed_at = BlockNumber(4),
            |request| request.delegate = Address([7; 20]),
            |request| request.delegate_type = 1,
            |request| request.catalog = CatalogId([7; 16]),
            |request| request.granted = false,
            |request| request.service_prefix.push('x'),
        ];
        for change in changes {
            assert!(matches!(
                consent(change),
                Err(SettlementError::WrongSigner { .. })
            ));
        }
    }

    #[test]
    fn a_consent_names_this_market_a_type_of_delegate_and_a_block() {
        let wrong = |change: fn(&mut SetConsent)| consent(change).unwrap_err();
        assert!(matches!(
            wrong(|request| request.chain_id = 1),
            SettlementError::WrongChain { .. }
        ));
        assert!(matches!(
            wrong(|request| request.verifying_contract = MAKER),
            SettlementError::WrongContract { .. }
        ));
        assert!(matches!(
            wrong(|request| request.market = MarketId([7; 16])),
            SettlementError::WrongMarket { .. }
        ));
        for got in [0, 4] {
            let refused = consent(|request| request.delegate_type = got);
            assert_eq!(refused, Err(SettlementError::WrongDelegateType { got }));
        }
        assert_eq!(
            wrong(|request| request.signed_at = BlockNumber(0)),
            SettlementError::BlockZero
        );
    }

    #[test]
    fn each_market_has_a_contract_of_its_own() {
        let other = local_verifying_contract(MarketId([8; 16]));
        assert_ne!(local_verifying_contract(MARKET), other);
    }

    #[test]
    fn the_faucet_gives_up_to_its_limit() {
        let limit = Amount::from_tokens(FAUCET_LIMIT_TOKENS);
        assert!(matches!(
            settlement().fund(MAKER, limit, AT),
            Ok(Command::Fund(_))
        ));
        let got = limit.checked_add(Amount::from_units(1)).unwrap();
        assert_eq!(
            settlement().fund(MAKER, got, AT),
            Err(SettlementError::FaucetLimit { limit, got })
        );
    }

    #[test]
    fn refusals_name_what_came_and_what_would_be_right() {
        let text = open(|request| request.chain_id = 1).unwrap_err().to_string();
        assert_eq!(text, "the request names chain id 1, this market is on 1337");
        let text = settlement()
            .fund(MAKER, Amount::from_tokens(10_000_001), AT)
            .unwrap_err()
            .to_string();
        assert_eq!(
            text,
            "10000001 tokens are more than the faucet gives in one call, at most 10000000"
        );
    }
}
