//! `bourse ledger schema`: how a ledger lies on the disk.

use crate::config::Config;
use crate::output::{self, Form};
use bourse_store::{Schema, Store};
use std::process::ExitCode;

/// Prints the tables with their sizes, then the layouts of records.
pub(super) fn run(config: &Config) -> anyhow::Result<ExitCode> {
    let store = Store::open_read_only(&config.store.path, config.store.map_size)?;
    let schema = store.read().and_then(|ledger| ledger.schema())?;
    match output::form() {
        Form::Json => output::json(&schema)?,
        Form::Table => tell(&schema),
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(schema: &Schema) {
    say!(
        "schema {}; a record is one byte of version {}, then postcard",
        schema.number,
        schema.encoding
    );
    for table in &schema.tables {
        say!("");
        say!("{}: {} entries, {} bytes", table.name, table.entries, table.bytes);
        say!("    {}", table.about);
        if let Some(record) = &table.record {
            say!("    {record}");
        }
    }
    for layout in &schema.types {
        say!("");
        say!("{}", layout.name);
        for part in &layout.parts {
            say!("    {part}");
        }
    }
}
