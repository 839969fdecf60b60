//! What parsing alone cannot see: whether settings make sense, each by itself and beside others. All that do not are found at
//! once.

use super::{Chain, Config, Market, Policies, Wamp, connect, role, user};
use anyhow::anyhow;
use std::fmt::Display;

/// A setting that makes no sense.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Its path: `market.sell_deadline_ms`, `policies.rule.0`.
    pub(crate) key: String,
    /// What is wrong, with what would be right.
    pub(crate) error: anyhow::Error,
}

/// Those that were found.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    /// Notes why a setting makes no sense, if it does not.
    pub(crate) fn check(&mut self, key: impl Into<String>, checked: anyhow::Result<()>) {
        if let Err(error) = checked {
            let key = key.into();
            self.0.push(Fault { key, error });
        }
    }

    /// The same, in words.
    pub(crate) fn unless<W: Display>(&mut self, holds: bool, key: &str, words: impl FnOnce() -> W) {
        if !holds {
            self.check(key, Err(anyhow!("{}", words())));
        }
    }

    /// Those of a part, which stands at `key`.
    pub(crate) fn within(&mut self, key: &str, about: &str, part: Faults) {
        self.0.extend(part.0.into_iter().map(|fault| Fault {
            key: format!("{key}.{}", fault.key),
            error: fault.error.context(about.to_owned()),
        }));
    }

    /// All of them.
    pub(crate) fn into_vec(self) -> Vec<Fault> {
        self.0
    }

    /// All of them as one error.
    pub(crate) fn into_result(mut self) -> anyhow::Result<()> {
        match (self.0.pop(), self.0.len()) {
            (None, _) => Ok(()),
            (Some(only), 0) => Err(only.error),
            (Some(last), others) => {
                self.0.push(last);
                let all: Vec<_> = self.0.iter().map(|fault| format!("{:#}", fault.error)).collect();
                Err(anyhow!(
                    "{} settings make no sense:\n  {}",
                    others + 1,
                    all.join("\n  ")
                ))
            }
        }
    }
}

impl Config {
    /// What parsing alone cannot see.
    ///
    /// # Errors
    ///
    /// Every setting that makes no sense, with what would.
    pub fn check(&self) -> anyhow::Result<()> {
        self.faults().into_result()
    }

    /// Every setting that makes no sense.
    pub(crate) fn faults(&self) -> Faults {
        let mut faults = Faults::default();
        faults.unless(
            !self.realm.name.is_empty(),
            "realm.name",
            || "realm.name is empty: give the realm a name, such as \"realm1\"",
        );
        self.market.check(&mut faults);
        faults.check("market.id", self.market_id().map(drop));
        self.policies.check(&mut faults);
        self.chain.check(&mut faults);
        self.wamp.check(&mut faults);
        let http = self.http.listen;
        let guarded = http.ip().is_loopback() || self.http.token_file.is_some();
        faults.unless(guarded, "http.listen", || {
            format!(
                "http.listen is {http}, which others can reach, and what the console shows is not for everybody: listen on \
                 127.0.0.1, or name a file for the operator's token with http.token_file"
            )
        });
        faults.check("log.filter", crate::logs::check(&self.log.filter));
        if let Some(collector) = &self.log.otlp {
            faults.check("log.otlp", crate::otlp::check(collector));
        }
        faults
    }
}

impl Market {
    fn check(&self, faults: &mut Faults) {
        /// Shorter than this no seller can answer.
        const SELL_DEADLINE_MS: std::ops::RangeInclusive<u64> = 100..=60_000;
        let (least, most) = (SELL_DEADLINE_MS.start(), SELL_DEADLINE_MS.end());
        let sell = self.sell_deadline_ms;
        faults.unless(
            SELL_DEADLINE_MS.contains(&sell),
            "market.sell_deadline_ms",
            || format!("market.sell_deadline_ms is {sell}: it must lie in {least} to {most}"),
        );
        let quote = self.quote_deadline_ms;
        faults.unless((1..=*most).contains(&quote), "market.quote_deadline_ms", || {
            format!("market.quote_deadline_ms is {quote}: it must lie in 1 to {most}")
        });
        faults.check("market.paying_limits", self.limits().map(drop));
    }
}

impl Wamp {
    fn check(&self, faults: &mut Faults) {
        if let Some(url) = &self.connect {
            connect::check(url, &self.login, faults);
        }
        role::check(&self.role, faults);
        self.check_tls(faults);
        // With users and without the switch, `admits_anonymous` turns anonymous sessions away everywhere.
        let proven = !self.ticket.is_empty() || !self.user.is_empty();
        for (name, listen) in self.addresses() {
            let safe = listen.ip().is_loopback() || self.allow_anonymous_remote || proven;
            faults.unless(safe, name, || {
                format!(
                    "{name} is {listen}, which others can reach, and anybody could log in anonymously: listen on \
                     127.0.0.1, or add a [[wamp.user]], or set wamp.allow_anonymous_remote = true"
                )
            });
        }
        user::check(&self.ticket, &self.user, faults);
    }
}

impl Policies {
    fn check(&self, faults: &mut Faults) {
        /// From what a component in C takes to what no toolchain makes.
        const COMPONENT: std::ops::RangeInclusive<usize> = 1 << 10..=64 << 20;
        /// The queue's places are there from the start: a million take some 200 MB.
        const QUEUE: std::ops::RangeInclusive<usize> = 1..=1 << 20;
        /// Less would hold a few seconds.
        const LOG_BYTES: u64 = 1 << 20;
        let max = self.component_max;
        faults.unless(COMPONENT.contains(&max), "policies.component_max", || {
            let (least, most) = (COMPONENT.start(), COMPONENT.end());
            format!("policies.component_max is {max}: it must lie in {least} to {most} bytes")
        });
        let keyless = self.require_signature && self.keys.is_empty();
        faults.unless(!keyless, "policies.require_signature", || {
            "policies.require_signature is set, but policies.keys is empty: no policy could ever be loaded; make a key \
             with `bourse policy keygen`"
        });
        for (index, key) in self.verifying_keys().enumerate() {
            faults.check(format!("policies.keys.{index}"), key.map(drop));
        }
        faults.unless(
            self.breaker_seconds > 0,
            "policies.breaker_seconds",
            || "policies.breaker_seconds must be 1 or more; breaker_failures = 0 never leaves a policy alone",
        );
        let queue = self.log.queue;
        faults.unless(QUEUE.contains(&queue), "policies.log.queue", || {
            let (least, most) = (QUEUE.start(), QUEUE.end());
            format!("policies.log.queue is {queue}: it must lie in {least} to {most} decisions")
        });
        let bytes = self.log.max_bytes;
        faults.unless(bytes >= LOG_BYTES, "policies.log.max_bytes", || {
            format!("policies.log.max_bytes is {bytes}: it must be {LOG_BYTES} or more")
        });
        for (index, rule) in self.rule.iter().enumerate() {
            let about = format!("in [[policies.rule]] number {}", index + 1);
            faults.within(&format!("policies.rule.{index}"), &about, rule.faults());
        }
    }
}

impl Chain {
    fn check(&self, faults: &mut Faults) {
        self.check_settlement(faults);
        faults.check("chain.ipfs_gateway", self.gateway().map(drop));
    }
}

/// That a number lies between two others.
pub(super) fn between(
    faults: &mut Faults,
    key: &'static str,
    value: u64,
    range: std::ops::RangeInclusive<u64>,
) {
    faults.unless(range.contains(&value), key, || {
        format!(
            "{key} is {value}: it must lie in {} to {}",
            range.start(),
            range.end()
        )
    });
}
