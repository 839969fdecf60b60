//! `bourse ledger export`: the ledger as lines of JSON, for whoever audits it with tools of their own.

use crate::commands::bar::Bar;
use crate::config::Config;
use anyhow::{Context, ensure};
use bourse_market::registry::Registration;
use bourse_market::{Change, Decision};
use bourse_store::{Reader, Store};
use clap::Args;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

/// Records between two movements of the bar.
const STRIDE: u64 = 1024;

/// `bourse ledger export`
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Only the records of this table. May be given several times; `bourse ledger schema` names them.
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
    /// Write to this file, in the place of what is there, instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Writes one snapshot of the ledger: all lines show the same moment.
pub(super) fn run(config: &Config, args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let known: Vec<&str> = Reader::exported().collect();
    for table in &args.tables {
        ensure!(
            known.contains(&table.as_str()),
            "there is no table `{table}` to export, there are {}",
            known.join(", ")
        );
    }
    let store = Store::open_read_only(&config.store.path, config.store.map_size)?;
    let ledger = store.read()?;
    let wanted = known
        .into_iter()
        .filter(|table| args.tables.is_empty() || args.tables.iter().any(|wanted| wanted == table));
    match &args.out {
        None => match lines(&ledger, wanted, &mut BufWriter::new(io::stdout().lock())) {
            // Whoever read them had enough.
            Err(error) if is_closed_pipe(&error) => Ok(ExitCode::SUCCESS),
            written => written.map(|_| ExitCode::SUCCESS),
        },
        Some(path) => {
            let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            let mut out = BufWriter::new(file);
            let written = lines(&ledger, wanted, &mut out)?;
            out.get_ref().sync_all()?;
            eprintln!("{written} records written to {}", path.display());
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.downcast_ref().is_some_and(closed)
}

fn lines<'t>(
    ledger: &Reader<'_>,
    tables: impl Iterator<Item = &'t str>,
    out: &mut dyn Write,
) -> anyhow::Result<u64> {
    let tables: Vec<&str> = tables.collect();
    let schema = ledger.schema()?;
    let sizes = schema.tables.iter().filter(|table| tables.contains(&table.name));
    let all = sizes.fold(0u64, |sum, table| sum.saturating_add(table.entries));
    let mut bar = Bar::new("exporting");
    let mut written = 0u64;
    for table in tables {
        let mut failed = None;
        ledger.export(table, &mut |record| match write(out, table, record) {
            Ok(()) => {
                written = written.saturating_add(1);
                if written.is_multiple_of(STRIDE) {
                    bar.show(written, all);
                }
                ControlFlow::Continue(())
            }
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
    }
    out.flush()?;
    Ok(written)
}

fn write(out: &mut dyn Write, table: &str, record: Change) -> anyhow::Result<()> {
    Ok(writeln!(out, "{}", line(table, record)?)?)
}

/// A record as it is written.
pub(crate) fn line(table: &str, record: Change) -> serde_json::Result<String> {
    Ok(json!({ "table": table, "record": spell(record)? }).to_string())
}

/// A record with what its key alone says.
fn spell(record: Change) -> serde_json::Result<Value> {
    Ok(match record {
        Change::Genesis(record) => json!(record),
        Change::Totals(record) => json!(record),
        Change::Account(address, record) => keyed("address", &address, json!(record)),
        Change::Binding(delegate, record) => keyed("delegate", &delegate, json!(record)),
        Change::Channel(record) => serde_json::to_value(record)?,
        Change::Reconciliation(record) => serde_json::to_value(record)?,
        Change::Offer(record) => serde_json::to_value(record)?,
        Change::Purchase(record) => serde_json::to_value(record)?,
        Change::EscrowSale(record) => serde_json::to_value(record)?,
        // Whom a ledger is shown to is not to hold even its encrypted keys.
        Change::EscrowedKey(key, _) => json!({ "key": key }),
        Change::Debt(delegate, record) => keyed("delegate", &delegate, json!(record)),
        Change::EscrowPayment(channel, record) => keyed("channel", &channel, json!(record)),
        Change::Registered(record) => match *record {
            Registration::Member(record) => json!(record),
            Registration::Market(record) => json!(record),
            Registration::Actor(record) => json!(record),
            Registration::Catalog(record) => json!(record),
            Registration::Api(record) => json!(record),
            Registration::Consent(record) => json!(record),
        },
        Change::Unregistered(key) => json!({ "removed": key }),
        Change::UserKey(key, record) => json!({ "key": key, "login": record }),
        Change::Block(number, record) => json!({ "number": number, "block": record }),
        Change::Anchor(channel, record) => keyed("channel", &channel, json!(record)),
        Change::Intent(record) => serde_json::to_value(record)?,
        Change::Voucher(channel, record) => json!({ "channel": channel, "voucher": record }),
        Change::NonceLine(record) => json!(record),
        Change::Pair(key, record) => json!({ "key": key, "pair": record }),
        Change::Decision(record) => {
            let Decision { id, header, body } = *record;
            json!({ "id": id, "header": header, "body": hex(&body) })
        }
        Change::PolicyValue(slot, value) => {
            json!({ "policy": slot.policy, "key": slot.key, "value": value.as_deref().map(hex) })
        }
        Change::PolicyCounter(slot, count) => {
            json!({ "policy": slot.policy, "key": slot.key, "count": count })
        }
        Change::PolicySize(policy, size) => json!({ "policy": policy, "bytes": size }),
    })
}

fn keyed(name: &str, key: &impl ToString, mut record: Value) -> Value {
    if let Value::Object(fields) = &mut record {
        fields.insert(name.to_owned(), Value::String(key.to_string()));
    }
    record
}

fn hex(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}
