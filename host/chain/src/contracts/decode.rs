//! Events of the contracts, out of the bytes that a node hands over.

use super::abi;
use crate::address::from_alloy;
use crate::node::RawLog;
use crate::settlement::{Contracts, consent_id};
use alloy_primitives::{Bytes, FixedBytes, LogData, U256};
use alloy_sol_types::SolEvent;
use bourse_market::chain::{ChainEvent, ChannelTerms, Payout};
use bourse_market::registry::{ActorKey, ActorType, ConsentKey, MemberLevel};
use bourse_market::{
    Address, Amount, ApiId, BlockNumber, CatalogId, ChannelId, ChannelKind, MarketId, Signature,
};

/// Why an entry of the log is no event of ours. None of it stops anything: whoever can write to the log must not be able
/// to keep a market from reading it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// Another contract emitted it.
    #[error("it was emitted by {0}, which is none of the deployment's contracts")]
    Contract(Address),
    /// The contract is ours, and the event none that matters.
    #[error("the event {0} is none that matters")]
    Event(String),
    /// The event is known, and what it says makes no sense.
    #[error("{event} cannot be read: {reason}")]
    Unreadable {
        /// Its name.
        event: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// Reads an entry of the log. Only the contract that has an event is believed when it emits it: anybody can deploy one
/// that emits the same.
///
/// # Errors
///
/// [`Foreign`], saying why it is to be passed over.
pub fn decode(contracts: &Contracts, log: &RawLog) -> Result<ChainEvent, Foreign> {
    let emitter = from_alloy(log.address);
    let known = contracts
        .named()
        .into_iter()
        .any(|(_, address)| address == emitter);
    if !known {
        return Err(Foreign::Contract(emitter));
    }
    let Some(topic) = log.topics.first() else {
        return Err(Foreign::Event("without a name".to_owned()));
    };
    let data = LogData::new_unchecked(log.topics.clone(), log.data.clone());
    // One contract may have several parts in a deployment, though none does; so each is looked at in turn.
    let readers: [(Address, Reader); 4] = [
        (contracts.network, of_network),
        (contracts.market, of_market),
        (contracts.catalog, of_catalog),
        (contracts.channel, of_channel),
    ];
    readers
        .into_iter()
        .filter(|(address, _)| *address == emitter)
        .find_map(|(_, read)| read(topic, &data))
        .unwrap_or_else(|| Err(Foreign::Event(topic.to_string())))
}

/// Reads an event if it is one of its contract.
type Reader = fn(&FixedBytes<32>, &LogData) -> Option<Result<ChainEvent, Foreign>>;

/// The event `E`, if the topic says it is one.
fn read<E: SolEvent>(
    topic: &FixedBytes<32>,
    data: &LogData,
    make: impl FnOnce(E) -> Result<ChainEvent, String>,
) -> Option<Result<ChainEvent, Foreign>> {
    if *topic != E::SIGNATURE_HASH {
        return None;
    }
    let unreadable = |reason: String| Foreign::Unreadable {
        event: E::SIGNATURE,
        reason,
    };
    let event = E::decode_log_data_validate(data).map_err(|error| unreadable(error.to_string()));
    Some(event.and_then(|event| make(event).map_err(unreadable)))
}

fn of_network(topic: &FixedBytes<32>, data: &LogData) -> Option<Result<ChainEvent, Foreign>> {
    use abi::network::{MemberChanged, MemberRegistered, MemberRetired};
    read(topic, data, |event: MemberRegistered| {
        Ok(ChainEvent::MemberChanged {
            member: from_alloy(event.member),
            registered: true,
            eula: event.eula,
            profile: event.profile,
            level: level(event.level)?,
        })
    })
    .or_else(|| {
        read(topic, data, |event: MemberChanged| {
            Ok(ChainEvent::MemberChanged {
                member: from_alloy(event.member),
                registered: false,
                eula: event.eula,
                profile: event.profile,
                level: level(event.level)?,
            })
        })
    })
    .or_else(|| {
        read(topic, data, |event: MemberRetired| {
            Ok(ChainEvent::MemberRetired {
                member: from_alloy(event.member),
            })
        })
    })
}

fn of_market(topic: &FixedBytes<32>, data: &LogData) -> Option<Result<ChainEvent, Foreign>> {
    use abi::market::{ActorJoined, ActorLeft, ConsentSet, MarketClosed, MarketCreated, MarketUpdated};
    macro_rules! changed {
        ($event:expr, $created:expr) => {
            Ok(ChainEvent::MarketChanged {
                market: MarketId($event.marketId.0),
                created: $created,
                seq: $event.marketSeq,
                owner: from_alloy($event.owner),
                coin: from_alloy($event.coin),
                terms: $event.terms,
                meta: $event.meta,
                maker: from_alloy($event.maker),
                provider_security: amount($event.providerSecurity),
                consumer_security: amount($event.consumerSecurity),
                fee: amount($event.marketFee),
            })
        };
    }
    read(topic, data, |event: MarketCreated| changed!(event, true))
        .or_else(|| read(topic, data, |event: MarketUpdated| changed!(event, false)))
        .or_else(|| {
            read(topic, data, |event: MarketClosed| {
                Ok(ChainEvent::MarketClosed {
                    market: MarketId(event.marketId.0),
                })
            })
        })
        .or_else(|| {
            read(topic, data, |event: ActorJoined| {
                Ok(ChainEvent::ActorJoined {
                    key: actor(event.marketId, event.actor, event.actorType)?,
                    security: amount(event.security),
                    meta: event.meta,
                })
            })
        })
        .or_else(|| {
            read(topic, data, |event: ActorLeft| {
                Ok(ChainEvent::ActorLeft {
                    key: actor(event.marketId, event.actor, event.actorType)?,
                })
            })
        })
        .or_else(|| {
            read(topic, data, |event: ConsentSet| {
                let key = ConsentKey {
                    catalog: CatalogId(event.apiCatalog.0),
                    member: from_alloy(event.member),
                    delegate: from_alloy(event.delegate),
                    delegate_type: actor_type(event.delegateType)?,
                    market: MarketId(event.marketId.0),
                };
                Ok(ChainEvent::ConsentSet {
                    id: consent_id(&key),
                    key,
                    signed_at: block(event.updated)?,
                    granted: event.consent,
                    service_prefix: event.servicePrefix,
                })
            })
        })
}

fn of_catalog(topic: &FixedBytes<32>, data: &LogData) -> Option<Result<ChainEvent, Foreign>> {
    use abi::catalog::{ApiPublished, CatalogCreated};
    read(topic, data, |event: CatalogCreated| {
        Ok(ChainEvent::CatalogCreated {
            catalog: CatalogId(event.catalogId.0),
            seq: event.catalogSeq,
            owner: from_alloy(event.owner),
            terms: event.terms,
            meta: event.meta,
        })
    })
    .or_else(|| {
        read(topic, data, |event: ApiPublished| {
            Ok(ChainEvent::ApiPublished {
                api: ApiId(event.apiId.0),
                catalog: CatalogId(event.catalogId.0),
                schema: event.schema,
                meta: event.meta,
            })
        })
    })
}

fn of_channel(topic: &FixedBytes<32>, data: &LogData) -> Option<Result<ChainEvent, Foreign>> {
    use abi::channel::{Closed, Closing, Opened};
    read(topic, data, |event: Opened| {
        Ok(ChainEvent::Opened(Box::new(ChannelTerms {
            channel: ChannelId(event.channelId.0),
            kind: kind(event.ctype)?,
            market: MarketId(event.marketId.0),
            actor: from_alloy(event.actor),
            delegate: from_alloy(event.delegate),
            marketmaker: from_alloy(event.marketmaker),
            recipient: from_alloy(event.recipient),
            amount: amount(event.amount),
            signature: signature(&event.signature)?,
        })))
    })
    .or_else(|| {
        read(topic, data, |event: Closing| {
            Ok(ChainEvent::Closing {
                channel: ChannelId(event.channelId.0),
                payout: payout(event.payout, event.fee, event.refund, event.timeoutAt),
            })
        })
    })
    .or_else(|| {
        read(topic, data, |event: Closed| {
            Ok(ChainEvent::Closed {
                channel: ChannelId(event.channelId.0),
                payout: payout(event.payout, event.fee, event.refund, event.closedAt),
            })
        })
    })
}

fn amount(number: U256) -> Amount {
    Amount::from_limbs(number.into_limbs())
}

fn payout(payout: U256, fee: U256, refund: U256, at: U256) -> Payout {
    Payout {
        payout: amount(payout),
        fee: amount(fee),
        refund: amount(refund),
        at: u64::try_from(at).unwrap_or(u64::MAX),
    }
}

fn block(number: U256) -> Result<BlockNumber, String> {
    let number = u64::try_from(number).map_err(|_| format!("{number} is no block number"))?;
    Ok(BlockNumber(number))
}

fn signature(bytes: &Bytes) -> Result<Signature, String> {
    Signature::try_from(bytes.as_ref()).map_err(|error| error.to_string())
}

fn kind(code: u8) -> Result<ChannelKind, String> {
    match code {
        1 => Ok(ChannelKind::Payment),
        2 => Ok(ChannelKind::Paying),
        code => Err(format!("channel type {code}, it must be 1 or 2")),
    }
}

fn actor(market: FixedBytes<16>, actor: alloy_primitives::Address, kind: u8) -> Result<ActorKey, String> {
    Ok(ActorKey {
        market: MarketId(market.0),
        actor: from_alloy(actor),
        kind: actor_type(kind)?,
    })
}

fn actor_type(code: u8) -> Result<ActorType, String> {
    ActorType::from_code(code.into()).ok_or_else(|| format!("actor type {code}, it must be 1, 2 or 3"))
}

fn level(code: u8) -> Result<MemberLevel, String> {
    MemberLevel::from_code(code).ok_or_else(|| format!("member level {code}, it must be 0 to 6"))
}
