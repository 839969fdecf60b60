//! `bourse ledger release` and `upgrade`, for a ledger that no host has open, and `bind`, for one that a host has.

use crate::bind;
use crate::config::Config;
use crate::control::{self, Attachment};
use anyhow::Context;
use bourse_chain::checksum;
use bourse_market::{Address, ChannelId, Command, View};
use bourse_store::{Options, SCHEMA, Store};
use std::process::ExitCode;

/// `bourse ledger release`: the operator's decision about a channel that its seller may not release any more.
pub(super) fn release(config: &Config, channel: ChannelId) -> anyhow::Result<ExitCode> {
    let folder = &config.store.path;
    let store = open_for_writing(config)?;
    let record = store.read().and_then(|ledger| ledger.channel(&channel))?;
    let record = record.with_context(|| format!("there is no channel {channel} in {}", folder.display()))?;
    let Some(suspension) = &record.suspended else {
        say!("channel {channel} is not suspended");
        return Ok(ExitCode::SUCCESS);
    };
    store.submit_blocking(Command::ReleaseChannel {
        channel,
        by_operator: true,
    })?;
    store.shutdown();
    say!(
        "channel {channel} sells again, from seq {} with {} left",
        record.seq,
        record.posted_remaining()
    );
    say!("abandoned: purchase {}, {}", suspension.purchase, suspension.why);
    Ok(ExitCode::SUCCESS)
}

/// `bourse ledger upgrade`: converts a ledger that an earlier version wrote, as opening it for writing does.
pub(super) fn upgrade(config: &Config) -> anyhow::Result<ExitCode> {
    let store = open_for_writing(config)?;
    let counts = store.read().and_then(|ledger| ledger.counts())?;
    store.shutdown();
    say!(
        "the ledger in {} has schema {SCHEMA}: {} channels, {} offers, {} purchases",
        config.store.path.display(),
        counts.channels,
        counts.offers,
        counts.purchases
    );
    Ok(ExitCode::SUCCESS)
}

/// `bourse ledger bind`: tells the running market whose a delegate is.
pub(super) fn bind(config: &Config, delegate: Address, actor: Address) -> anyhow::Result<ExitCode> {
    let request = control::Request::Bind(bind::Request { delegate, actor });
    let answer = control::call(&config.store.path, request, Attachment::default())?;
    let reply: bind::Reply = serde_json::from_value(answer).context("the market's answer makes no sense")?;
    say!("delegate {} is {}'s", checksum(delegate), checksum(actor));
    for channel in &reply.channels {
        say!("channel {channel} may be used");
    }
    Ok(ExitCode::SUCCESS)
}

/// The ledger, which no host may have open, whatever market it is of.
fn open_for_writing(config: &Config) -> anyhow::Result<Store> {
    let folder = &config.store.path;
    let stamp =
        Store::stamp(folder)?.with_context(|| format!("there is no ledger in {}", folder.display()))?;
    let options = Options {
        map_size: config.store.map_size,
        ..Options::at(folder)
    };
    Ok(Store::open(options, &stamp)?)
}
