//! The market maker's transactions: made, signed, ended.
//!
//! A nonce is given out in the write that makes the transaction it is for. The approval of a paying channel has the nonce
//! right before that of the opening: no other approval can come between.

use super::open::check_fields;
use super::{Decided, genesis_of};
use crate::chain::{ChannelTerms, Mined, UNKNOWN_BLOCK};
use crate::outbox::{
    AttemptRequest, ConcludeRequest, FinalState, IntendRequest, Intent, IntentKey, Nonce, NonceLine,
    OpeningRate, PayingLimits, Progress, ShowRequest, Verdict, Wanted,
};
use crate::{
    Address, Amount, Binding, Change, ChannelId, ChannelKind, ChannelState, Fault, Genesis, Nanos,
    OpenRequest, Outcome, Refusal, View,
};

/// Channels whose deposits are found to be free again, and are told so in one write.
const MOST_RELEASED: usize = 16;

/// Has a channel opened on the chain. The very same request again changes nothing.
pub(super) fn intend<V: View>(view: &V, request: &IntendRequest) -> Decided<V> {
    let genesis = on_chain(view)?;
    let open = &request.open;
    check_fields(&genesis, open)?;
    let wanted = Wanted::open(open);
    if let Some(intent) = view.intent(&IntentKey::Open(open.id)).map_err(Fault::View)? {
        let again = match (&intent.wanted, &wanted) {
            (
                Wanted::Open { terms, opened_at, .. },
                Wanted::Open {
                    terms: asked,
                    opened_at: at,
                    ..
                },
            ) => terms == asked && opened_at == at,
            _ => false,
        };
        let intent = Box::new(intent);
        return match again {
            true => Ok((Vec::new(), Outcome::Intended { intent, again })),
            false => Err(Refusal::ChannelExists { channel: open.id }.into()),
        };
    }
    if view.channel(&open.id).map_err(Fault::View)?.is_some() {
        return Err(Refusal::ChannelExists { channel: open.id }.into());
    }
    let mut changes = Vec::new();
    changes.extend(bind(view, open, request.bound_by)?);

    let places = match open.kind {
        ChannelKind::Payment => 1,
        ChannelKind::Paying => 2,
    };
    let unfinished = check_place(view, places, Intent::MAX_UNFINISHED_ASKED)?;
    let mut line = Line::of(view, open.at)?;
    match open.kind {
        ChannelKind::Payment => {
            check_minimum(open, request.limits.payment_minimum)?;
            check_one_at_a_time(&unfinished, open)?;
        }
        ChannelKind::Paying => {
            changes.extend(check_limits(view, open, &request.limits)?);
            let amount = open.amount;
            let approve = line.give(
                IntentKey::Approve(open.id),
                Wanted::Approve { amount },
                request.gas.approve,
            )?;
            changes.push(Change::Intent(Box::new(approve)));
        }
    }
    check_rate(view, open, request.limits.rate)?;
    let intent = Box::new(line.give(IntentKey::Open(open.id), wanted, request.gas.open)?);
    changes.push(Change::Intent(intent.clone()));
    changes.push(Change::NonceLine(line.line));
    Ok((changes, Outcome::Intended { intent, again: false }))
}

/// Has the contract shown the state that a channel closes with. It is on record as both signed it, and stays: where it was
/// signed anew since, that is for the next time. While it is under way, or was taken, nothing changes.
pub(super) fn show<V: View>(view: &V, request: &ShowRequest) -> Decided<V> {
    on_chain(view)?;
    let id = request.channel;
    let refused = |what| Fault::Refused(Refusal::NotShown { channel: id, what });
    let channel = view.channel(&id).map_err(Fault::View)?;
    let channel = channel.ok_or(Fault::Refused(Refusal::ChannelUnknown { channel: id }))?;
    let none = || refused("it has none that the contract would take");
    let state = FinalState::of(&channel).ok_or_else(none)?;
    if channel.shown_at() < Some(request.not_before) {
        return Err(refused("it names a block that is too long past"));
    }
    let anchor = view.anchor(&id).map_err(Fault::View)?;
    if anchor.is_none_or(|anchor| anchor.orphaned.is_some()) {
        return Err(refused("the chain has no deposit behind it"));
    }
    let last = last_showing(view, &id).map_err(Fault::View)?;
    let round = match last {
        None => 0,
        Some((round, intent)) if matches!(intent.progress, Progress::Failed { .. }) => {
            round.saturating_add(1)
        }
        Some((_, intent)) => {
            let intent = Box::new(intent);
            return Ok((Vec::new(), Outcome::Intended { intent, again: true }));
        }
    };
    if round >= Intent::MAX_ROUNDS {
        return Err(refused("the contract did not take it as often as may be"));
    }
    check_place(view, 1, Intent::MAX_UNFINISHED)?;
    let mut line = Line::of(view, request.at)?;
    let key = IntentKey::Close { channel: id, round };
    let intent = Box::new(line.give(key, Wanted::Close(Box::new(state)), request.gas)?);
    let changes = vec![Change::Intent(intent.clone()), Change::NonceLine(line.line)];
    Ok((changes, Outcome::Intended { intent, again: false }))
}

/// The last transaction that shows the final state of a channel, and how many came before it.
///
/// # Errors
///
/// Whatever keeps `view` from being read.
pub fn last_showing<V: View>(view: &V, channel: &ChannelId) -> Result<Option<(u32, Intent)>, V::Error> {
    let mut last = None;
    for round in 0..Intent::MAX_ROUNDS {
        let key = IntentKey::Close {
            channel: *channel,
            round,
        };
        match view.intent(&key)? {
            Some(intent) => last = Some((round, intent)),
            None => break,
        }
    }
    Ok(last)
}

/// A transaction is signed, for more than before if it was.
pub(super) fn attempt<V: View>(view: &V, request: &AttemptRequest) -> Decided<V> {
    let nonce = request.nonce;
    let mut intent = unfinished(view, nonce)?;
    let refused = |what| Err(Refusal::AttemptRefused { nonce, what }.into());
    if intent.attempts.len() >= Intent::MAX_ATTEMPTS {
        return refused("it was signed as often as may be");
    }
    if let Some(last) = intent.attempts.last()
        && last.price.most() >= request.attempt.price.most()
    {
        return refused("it must pay more than its last form");
    }
    intent.attempts.push(request.attempt.clone());
    intent.progress = Progress::Sent;
    Ok((vec![Change::Intent(Box::new(intent))], Outcome::Done))
}

/// A transaction has come to its end, in blocks that the ledger has followed.
pub(super) fn conclude<V: View>(view: &V, request: &ConcludeRequest) -> Decided<V> {
    let nonce = request.nonce;
    let mut intent = unfinished(view, nonce)?;
    let opened = match &intent.key {
        IntentKey::Open(channel) => view.anchor(channel).map_err(Fault::View)?,
        IntentKey::Approve(_) | IntentKey::Clear(_) | IntentKey::Close { .. } | IntentKey::Consent(_) => None,
    };
    let opened = opened.filter(|anchor| anchor.orphaned.is_none());
    let opened = opened.map(|anchor| anchor.opened);
    let refused = |what| Fault::Refused(Refusal::NotItsEnd { nonce, what });
    let known = |mined: &Mined| {
        let ours = intent
            .attempts
            .iter()
            .any(|attempt| attempt.hash == mined.transaction);
        ours || opened.as_ref() == Some(mined)
    };
    let tip = view.chain_tip().map_err(Fault::View)?;
    let check = |mined: &Mined| {
        if !known(mined) {
            return Err(refused("that is no form of it"));
        }
        match tip.as_ref().is_some_and(|tip| tip.block.number >= mined.block) {
            true => Ok(()),
            false => Err(refused("its block does not count yet")),
        }
    };
    if let (IntentKey::Close { channel, .. }, Verdict::Mined(_)) = (&intent.key, &request.verdict) {
        let anchor = view.anchor(channel).map_err(Fault::View)?;
        if anchor.is_none_or(|anchor| anchor.closed.is_none()) {
            return Err(refused("the chain does not say that the channel is paid out"));
        }
    }
    let progress = match &request.verdict {
        Verdict::Mined(mined) => {
            check(mined)?;
            Progress::Mined(*mined)
        }
        Verdict::Reverted { mined, .. } if opened.is_none() => {
            check(mined)?;
            Progress::Failed {
                reason: reason_of(&request.verdict),
                mined: Some(*mined),
            }
        }
        Verdict::Displaced if opened.is_none() => Progress::Failed {
            reason: reason_of(&request.verdict),
            mined: None,
        },
        Verdict::Reverted { .. } | Verdict::Displaced => {
            return Err(refused("the chain says that the channel is open"));
        }
    };
    let failed = matches!(progress, Progress::Failed { .. });
    intent.progress = progress;
    let mut changes = vec![Change::Intent(Box::new(intent.clone()))];
    if let Some(terms) = intent.opens().filter(|_| failed)
        && terms.kind == ChannelKind::Paying
    {
        changes.extend(clear(view, terms.channel, request.at)?);
    }
    Ok((changes, Outcome::Concluded(Box::new(intent))))
}

/// The chain went back to before the transaction's end.
pub(super) fn reopen<V: View>(view: &V, nonce: Nonce) -> Decided<V> {
    on_chain(view)?;
    let mut intent = at(view, nonce)?;
    if intent.is_unfinished() {
        return Ok((Vec::new(), Outcome::Done));
    }
    intent.progress = match intent.attempts.is_empty() {
        true => Progress::Waiting,
        false => Progress::Sent,
    };
    if let Wanted::Open { released, .. } = &mut intent.wanted {
        *released = false;
    }
    Ok((vec![Change::Intent(Box::new(intent))], Outcome::Done))
}

/// The line of nonces begins, or passes over those that somebody else used.
pub(super) fn move_line<V: View>(view: &V, to: Nonce) -> Decided<V> {
    on_chain(view)?;
    let line = match view.nonce_line().map_err(Fault::View)? {
        None => NonceLine {
            first: to,
            next: to,
            skipped: 0,
        },
        Some(line) if to == line.next => return Ok((Vec::new(), Outcome::Done)),
        Some(_) if !view.unfinished_intents().map_err(Fault::View)?.is_empty() => {
            return Err(Refusal::LineBusy.into());
        }
        // What was passed over was nobody's after all: whoever said so was wrong.
        Some(line) if to < line.next => {
            let last = view.last_intent().map_err(Fault::View)?;
            let given = last.map_or(line.first, |last| last.nonce.next().unwrap_or(last.nonce));
            let next = to.max(given);
            let back = line.next.0.saturating_sub(next.0);
            let skipped = line.skipped.checked_sub(back).ok_or(Refusal::LineBusy)?;
            NonceLine {
                next,
                skipped,
                ..line
            }
        }
        Some(line) => NonceLine {
            next: to,
            skipped: line.skipped.saturating_add(to.0.saturating_sub(line.next.0)),
            ..line
        },
    };
    Ok((vec![Change::NonceLine(line)], Outcome::Done))
}

/// Whether so many more transactions may be under way, of `most` together. Yields those that are.
pub(super) fn check_place<V: View>(
    view: &V,
    places: usize,
    most: usize,
) -> Result<Vec<Intent>, Fault<V::Error>> {
    let unfinished = view.unfinished_intents().map_err(Fault::View)?;
    match unfinished.len().saturating_add(places) > most {
        true => Err(Refusal::OutboxFull {
            unfinished: unfinished.len(),
            most,
        }
        .into()),
        false => Ok(unfinished),
    }
}

pub(super) fn on_chain<V: View>(view: &V) -> Result<Genesis, Fault<V::Error>> {
    let genesis = genesis_of(view)?;
    match genesis.local {
        true => Err(Refusal::NoChain.into()),
        false => Ok(genesis),
    }
}

fn at<V: View>(view: &V, nonce: Nonce) -> Result<Intent, Fault<V::Error>> {
    let intent = view.intent_at(nonce).map_err(Fault::View)?;
    intent.ok_or(Fault::Refused(Refusal::IntentUnknown { nonce }))
}

fn unfinished<V: View>(view: &V, nonce: Nonce) -> Result<Intent, Fault<V::Error>> {
    on_chain(view)?;
    let intent = at(view, nonce)?;
    match intent.is_unfinished() {
        true => Ok(intent),
        false => Err(Refusal::IntentFinished { nonce }.into()),
    }
}

/// The nonces that are given out, and the next of them.
pub(super) struct Line {
    pub(super) line: NonceLine,
    at: Nanos,
}

impl Line {
    pub(super) fn of<V: View>(view: &V, at: Nanos) -> Result<Self, Fault<V::Error>> {
        let line = view.nonce_line().map_err(Fault::View)?;
        let line = line.ok_or(Fault::Refused(Refusal::NoNonce))?;
        Ok(Self { line, at })
    }

    /// A new transaction at the end of the line.
    pub(super) fn give(&mut self, key: IntentKey, wanted: Wanted, gas_limit: u64) -> Result<Intent, Refusal> {
        let nonce = self.line.next;
        self.line.next = nonce.next().ok_or(Refusal::Overflow)?;
        Ok(Intent {
            key,
            wanted,
            nonce,
            gas_limit,
            attempts: Vec::new(),
            progress: Progress::Waiting,
            at: self.at,
        })
    }
}

/// The delegate is not another actor's, and this actor's from now on if it says so itself.
fn bind<V: View>(
    view: &V,
    open: &OpenRequest,
    bound_by: Option<Address>,
) -> Result<Option<Change>, Fault<V::Error>> {
    let OpenRequest { delegate, actor, .. } = *open;
    if let Some(signer) = bound_by.filter(|signer| *signer != delegate) {
        return Err(Refusal::DelegateUnproven { delegate, signer }.into());
    }
    match view.binding(&delegate).map_err(Fault::View)? {
        Some(binding) if binding.actor != actor => Err(Refusal::DelegateTaken {
            delegate,
            actor: binding.actor,
        }
        .into()),
        None if bound_by.is_some() => {
            let binding = Binding {
                actor,
                channel: open.id,
                at: open.at,
            };
            Ok(Some(Change::Binding(delegate, binding)))
        }
        _ => Ok(None),
    }
}

/// Less is not worth the gas.
fn check_minimum(open: &OpenRequest, minimum: Amount) -> Result<(), Refusal> {
    let got = open.amount;
    match got < minimum {
        true => Err(Refusal::DepositMinimum { minimum, got }),
        false => Ok(()),
    }
}

/// The contract takes what the actor allowed it to take: of two openings over one allowance the second would fail.
fn check_one_at_a_time(unfinished: &[Intent], open: &OpenRequest) -> Result<(), Refusal> {
    let same = |terms: &&ChannelTerms| terms.kind == ChannelKind::Payment && terms.actor == open.actor;
    match unfinished.iter().filter_map(Intent::opens).find(same) {
        None => Ok(()),
        Some(terms) => Err(Refusal::OpenUnderWay {
            actor: open.actor,
            channel: terms.channel,
        }),
    }
}

/// No more channels are opened for the actor than are paid for in a while.
fn check_rate<V: View>(view: &V, open: &OpenRequest, rate: OpeningRate) -> Result<(), Fault<V::Error>> {
    let actor = open.actor;
    let refused = |again_at| Refusal::OpeningRate {
        actor,
        most: rate.most,
        within: rate.within,
        again_at,
        at: open.at,
    };
    let Some(skip) = rate.most.checked_sub(1) else {
        return Err(refused(Nanos(u64::MAX)).into());
    };
    let last = view.openings_wanted(&actor, skip).map_err(Fault::View)?;
    let again_at = last.map(|last| Nanos(last.0.saturating_add(rate.within.0)));
    match again_at.filter(|again_at| *again_at > open.at) {
        Some(again_at) => Err(refused(again_at).into()),
        None => Ok(()),
    }
}

/// What is locked for the provider, and for all, with this channel's deposit. Yields what is found to be free again.
fn check_limits<V: View>(
    view: &V,
    open: &OpenRequest,
    limits: &PayingLimits,
) -> Result<Vec<Change>, Fault<V::Error>> {
    let got = open.amount;
    check_minimum(open, limits.minimum)?;
    let above = |locked: Amount, most| locked.checked_add(got).is_none_or(|all| all > most);
    let provider = open.actor;
    let (locked, _) = self::locked(view, Some(&provider))?;
    if above(locked, limits.provider) {
        return Err(Refusal::PayingLimit {
            provider,
            limit: limits.provider,
            locked,
            got,
        }
        .into());
    }
    let (locked, free) = self::locked(view, None)?;
    if above(locked, limits.cap) {
        return Err(Refusal::PayingCap {
            cap: limits.cap,
            locked,
            got,
        }
        .into());
    }
    Ok(free)
}

/// Tokens that the market maker has locked, or is about to: for one provider, or for all. And the channels that are paid
/// out for good, which need not be looked at again.
fn locked<V: View>(view: &V, provider: Option<&Address>) -> Result<(Amount, Vec<Change>), Fault<V::Error>> {
    let kept = view.applied_below(UNKNOWN_BLOCK, 1).map_err(Fault::View)?;
    let oldest = kept.first().copied();
    let (mut sum, mut free) = (Amount::ZERO, Vec::new());
    for mut intent in view.locking_intents(provider).map_err(Fault::View)? {
        let Some((id, amount)) = intent.opens().map(|terms| (terms.channel, terms.amount)) else {
            continue;
        };
        let channel = view.channel(&id).map_err(Fault::View)?;
        if channel.is_some_and(|channel| channel.state == ChannelState::Closed) {
            let anchor = view.anchor(&id).map_err(Fault::View)?;
            let closed = anchor.and_then(|anchor| anchor.closed);
            let for_good = closed.is_some_and(|(_, mined)| oldest.is_some_and(|oldest| mined.block < oldest));
            if let Wanted::Open { released, .. } = &mut intent.wanted
                && for_good
                && free.len() < MOST_RELEASED
            {
                *released = true;
                free.push(Change::Intent(Box::new(intent)));
            }
            continue;
        }
        sum = sum.saturating_add(amount);
    }
    Ok((sum, free))
}

/// What XBRChannel may still take for a paying channel that was not opened, it may take no more.
fn clear<V: View>(view: &V, channel: ChannelId, at: Nanos) -> Result<Vec<Change>, Fault<V::Error>> {
    let approved = view.intent(&IntentKey::Approve(channel));
    let approved = approved.map_err(Fault::View)?;
    let cleared = view.intent(&IntentKey::Clear(channel)).map_err(Fault::View)?;
    let (Some(approved), None) = (approved, cleared) else {
        return Ok(Vec::new());
    };
    let amount = Amount::ZERO;
    let mut line = Line::of(view, at)?;
    let intent = line.give(
        IntentKey::Clear(channel),
        Wanted::Approve { amount },
        approved.gas_limit,
    )?;
    Ok(vec![
        Change::Intent(Box::new(intent)),
        Change::NonceLine(line.line),
    ])
}

/// Why a transaction failed, no longer than is kept.
fn reason_of(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Reverted { reason, .. } => reason.chars().take(Intent::MAX_REASON).collect(),
        Verdict::Mined(_) | Verdict::Displaced => {
            "its nonce was taken by a transaction that is none of this \
             ledger's: somebody else sends with the market maker's key"
                .to_owned()
        }
    }
}
