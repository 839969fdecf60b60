//! What of a configuration can change while the market runs, and what cannot.

use super::Config;

impl Config {
    /// Takes over from `new` what can change while the market runs: who may log in and do what, how often and over how many
    /// connections, rules, what is locked and carried on the chain, and the filter of the log.
    pub(crate) fn take_over(&mut self, new: &Self) {
        self.take_over_common(new);
        self.policies.default_rule = new.policies.default_rule;
        self.policies.rule.clone_from(&new.policies.rule);
        let (own, other) = (&mut self.market, &new.market);
        own.paying_limits.clone_from(&other.paying_limits);
        own.paying_cap = other.paying_cap;
        own.paying_minimum = other.paying_minimum;
        own.payment_minimum = other.payment_minimum;
        own.openings_per_day = other.openings_per_day;
        own.consents_per_member = other.consents_per_member;
        own.consents_per_day = other.consents_per_day;
    }

    /// Takes over of that what all markets of a process have in common.
    pub(crate) fn take_over_common(&mut self, new: &Self) {
        let (own, other) = (&mut self.wamp, &new.wamp);
        own.ticket.clone_from(&other.ticket);
        own.user.clone_from(&other.user);
        own.role.clone_from(&other.role);
        own.connections_per_address = other.connections_per_address;
        own.connection_rate = other.connection_rate;
        own.calls_per_second = other.calls_per_second;
        own.publications_per_second = other.publications_per_second;
        own.changes_per_second = other.changes_per_second;
        self.log.filter.clone_from(&new.log.filter);
    }

    /// The settings that are not the same in both, by their keys. What they are is not said: it may be a secret.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let table = |config: &Self| toml::Table::try_from(config).unwrap_or_default();
        let mut keys = Vec::new();
        compare("", &table(self), &table(other), &mut keys);
        keys
    }
}

fn compare(path: &str, one: &toml::Table, other: &toml::Table, keys: &mut Vec<String>) {
    let added = other.keys().filter(|key| !one.contains_key(*key));
    for key in one.keys().chain(added) {
        let path = match path {
            "" => key.clone(),
            path => format!("{path}.{key}"),
        };
        match (one.get(key), other.get(key)) {
            (Some(toml::Value::Table(one)), Some(toml::Value::Table(other))) => {
                compare(&path, one, other, keys);
            }
            (one, other) if one == other => {}
            _ => keys.push(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_change_is_taken_over_and_the_rest_is_named() {
        let mut running = Config::default();
        let mut new = Config::default();
        new.wamp.calls_per_second = 7;
        new.wamp.allow_anonymous_remote = true;
        new.policies.default_rule = false;
        new.market.openings_per_day = 3;
        new.log.filter = "debug".to_owned();
        new.market.sell_deadline_ms = 500;
        new.chain.rpc = Some("http://127.0.0.1:1".to_owned());
        assert_eq!(
            running.differences(&new),
            [
                "chain.rpc",
                "log.filter",
                "market.openings_per_day",
                "market.sell_deadline_ms",
                "policies.default_rule",
                "wamp.allow_anonymous_remote",
                "wamp.calls_per_second",
            ]
        );
        running.take_over(&new);
        assert_eq!(
            running.differences(&new),
            [
                "chain.rpc",
                "market.sell_deadline_ms",
                "wamp.allow_anonymous_remote"
            ]
        );
    }
}
