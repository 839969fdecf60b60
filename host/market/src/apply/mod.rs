//! The state machine: one file for each family of commands.
//!
//! What lives here: every decision about money, offers and channels, taken from the records of a [`View`] at the
//! moment of the write. A command becomes the records to write and an outcome, or a refusal and nothing.
//!
//! What never does: recovering signatures (a command carries whom they recover to), pricing, waiting. And no rule of
//! a purchase is decided anywhere else: callers may check earlier for a quicker answer, never instead.

mod carry;
mod chain;
mod close;
mod escrow;
mod genesis;
mod login;
mod offers;
mod open;
mod order;
mod outbox;
mod quarantine;
mod recover;
mod register;
mod release;
mod reserve;
mod resolve;
mod state;
mod sweep;
mod voucher;

pub use offers::check_on_sale;
pub use order::{find_receipt, find_replay};
pub use outbox::last_showing;
pub use recover::nettings;

use crate::{Changes, Command, Fault, Genesis, Outcome, Refusal, View};

/// What deciding a command comes to.
type Decided<V> = Result<(Changes, Outcome), Fault<<V as View>::Error>>;

/// Decides one command. On refusal nothing changes.
///
/// # Errors
///
/// [`Fault::Refused`] if the rules say no, [`Fault::View`] if a record could not be read.
pub fn apply<V: View>(view: &V, command: &Command) -> Result<(Changes, Outcome), Fault<V::Error>> {
    match command {
        Command::Genesis(genesis) => genesis::endow(view, genesis),
        Command::Fund(request) => genesis::fund(view, request),
        Command::Open(request) => open::open(view, request),
        Command::Bind(request) => open::bind(view, request),
        Command::Close(request) => close::close(view, request),
        Command::Place(request) => offers::place(view, request),
        Command::Revoke(request) => offers::revoke(view, request),
        Command::Sweep(request) => sweep::sweep(view, request),
        Command::Reserve(request) => reserve::reserve(view, request),
        Command::Deliver(request) => escrow::deliver(view, request),
        Command::Recover(request) => recover::recover(view, request),
        Command::Post(request) => resolve::post(view, request),
        Command::Void(request) => resolve::void(view, request),
        Command::ReleaseChannel { channel, by_operator } => release::channel(view, channel, *by_operator),
        Command::ReleasePair(key) => release::pair(view, key),
        Command::Quarantine { channel, at } => quarantine::shut(view, channel, *at),
        Command::Reconcile(request) => quarantine::reconcile(view, request),
        Command::Register(registration) => register::register(view, registration),
        Command::Consent(request) => register::consent(view, request),
        Command::Withdraw(request) => register::withdraw(view, request),
        Command::Login(request) => login::login(view, request),
        Command::Logout { key, at } => login::logout(view, key, *at),
        Command::Advance(request) => chain::advance(view, request),
        Command::Unwind(request) => chain::unwind(view, request),
        Command::Intend(request) => outbox::intend(view, request),
        Command::Show(request) => outbox::show(view, request),
        Command::Renew(request) => voucher::renew(view, request),
        Command::Lapse { channel, close_at } => voucher::lapse(view, *channel, *close_at),
        Command::Carry(request) => carry::carry(view, request),
        Command::Attempt(request) => outbox::attempt(view, request),
        Command::Conclude(request) => outbox::conclude(view, request),
        Command::Reopen(nonce) => outbox::reopen(view, *nonce),
        Command::MoveLine(nonce) => outbox::move_line(view, *nonce),
    }
}

/// Whose ledger this is; nothing but genesis itself works without.
fn genesis_of<V: View>(view: &V) -> Result<Genesis, Fault<V::Error>> {
    let genesis = view.genesis().map_err(Fault::View)?;
    genesis.ok_or(Fault::Refused(Refusal::NoGenesis))
}
