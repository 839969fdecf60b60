//! Settings that are set and have no effect, or less than they say, because others are as they are: whoever wrote them expects
//! something else.

use super::{Chain, ChainMode, Config, Log, LoginMethod, Market, Wamp};

/// A setting, and why it has no effect.
type Idle = (&'static str, String);

/// Those of `settings` that are set, with why that has no effect.
fn idle<const N: usize>(why: &str, settings: [(&'static str, bool); N]) -> Vec<Idle> {
    let set = settings.into_iter().filter(|(_, set)| *set);
    set.map(|(key, _)| (key, format!("{key} has no effect: {why}")))
        .collect()
}

impl Config {
    /// Settings that are not as if they were left out, and that nobody reads as the others are, or not to the full.
    pub(crate) fn without_effect(&self) -> Vec<Idle> {
        let policies = &self.policies;
        let pause = policies.breaker_seconds != Self::default().policies.breaker_seconds;
        let mut all = match self.chain.mode {
            ChainMode::Local => [self.chain.idle(), self.market.idle()].concat(),
            ChainMode::Ethereum => self.chain.idle_on_a_chain(),
        };
        all.extend(self.market.cut());
        all.extend(self.wamp.idle());
        if !policies.log.enabled {
            all.extend(policies.log.idle());
        }
        all.extend(idle(
            "policies.breaker_failures is 0, and no policy is ever left alone",
            [(
                "policies.breaker_seconds",
                policies.breaker_failures == 0 && pause,
            )],
        ));
        all
    }
}

impl Chain {
    fn idle(&self) -> Vec<Idle> {
        let default = Self::default();
        idle(
            "chain.mode is \"local\"",
            [
                ("chain.rpc", self.rpc.is_some()),
                ("chain.ws", self.ws.is_some()),
                ("chain.verify", !self.verify.is_empty()),
                ("chain.contracts", self.contracts.is_some()),
                ("chain.depth", self.depth != default.depth),
                ("chain.from_block", self.from_block != default.from_block),
                ("chain.poll_ms", self.poll_ms != default.poll_ms),
                ("chain.answer_ms", self.answer_ms != default.answer_ms),
                ("chain.max_fee_gwei", self.max_fee_gwei != default.max_fee_gwei),
                (
                    "chain.bump_after_blocks",
                    self.bump_after_blocks != default.bump_after_blocks,
                ),
            ],
        )
    }

    fn idle_on_a_chain(&self) -> Vec<Idle> {
        let float = self.local.float != Self::default().local.float;
        idle("chain.mode is \"ethereum\"", [("chain.local.float", float)])
    }
}

impl Market {
    /// Without a chain.
    fn idle(&self) -> Vec<Idle> {
        let default = Self::default();
        idle(
            "chain.mode is \"local\"",
            [
                ("market.paying_limits", !self.paying_limits.is_empty()),
                ("market.paying_cap", self.paying_cap.is_some()),
                (
                    "market.paying_minimum",
                    self.paying_minimum != default.paying_minimum,
                ),
                (
                    "market.payment_minimum",
                    self.payment_minimum != default.payment_minimum,
                ),
                (
                    "market.max_unsettled",
                    self.max_unsettled != default.max_unsettled,
                ),
                (
                    "market.openings_per_day",
                    self.openings_per_day != default.openings_per_day,
                ),
                (
                    "market.consents_per_member",
                    self.consents_per_member != default.consents_per_member,
                ),
                (
                    "market.consents_per_day",
                    self.consents_per_day != default.consents_per_day,
                ),
            ],
        )
    }

    /// A deadline that is longer than a purchase leaves time for.
    fn cut(&self) -> Option<Idle> {
        let (asked, counts) = (self.quote_deadline_ms, self.quote_deadline_in_force());
        let cut = asked > counts && asked != Self::default().quote_deadline_ms;
        let why = || {
            format!(
                "market.quote_deadline_ms is {asked}, and {counts} counts: it is half of market.sell_deadline_ms, {}, at most",
                self.sell_deadline_ms
            )
        };
        cut.then(|| ("market.quote_deadline_ms", why()))
    }
}

impl Wamp {
    fn idle(&self) -> Vec<Idle> {
        let default = Self::default();
        let router = match self.connect {
            Some(_) => idle(
                "the market joins another router (wamp.connect), and does not listen",
                [
                    ("wamp.listen_ws", self.listen_ws != default.listen_ws),
                    ("wamp.listen_rs", self.listen_rs != default.listen_rs),
                    ("wamp.listen_wss", self.listen_wss.is_some()),
                    ("wamp.listen_rss", self.listen_rss.is_some()),
                    ("wamp.listen_unix", self.listen_unix.is_some()),
                    ("wamp.tls_certificate", self.tls_certificate.is_some()),
                    ("wamp.tls_key", self.tls_key.is_some()),
                    ("wamp.allow_anonymous_remote", self.allow_anonymous_remote),
                    ("wamp.ticket", !self.ticket.is_empty()),
                    ("wamp.user", !self.user.is_empty()),
                    ("wamp.role", !self.role.is_empty()),
                    (
                        "wamp.connections_per_address",
                        self.connections_per_address != default.connections_per_address,
                    ),
                    (
                        "wamp.connection_rate",
                        self.connection_rate != default.connection_rate,
                    ),
                    (
                        "wamp.calls_per_second",
                        self.calls_per_second != default.calls_per_second,
                    ),
                    (
                        "wamp.publications_per_second",
                        self.publications_per_second != default.publications_per_second,
                    ),
                    (
                        "wamp.changes_per_second",
                        self.changes_per_second != default.changes_per_second,
                    ),
                ],
            ),
            None => idle(
                "wamp.connect names no router to join",
                [
                    ("wamp.connect_ca", self.connect_ca.is_some()),
                    ("wamp.connect_certificate", self.connect_certificate.is_some()),
                    ("wamp.connect_key", self.connect_key.is_some()),
                    ("wamp.login", self.login.method != LoginMethod::Anonymous),
                    ("wamp.serializer", self.serializer != default.serializer),
                ],
            ),
        };
        let group = self.unix_group && self.listen_unix.is_none();
        let unix = idle("wamp.listen_unix is not set", [("wamp.unix_group", group)]);
        [router, unix].concat()
    }
}

impl Log {
    /// Where it is not kept.
    fn idle(&self) -> Vec<Idle> {
        let default = Self::default();
        idle(
            "policies.log.enabled is false",
            [
                ("policies.log.max_bytes", self.max_bytes != default.max_bytes),
                ("policies.log.max_days", self.max_days != default.max_days),
                ("policies.log.queue", self.queue != default.queue),
            ],
        )
    }
}
