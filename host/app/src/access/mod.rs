//! Who may see and do what: asked once for each call, before the procedure itself, and once for each event.
//!
//! What lives here: the table, who a caller is, what concerns whom. What never does: what a procedure checks of a signature
//! or of money, which it and the ledger do whoever calls.

mod caller;
mod events;
mod logins;
mod sessions;
mod table;

pub(crate) use caller::{
    Caller, ROLE_DELEGATE, ROLE_MEMBER, authid_of_delegate, authid_of_member, claimed, part_of, party_of,
};
pub(crate) use events::deliveries;
pub(crate) use logins::{CameBy, Decided, Login, Logins, Standing};
pub(crate) use sessions::Proven;
pub use table::{Cell, Object, Role, Row, Rule, TABLE, in_words};

use crate::config::Access;
use crate::market::Market;
use crate::wire::{FromValue, fault, uri};
use bourse_market::{Address, ChannelId, View};
use bourse_wamp::{Invocation, Value, WampError};

/// What the call may come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Whatever the procedure answers.
    Granted,
    /// What it is about cannot be read off the arguments: the procedure is to say what is wrong with them, and nothing else.
    ForItsError,
}

/// Asks the table.
///
/// # Errors
///
/// `bourse.error.not_authorized`, the same whether what was asked about exists or not.
pub(crate) fn admit(market: &Market, row: &Row, invocation: &Invocation) -> Result<Admission, WampError> {
    let rule = row.rule(market.terms.access);
    // Where nothing depends on who calls, nobody is asked.
    if matches!(rule, Rule::Everybody | Rule::Signed | Rule::ConcernedOrSigned) {
        return Ok(Admission::Granted);
    }
    let mut caller = Caller::of(market, invocation)?;
    if market.terms.access == Access::Members {
        caller = caller.standing(market)?;
    }
    let mut own = false;
    for role in caller.roles() {
        match rule.cell(role) {
            Cell::Yes | Cell::Signed | Cell::OwnOrSigned => return Ok(Admission::Granted),
            Cell::Own => own = true,
            Cell::No => {}
        }
    }
    if own && let Rule::Concerned(object) | Rule::NotAnothers(object) = rule {
        return match concerns(market, &caller, object, invocation)? {
            Some(true) => Ok(Admission::Granted),
            Some(false) => Err(fault(
                uri::NOT_AUTHORIZED,
                format!(
                    "{}: this is not the caller's own, or there is no such thing",
                    row.procedure
                ),
            )),
            None => Ok(Admission::ForItsError),
        };
    }
    let roles: Vec<_> = Role::ALL
        .into_iter()
        .filter(|role| rule.cell(*role) != Cell::No)
        .map(Role::name)
        .collect();
    Err(fault(
        uri::NOT_AUTHORIZED,
        format!(
            "{} is for {} here: log in as one",
            row.procedure,
            roles.join(", ")
        ),
    ))
}

/// Whether a caller speaks for a seller's delegate where offers are not placed by just anybody.
pub(crate) fn speaks_for(market: &Market, caller: &Caller, delegate: &Address) -> Result<bool, WampError> {
    if market.terms.access == Access::Open {
        return Ok(true);
    }
    let caller = caller.standing(market)?;
    is_delegate_or_its_actor(market, &caller, delegate)
}

/// Whether what the call is about concerns the caller; none if the arguments do not name it.
fn concerns(
    market: &Market,
    caller: &Caller,
    object: Object,
    invocation: &Invocation,
) -> Result<Option<bool>, WampError> {
    match object {
        Object::Channel(name) => {
            let Some(id) = named::<ChannelId>(invocation, name) else {
                return Ok(None);
            };
            let channel = market.read(|ledger| ledger.channel(&id))?;
            let own = channel.is_some_and(|channel| {
                caller.member == Some(channel.actor) || caller.is_delegate(&channel.delegate)
            });
            Ok(Some(own))
        }
        Object::Delegate(name) => named(invocation, name)
            .map(|delegate| is_delegate_or_its_actor(market, caller, &delegate))
            .transpose(),
        Object::Member(name) => Ok(named(invocation, name).map(|member| caller.member == Some(member))),
    }
}

fn is_delegate_or_its_actor(market: &Market, caller: &Caller, delegate: &Address) -> Result<bool, WampError> {
    if caller.is_delegate(delegate) {
        return Ok(true);
    }
    let Some(member) = caller.member else {
        return Ok(false);
    };
    let binding = market.read(|ledger| ledger.binding(delegate))?;
    Ok(binding.is_some_and(|binding| binding.actor == member))
}

/// The argument that names what a call is about; it is the first of every procedure that has one.
fn named<T: FromValue>(invocation: &Invocation, name: &str) -> Option<T> {
    let value: &Value = match invocation.args.first() {
        Some(value) => value,
        None => invocation.kwargs.get(name)?,
    };
    T::from_value(value.clone())
}
