//! `bourse ledger …`: what an operator does with a ledger.
//!
//! What lives here: one file for each command, or for a few that belong together. What never does: a rule of the ledger
//! (`bourse-market`), and how it lies on the disk (`bourse-store`).

mod backup;
mod export;
mod quarantine;
mod schema;
mod upkeep;
mod verify;

pub(crate) use export::line;

use crate::config::Config;
use bourse_market::{Address, ChannelId};
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

/// The commands about the ledger.
#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Check every invariant of the ledger. May run beside the host. Exit code 1 on any violation.
    ///
    /// What it found is text wherever it goes, and one JSON document with --output json.
    Verify,
    /// Copy the ledger, as it is at this moment, into the new folder DEST. May run beside the host.
    ///
    /// The copy is verified before it counts. It holds no key: whoever restores it needs marketmaker.key, so keep that
    /// apart. Policies and their revisions are plain files of the data folder, to be copied as they are.
    Backup {
        /// The folder, which must not hold a ledger yet.
        #[arg(value_name = "DEST")]
        target: PathBuf,
    },
    /// Make a data folder (--data) of a backup. Every channel stays shut until it is reconciled, or its loss accepted.
    ///
    /// What both sides of a channel signed after the backup was taken is not in it. So each channel is in quarantine:
    /// its counterparty shows the latest state it signed, and you pass it to `bourse ledger reconcile`.
    Restore {
        /// The folder of the backup.
        #[arg(value_name = "BACKUP")]
        backup: PathBuf,
    },
    /// List the channels that are in quarantine, by delegate. May run beside the host.
    Quarantine(quarantine::ListArgs),
    /// Let a channel of the running market out of quarantine by the latest state that its delegate signed.
    ///
    /// The ledger's own state releases it. A later one shows that sales are missing: what is lost is told, and nothing
    /// changes unless you add --accept-loss. An earlier one is refused.
    Reconcile(quarantine::ReconcileArgs),
    /// Let channels of the running market out of quarantine where the ledger has them, without a state of the other side.
    ///
    /// Whatever they moved by since the backup is lost: what a buyer spent, it may spend again; a seller that shows no
    /// state goes on unpaid for what it sold since, or stops selling.
    AcceptLoss(quarantine::AcceptArgs),
    /// Tell the running market whose a delegate is. On a chain anybody may open a channel that names anybody's delegate:
    /// without this word no channel that names it is used.
    ///
    /// A delegate has one actor, for good.
    Bind {
        /// The delegate: 0x and 40 hex digits.
        #[arg(value_name = "DELEGATE")]
        delegate: Address,
        /// The member that its channels belong to.
        #[arg(value_name = "ACTOR")]
        actor: Address,
    },
    /// Write every record as a line of JSON: amounts as decimal strings of base units, ids as 0x and hex. May run beside
    /// the host.
    Export(export::ExportArgs),
    /// Show the tables, what is in them, and how records are laid out. May run beside the host.
    Schema,
    /// Let a suspended paying channel sell again, from its last posted state. The host must be stopped.
    ///
    /// A seller whose answer was unclear releases its channel by starting afresh, once. After a second unclear answer
    /// without a sale between, it is yours to decide: the seller may hold a signed state that it was never paid for, and
    /// what you risk is the price of that one purchase.
    Release {
        /// The channel: 0x and 32 hex digits, as the buyer's error and the host's log name it.
        #[arg(long, value_name = "CHANNEL")]
        channel: ChannelId,
    },
    /// Convert a ledger that an earlier version wrote, as `serve` does at its start. The host must be stopped.
    ///
    /// All of it is converted, or nothing; there is no way back, so make a backup with the earlier version first.
    Upgrade,
}

/// Runs one of them. Exit codes as everywhere: 0 done, 1 a check failed, 2 usage, 3 no host.
pub(crate) fn run(config: &Config, command: &LedgerCommand) -> anyhow::Result<ExitCode> {
    match command {
        LedgerCommand::Verify => verify::run(config),
        LedgerCommand::Backup { target } => backup::take(config, target),
        LedgerCommand::Restore { backup } => backup::restore(config, backup),
        LedgerCommand::Quarantine(args) => quarantine::list(config, args),
        LedgerCommand::Reconcile(args) => quarantine::reconcile(config, args),
        LedgerCommand::AcceptLoss(args) => quarantine::accept_loss(config, args),
        LedgerCommand::Bind { delegate, actor } => upkeep::bind(config, *delegate, *actor),
        LedgerCommand::Export(args) => export::run(config, args),
        LedgerCommand::Schema => schema::run(config),
        LedgerCommand::Release { channel } => upkeep::release(config, *channel),
        LedgerCommand::Upgrade => upkeep::upgrade(config),
    }
}
