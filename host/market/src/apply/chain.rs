//! Following the chain: what its events do to the ledger, and how they are taken back.
//!
//! A block counts in the very write that moves the ledger's place on the chain, so that it counts once whatever crashes.
//! Nothing that an event says is refused: it has happened. What makes no sense of it is passed over, and told.

use super::open::fresh;
use super::{Decided, genesis_of};
use crate::chain::{
    Advance, Anchor, AppliedBlock, Before, ChainEvent, ChannelTerms, Followed, Logged, Mined, Payout,
    Surprise, UNKNOWN_BLOCK, Unwind,
};
use crate::registry::{
    Actor, Api, Attributes, Catalog, Consent, MAX_REFERENCE, Market, Member, MemberLevel, Registration,
    RegistrationKey,
};
use crate::{
    Address, Amount, BlockNumber, Change, Channel, ChannelId, ChannelKind, ChannelState, Fault, Genesis,
    Nanos, Outcome, Refusal, Seq, View,
};
use std::collections::BTreeMap;

/// Blocks whose means to be taken back are dropped in one write.
const MOST_SETTLED: usize = 1024;

/// Goes on along the chain.
pub(super) fn advance<V: View>(view: &V, request: &Advance) -> Decided<V> {
    let genesis = genesis_of(view)?;
    let tip = view.chain_tip().map_err(Fault::View)?;
    let stands = tip.as_ref().map(|applied| applied.block);
    let goes_on = stands.is_none_or(|stands| stands.number < request.to.number);
    if genesis.local || stands != request.after || !goes_on {
        return Err(Refusal::NotNextBlock {
            stands: stands.map(Box::new),
            to: Box::new(request.to),
        }
        .into());
    }
    let untrusted = match tip.as_ref().map(|applied| applied.untrusted) {
        None | Some(Some(UNKNOWN_BLOCK)) => Some(request.head),
        Some(known) => known,
    };
    let mut draft = Draft::over(view, genesis, request.at);
    draft.untrusted = untrusted;
    for logged in &request.events {
        draft.happen(logged)?;
    }
    // A block that is too old to be taken back needs no means for it.
    if request.to.number < request.settled_below {
        draft.before.clear();
    }
    let mut changes = draft.changes();
    for number in view
        .applied_below(request.settled_below, MOST_SETTLED)
        .map_err(Fault::View)?
    {
        changes.push(Change::Block(number, None));
    }
    let applied = AppliedBlock {
        block: request.to,
        before: std::mem::take(&mut draft.before),
        untrusted: untrusted.filter(|untrusted| request.to.number < *untrusted),
    };
    changes.push(Change::Block(request.to.number, Some(Box::new(applied))));
    Ok((changes, Outcome::Followed(draft.report())))
}

/// Goes back to a block that is still part of the chain.
pub(super) fn unwind<V: View>(view: &V, request: &Unwind) -> Decided<V> {
    let genesis = genesis_of(view)?;
    let applied = view.applied_from(request.to.number).map_err(Fault::View)?;
    let stands = applied.first().map(|applied| applied.block);
    let target = applied.last().map(|applied| applied.block);
    if stands != Some(request.from) || target != Some(request.to) {
        return Err(Refusal::NotNextBlock {
            stands: stands.map(Box::new),
            to: Box::new(request.to),
        }
        .into());
    }
    let mut draft = Draft::over(view, genesis, request.at);
    let mut gone = Vec::with_capacity(applied.len());
    for applied in applied.iter().filter(|applied| applied.block != request.to) {
        for before in applied.before.iter().rev() {
            draft.take_back(before)?;
        }
        gone.push(Change::Block(applied.block.number, None));
    }
    let mut changes = draft.changes();
    changes.extend(gone);
    Ok((changes, Outcome::Followed(draft.report())))
}

/// The records that some blocks change, as they are so far.
struct Draft<'v, V> {
    view: &'v V,
    genesis: Genesis,
    at: Nanos,
    registry: BTreeMap<RegistrationKey, Option<Registration>>,
    channels: BTreeMap<ChannelId, Channel>,
    anchors: BTreeMap<ChannelId, Anchor>,
    before: Vec<Before>,
    surprises: Vec<Surprise>,
    untrusted: Option<BlockNumber>,
}

impl<'v, V: View> Draft<'v, V> {
    fn over(view: &'v V, genesis: Genesis, at: Nanos) -> Self {
        Self {
            view,
            genesis,
            at,
            registry: BTreeMap::new(),
            channels: BTreeMap::new(),
            anchors: BTreeMap::new(),
            before: Vec::new(),
            surprises: Vec::new(),
            untrusted: None,
        }
    }

    /// What is to be written, but for the blocks themselves.
    fn changes(&self) -> Vec<Change> {
        let registry = self.registry.iter().map(|(key, record)| match record {
            Some(record) => Change::Registered(Box::new(record.clone())),
            None => Change::Unregistered(*key),
        });
        let channels = self.channels.values().cloned();
        let anchors = self.anchors.iter();
        registry
            .chain(channels.map(|channel| Change::Channel(Box::new(channel))))
            .chain(anchors.map(|(id, anchor)| Change::Anchor(*id, Box::new(anchor.clone()))))
            .collect()
    }

    fn report(self) -> Box<Followed> {
        Box::new(Followed {
            channels: self.channels.into_values().collect(),
            surprises: self.surprises,
        })
    }

    fn registered(&self, key: &RegistrationKey) -> Result<Option<Registration>, Fault<V::Error>> {
        match self.registry.get(key) {
            Some(drafted) => Ok(drafted.clone()),
            None => super::register::registered(self.view, key),
        }
    }

    fn channel(&self, id: &ChannelId) -> Result<Option<Channel>, Fault<V::Error>> {
        match self.channels.get(id) {
            Some(drafted) => Ok(Some(drafted.clone())),
            None => self.view.channel(id).map_err(Fault::View),
        }
    }

    fn anchor(&self, id: &ChannelId) -> Result<Option<Anchor>, Fault<V::Error>> {
        match self.anchors.get(id) {
            Some(drafted) => Ok(Some(drafted.clone())),
            None => self.view.anchor(id).map_err(Fault::View),
        }
    }

    fn happen(&mut self, logged: &Logged) -> Result<(), Fault<V::Error>> {
        let mined = logged.mined;
        match &logged.event {
            ChainEvent::Opened(terms) => self.opened(terms, mined),
            ChainEvent::Closing { channel, payout } => self.ending(*channel, *payout, mined, false),
            ChainEvent::Closed { channel, payout } => self.ending(*channel, *payout, mined, true),
            event => {
                let Some(key) = key_of(event) else {
                    return Ok(());
                };
                let standing = self.registered(&key)?;
                if let Some(new) = said(event, standing.as_ref(), mined, self.at) {
                    self.register(new, standing);
                }
                Ok(())
            }
        }
    }

    fn register(&mut self, new: Registration, standing: Option<Registration>) {
        let key = new.key();
        if standing.as_ref() == Some(&new) {
            return;
        }
        self.before.push(match standing {
            Some(old) => Before::Registered(Box::new(old)),
            None => Before::Unregistered(key),
        });
        self.registry.insert(key, Some(new));
    }

    /// A deposit is locked. The contract has seen to it that whoever opened the channel signed for it.
    fn opened(&mut self, terms: &ChannelTerms, mined: Mined) -> Result<(), Fault<V::Error>> {
        let ours = terms.market == self.genesis.market && terms.marketmaker == self.genesis.marketmaker;
        if !ours {
            return Ok(());
        }
        let id = terms.channel;
        let expected = match terms.kind {
            ChannelKind::Payment => self.genesis.owner,
            ChannelKind::Paying => terms.actor,
        };
        if terms.recipient != expected
            || terms.amount.is_zero()
            || terms.delegate == Address([0; Address::LEN])
        {
            self.surprises.push(Surprise::Impossible { channel: id });
            return Ok(());
        }
        let standing = match self.channel(&id)? {
            None => None,
            Some(channel) => {
                let orphaned = self.anchor(&id)?.and_then(|anchor| anchor.orphaned);
                let Some(orphaned) = orphaned else {
                    // The contract opens no id twice.
                    self.surprises.push(Surprise::Impossible { channel: id });
                    return Ok(());
                };
                Some((channel, orphaned))
            }
        };
        let channel = match standing {
            Some((mut channel, orphaned)) if is_same(&channel, terms) => {
                if channel.quarantined == Some(orphaned) {
                    channel.quarantined = None;
                }
                channel
            }
            // Its transaction is gone, another took the id, and something was bought over it before, or asked for.
            Some((channel, _)) if has_moved(&channel) || channel.delegate != terms.delegate => {
                self.surprises.push(Surprise::Replaced { channel: id });
                return Ok(());
            }
            _ => {
                // The event does not name the block that was signed; it lies at most some hours before its own.
                let open_at = Amount::from_units(mined.block.0.into());
                let mut channel = fresh(terms, open_at, self.at, self.is_bound(terms)?);
                // What was bought over it then is on no record here.
                if self.untrusted.is_some_and(|untrusted| mined.block <= untrusted) {
                    channel.quarantined = Some(self.at);
                }
                channel
            }
        };
        self.before.push(Before::Unopened(id));
        self.channels.insert(id, channel);
        self.anchors.insert(
            id,
            Anchor {
                opened: mined,
                orphaned: None,
                closing: None,
                closed: None,
                shut: None,
            },
        );
        Ok(())
    }

    /// Whether the delegate is known to be this actor's. On the chain anybody may name anybody's delegate.
    fn is_bound(&self, terms: &ChannelTerms) -> Result<bool, Fault<V::Error>> {
        let binding = self.view.binding(&terms.delegate).map_err(Fault::View)?;
        Ok(binding.is_some_and(|binding| binding.actor == terms.actor))
    }

    /// A state was shown to the contract, or it paid out.
    fn ending(
        &mut self,
        id: ChannelId,
        payout: Payout,
        mined: Mined,
        paid: bool,
    ) -> Result<(), Fault<V::Error>> {
        let (Some(mut channel), Some(anchor)) = (self.channel(&id)?, self.anchor(&id)?) else {
            // Another market's, or another market maker's.
            return Ok(());
        };
        self.before.push(Before::Anchored {
            channel: id,
            state: channel.state,
            quarantined: channel.quarantined,
            anchor: Box::new(anchor.clone()),
        });
        let mut anchor = anchor;
        let part = if paid {
            &mut anchor.closed
        } else {
            &mut anchor.closing
        };
        *part = Some((payout, mined));
        match &channel.closing {
            Some(closing) => {
                if payout.refund != closing.balance {
                    self.surprises.push(Surprise::Refund {
                        channel: id,
                        expected: closing.balance,
                        got: payout.refund,
                    });
                }
                if paid {
                    channel.state = ChannelState::Closed;
                    channel.quarantined = None;
                }
            }
            // The ledger does not know the state that was shown: it is older than the chain, or somebody has the key.
            None => {
                if channel.quarantined.is_none() {
                    channel.quarantined = Some(self.at);
                    anchor.shut = Some(self.at);
                }
                self.surprises.push(Surprise::Unsigned {
                    channel: id,
                    refund: payout.refund,
                });
            }
        }
        self.channels.insert(id, channel);
        self.anchors.insert(id, anchor);
        Ok(())
    }

    /// Restores a record of the registry, unless its member said something since, which no block is to undo.
    fn restore(&mut self, key: RegistrationKey, record: Option<Registration>) -> Result<(), Fault<V::Error>> {
        let said_since = match (self.registered(&key)?, &record) {
            // The block only told that the chain says otherwise.
            (Some(Registration::Consent(now)), Some(Registration::Consent(before))) => {
                !now.synced && now.at != before.at
            }
            (Some(Registration::Consent(now)), _) => !now.synced,
            _ => false,
        };
        if !said_since {
            self.registry.insert(key, record);
        }
        Ok(())
    }

    /// Restores what stood before an event.
    fn take_back(&mut self, before: &Before) -> Result<(), Fault<V::Error>> {
        match before {
            Before::Registered(record) => self.restore(record.key(), Some((**record).clone()))?,
            Before::Unregistered(key) => self.restore(*key, None)?,
            Before::Unopened(id) => {
                let (Some(mut channel), Some(mut anchor)) = (self.channel(id)?, self.anchor(id)?) else {
                    return Ok(());
                };
                anchor.orphaned = Some(self.at);
                // One that stands in quarantine already stays there for its own reason.
                channel.quarantined.get_or_insert(self.at);
                self.surprises.push(Surprise::Orphaned {
                    channel: *id,
                    moved: has_moved(&channel),
                });
                self.channels.insert(*id, channel);
                self.anchors.insert(*id, anchor);
            }
            Before::Anchored {
                channel: id,
                state,
                quarantined,
                anchor,
            } => {
                let Some(mut channel) = self.channel(id)? else {
                    return Ok(());
                };
                // Once both have signed its final state, no purchase moves it whatever the chain says.
                channel.state = match (state, &channel.closing) {
                    (ChannelState::Open, Some(_)) => ChannelState::Closing,
                    (state, _) => *state,
                };
                // Whoever shut it since, for another reason, shut it for good.
                let shut = self.anchor(id)?.and_then(|anchor| anchor.shut);
                if channel.quarantined.is_none() || channel.quarantined == shut {
                    channel.quarantined = *quarantined;
                }
                self.channels.insert(*id, channel);
                self.anchors.insert(*id, (**anchor).clone());
            }
        }
        Ok(())
    }
}

fn is_same(channel: &Channel, terms: &ChannelTerms) -> bool {
    channel.kind == terms.kind
        && channel.actor == terms.actor
        && channel.delegate == terms.delegate
        && channel.recipient == terms.recipient
        && channel.amount == terms.amount
}

/// Whether anything was ever bought over it, or is about to be.
fn has_moved(channel: &Channel) -> bool {
    channel.seq != Seq::FIRST
        || !channel.spent.is_zero()
        || channel.pending.is_some()
        || channel.closing.is_some()
}

/// The record of the registry that an event is about.
fn key_of(event: &ChainEvent) -> Option<RegistrationKey> {
    Some(match event {
        ChainEvent::MemberChanged { member, .. } | ChainEvent::MemberRetired { member } => {
            RegistrationKey::Member(*member)
        }
        ChainEvent::MarketChanged { market, .. } | ChainEvent::MarketClosed { market } => {
            RegistrationKey::Market(*market)
        }
        ChainEvent::ActorJoined { key, .. } | ChainEvent::ActorLeft { key } => RegistrationKey::Actor(*key),
        ChainEvent::CatalogCreated { catalog, .. } => RegistrationKey::Catalog(*catalog),
        ChainEvent::ApiPublished { api, .. } => RegistrationKey::Api(*api),
        ChainEvent::ConsentSet { key, .. } => RegistrationKey::Consent(*key),
        ChainEvent::Opened(_) | ChainEvent::Closing { .. } | ChainEvent::Closed { .. } => return None,
    })
}

/// A text that names something elsewhere. One that is longer than any name is none.
fn reference(text: &str) -> String {
    if text.len() > MAX_REFERENCE {
        String::new()
    } else {
        text.to_owned()
    }
}

/// A consent after its member's `word` on the chain. What it signed last counts, wherever it said so: a word that was signed
/// earlier than what stands changes nothing but whether the chain says the same. Of two of one block the withdrawal counts,
/// for anybody may show the contract the other one again.
fn last_word(old: Option<&Consent>, word: Consent) -> Consent {
    let Some(old) = old else { return word };
    let same = old.granted == word.granted && (!word.granted || old.service_prefix == word.service_prefix);
    let later = word.signed_at > old.signed_at;
    let as_late = word.signed_at == old.signed_at && (old.granted || !word.granted);
    if !later && !as_late {
        return Consent {
            synced: same,
            ..old.clone()
        };
    }
    Consent {
        attributes: old.attributes.clone(),
        signature: old.signature.filter(|_| same && !later),
        ..word
    }
}

/// The record as it stands after an event; none if the event says nothing of a record that is not there.
fn said(
    event: &ChainEvent,
    standing: Option<&Registration>,
    mined: Mined,
    at: Nanos,
) -> Option<Registration> {
    let (block, transaction) = (mined.block, Some(mined.transaction));
    Some(match (event, standing) {
        (
            ChainEvent::MemberChanged {
                member,
                eula,
                profile,
                level,
                registered,
                ..
            },
            standing,
        ) => {
            let since = match standing {
                Some(Registration::Member(old)) if !registered => old.registered,
                _ => block,
            };
            Registration::Member(Member {
                address: *member,
                registered: since,
                updated: block,
                at,
                eula: reference(eula),
                profile: reference(profile),
                level: *level,
                transaction,
                signature: None,
            })
        }
        (ChainEvent::MemberRetired { .. }, Some(Registration::Member(old))) => Registration::Member(Member {
            level: MemberLevel::Retired,
            updated: block,
            at,
            transaction,
            ..old.clone()
        }),
        (
            ChainEvent::MarketChanged {
                market,
                created,
                seq,
                owner,
                coin,
                terms,
                meta,
                maker,
                provider_security,
                consumer_security,
                fee,
            },
            standing,
        ) => {
            let old = match standing {
                Some(Registration::Market(old)) if !created => Some(old),
                _ => None,
            };
            Registration::Market(Market {
                id: *market,
                created: old.map_or(block, |old| old.created),
                updated: block,
                closed: old.and_then(|old| old.closed),
                at,
                seq: *seq,
                owner: *owner,
                coin: *coin,
                terms: reference(terms),
                meta: reference(meta),
                maker: *maker,
                provider_security: *provider_security,
                consumer_security: *consumer_security,
                fee: *fee,
                transaction,
                signature: None,
            })
        }
        (ChainEvent::MarketClosed { .. }, Some(Registration::Market(old))) => Registration::Market(Market {
            closed: Some(block),
            updated: block,
            at,
            transaction,
            ..old.clone()
        }),
        (ChainEvent::ActorJoined { key, security, meta }, _) => Registration::Actor(Actor {
            key: *key,
            joined: block,
            left: None,
            updated: block,
            at,
            security: *security,
            meta: reference(meta),
            transaction,
            signature: None,
        }),
        (ChainEvent::ActorLeft { .. }, Some(Registration::Actor(old))) => Registration::Actor(Actor {
            left: Some(block),
            updated: block,
            at,
            transaction,
            ..old.clone()
        }),
        (
            ChainEvent::CatalogCreated {
                catalog,
                seq,
                owner,
                terms,
                meta,
            },
            _,
        ) => Registration::Catalog(Catalog {
            id: *catalog,
            created: block,
            updated: block,
            at,
            seq: *seq,
            owner: *owner,
            terms: reference(terms),
            meta: reference(meta),
            transaction,
            signature: None,
        }),
        (
            ChainEvent::ApiPublished {
                api,
                catalog,
                schema,
                meta,
            },
            _,
        ) => Registration::Api(Api {
            id: *api,
            catalog: *catalog,
            published: block,
            at,
            schema: reference(schema),
            meta: reference(meta),
            transaction,
            signature: None,
        }),
        (
            ChainEvent::ConsentSet {
                id,
                key,
                signed_at,
                granted,
                service_prefix,
            },
            standing,
        ) => {
            let old = match standing {
                Some(Registration::Consent(old)) => Some(old),
                _ => None,
            };
            // No URI is that long: it covers nothing.
            let fits = service_prefix.len() <= Consent::MAX_SERVICE_PREFIX;
            let word = Consent {
                id: *id,
                key: *key,
                updated: block,
                // Whoever sent it may name any block; no later one than its own counts.
                signed_at: (*signed_at).min(block),
                at,
                granted: *granted && fits,
                service_prefix: if fits {
                    service_prefix.clone()
                } else {
                    String::new()
                },
                attributes: Attributes::default(),
                transaction,
                signature: None,
                synced: true,
            };
            Registration::Consent(last_word(old, word))
        }
        _ => return None,
    })
}
