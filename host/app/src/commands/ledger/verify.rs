//! `bourse ledger verify`: every record against every rule.

use crate::commands::bar::Bar;
use crate::config::Config;
use crate::output;
use bourse_store::{Report, Store};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Reads every record and checks every invariant.
pub(super) fn run(config: &Config) -> anyhow::Result<ExitCode> {
    let store = Store::open_read_only(&config.store.path, config.store.map_size)?;
    let mut bar = Bar::new("verifying");
    let report = store
        .read()
        .and_then(|ledger| ledger.verify(&mut |done, all| bar.show(done, all)))?;
    drop(bar);
    match output::asked() {
        Some(output::Form::Json) => output::json(&document(&report))?,
        _ => tell(&report),
    }
    Ok(if report.is_sound() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What was found, for scripts; amounts are decimal strings of base units.
fn document(report: &Report) -> Value {
    let (checked, sums) = (report.checked, report.sums);
    let violations: Vec<String> = report.violations.iter().map(ToString::to_string).collect();
    json!({
        "sound": report.is_sound(),
        "violations": violations,
        "checked": {
            "accounts": checked.accounts,
            "channels": checked.channels,
            "suspended_channels": checked.suspended_channels,
            "quarantined_channels": checked.quarantined_channels,
            "offers": checked.offers,
            "purchases": checked.purchases,
            "posted": checked.posted,
            "pending": checked.sent,
            "escrow_sales": checked.escrow_sales,
            "escrowed_keys": checked.escrowed_keys,
            "decisions": checked.decisions,
            "registered": checked.registered,
            "consents": checked.consents,
            "index_entries": report.entries,
        },
        "sums": {
            "endowed": sums.endowed,
            "accounts": sums.accounts,
            "channels": sums.channels,
            "spent": sums.debits,
            "earned": sums.credits,
            "prepaid": sums.prepaid,
            "owed": sums.owed,
            "fees": sums.fees,
        },
    })
}

/// Prints what was found.
pub(super) fn tell(report: &Report) {
    for violation in &report.violations {
        say!("VIOLATION {violation}");
    }
    let (checked, sums) = (report.checked, report.sums);
    say!(
        "checked   {} accounts, {} channels, {} offers, {} purchases ({} posted, {} pending), {} decisions, {} index \
         entries",
        checked.accounts,
        checked.channels,
        checked.offers,
        checked.purchases,
        checked.posted,
        checked.sent,
        checked.decisions,
        report.entries
    );
    say!("endowed   {} tokens", sums.endowed);
    say!("accounts  {} tokens", sums.accounts);
    say!(
        "channels  {} tokens, of which buyers spent {} and sellers earned {}",
        sums.channels,
        sums.debits,
        sums.credits
    );
    if checked.registered > 0 || checked.consents > 0 {
        say!(
            "registry  {} members, markets, actors, catalogs and APIs, {} consents",
            checked.registered,
            checked.consents
        );
    }
    if !sums.prepaid.is_zero() {
        say!(
            "prepaid   {} tokens of what sellers earned, for purchases that their buyers were not charged for",
            sums.prepaid
        );
    }
    if checked.escrow_sales > 0 || checked.escrowed_keys > 0 {
        say!(
            "escrow    {} keys, {} sales, for which {} tokens are owed to their sellers",
            checked.escrowed_keys,
            checked.escrow_sales,
            sums.owed
        );
    }
    if checked.suspended_channels > 0 {
        say!(
            "suspended {} paying channels wait for their sellers, or for `bourse ledger release`",
            checked.suspended_channels
        );
    }
    if checked.quarantined_channels > 0 {
        say!(
            "shut      {} channels are in quarantine since the ledger was restored: see `bourse ledger quarantine`",
            checked.quarantined_channels
        );
    }
    if report.is_sound() {
        say!("every invariant holds");
    } else {
        say!("{} violations", report.violations.len());
    }
}
