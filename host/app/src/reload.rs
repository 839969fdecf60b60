//! The configuration read again while the markets run: what can change does, in all of them or in none; of the rest the operator
//! is told.

use crate::config::{Config, check_together};
use crate::front::Received;
use crate::host::{Change, Host};
use crate::house::House;
use crate::logs;
use anyhow::Context;

/// The configuration that the markets of a process run by.
pub(crate) struct InForce {
    markets: Vec<Config>,
}

/// What a market is to run by.
struct Next<'r> {
    config: Config,
    /// What it would run by after a start; none if it would not be there.
    read: Option<&'r Config>,
}

impl InForce {
    /// As they were started.
    pub(crate) fn new(markets: &[Config]) -> Self {
        Self {
            markets: markets.to_vec(),
        }
    }

    /// Takes over what was read, if it makes sense, and says what became of it.
    pub(crate) fn change(&mut self, house: &House, read: anyhow::Result<Vec<Config>>) {
        let taken = read.and_then(|read| {
            check_together(&read)?;
            self.take_over(house, &read)
        });
        if let Err(error) = taken {
            tracing::error!(
                "the configuration was not read again, and everything stays as it is: {error:#}; `bourse config check` says \
                 all that is wrong"
            );
        }
    }

    fn take_over(&mut self, house: &House, read: &[Config]) -> anyhow::Result<()> {
        let all = self.next(read)?;
        let prepared = |host| prepare(host, &all).transpose();
        let changes: Vec<(&Host, Change)> = house
            .hosts()
            .iter()
            .filter_map(prepared)
            .collect::<anyhow::Result<_>>()?;

        // Nothing fails from here on.
        let mut received: Vec<(&str, Received)> = Vec::new();
        for (host, change) in changes {
            received.push((host.realm(), host.take_over(change)));
        }
        if let (Some(host), Some(next)) = (house.hosts().first(), all.first()) {
            host.hold_to(&next.config);
        }
        for (running, next) in self.markets.iter().zip(&all) {
            let received = received.iter().find(|(realm, _)| *realm == running.realm.name);
            tell(running, next, received.map(|(_, received)| received));
        }
        if read.len() > self.markets.len() {
            tracing::warn!(
                "there are more markets in the configuration: they are there from the next start on"
            );
        }
        if let Some(Next { config, .. }) = all.first()
            && let Err(error) = logs::change(&config.log.filter)
        {
            tracing::warn!(filter = config.log.filter, "log.filter stays as it is: {error:#}");
        }
        self.markets = all.into_iter().map(|next| next.config).collect();
        Ok(())
    }

    /// What each market is to run by, after what was read.
    fn next<'r>(&self, read: &'r [Config]) -> anyhow::Result<Vec<Next<'r>>> {
        let all: Vec<Next<'r>> = self
            .markets
            .iter()
            .map(|running| self.next_of(running, read))
            .collect();
        let configs: Vec<Config> = all.iter().map(|next| next.config.clone()).collect();
        check_together(&configs)
            .context("what can change now does not go with what counts from the next start on")?;
        Ok(all)
    }

    fn next_of<'r>(&self, running: &Config, read: &'r [Config]) -> Next<'r> {
        let found = match read {
            // There is one market, whatever its realm is called now.
            [only] if self.markets.len() == 1 => Some(only),
            several => several
                .iter()
                .find(|config| config.realm.name == running.realm.name),
        };
        let mut config = running.clone();
        match (found, read.first()) {
            (Some(new), _) => config.take_over(new),
            // Whoever may not log in any more may not do so here either.
            (None, Some(any)) => config.take_over_common(any),
            (None, None) => {}
        }
        Next { config, read: found }
    }
}

/// What changes for a host; nothing if it is in no configuration.
fn prepare<'h>(host: &'h Host, all: &[Next<'_>]) -> anyhow::Result<Option<(&'h Host, Change)>> {
    let next = all.iter().find(|next| next.config.realm.name == host.realm());
    next.map(|next| Ok((host, host.prepare(&next.config)?)))
        .transpose()
}

/// Says what changed for a market, and what only a start changes.
fn tell(running: &Config, next: &Next<'_>, received: Option<&Received>) {
    let realm = &running.realm.name;
    let mut changed = running.differences(&next.config);
    if let Some(Received { users, ended }) = received
        && (!users.is_empty() || *ended > 0)
    {
        tracing::info!(
            realm,
            users = users.join(", "),
            ended,
            "others may log in now, or do something else; sessions that may not be there any more were ended"
        );
        if changed.is_empty() {
            changed.push("what users log in with".to_owned());
        }
    }
    match changed.is_empty() {
        true => tracing::info!(
            realm,
            "the configuration was read again: nothing changed that can change now"
        ),
        false => tracing::info!(
            realm,
            changed = changed.join(", "),
            "the configuration was read again, and is in force"
        ),
    }
    for (key, why) in next.config.without_effect() {
        if changed.iter().any(|changed| changed == key) {
            tracing::warn!(realm, "{why}");
        }
    }
    let Some(read) = next.read else {
        tracing::warn!(
            realm,
            "a market is not in the configuration any more: it goes on until the next start, with the users and roles that the \
             others have"
        );
        return;
    };
    let fixed = next.config.differences(read);
    if !fixed.is_empty() {
        tracing::warn!(
            realm,
            settings = fixed.join(", "),
            "some settings changed that count from the next start on: restart to have them in force"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::User;

    fn read(wamp: &str, name: &str) -> Config {
        toml::from_str(&format!("[wamp]\n{wamp}\n[realm]\nname = \"{name}\"")).unwrap()
    }

    #[test]
    fn what_can_change_must_go_with_what_cannot() {
        let mut running = read("listen_ws = \"0.0.0.0:0\"", "corn");
        running.wamp.user.push(User {
            authid: "alice".to_owned(),
            role: "delegate".to_owned(),
            public_keys: vec!["ab".repeat(32)],
            ..User::default()
        });
        let in_force = InForce::new(&[running.clone()]);
        assert_eq!(in_force.next(&[running]).unwrap().len(), 1);
        // Each is sound by itself, and nobody would be let in by the mixture.
        for sound in ["", "listen_ws = \"0.0.0.0:0\"\nallow_anonymous_remote = true"] {
            let sound = [read(sound, "corn")];
            check_together(&sound).unwrap();
            let error = in_force.next(&sound).err().unwrap();
            let said = format!("{error:#}");
            assert!(
                said.contains("counts from the next start on") && said.contains("listen_ws"),
                "{said}"
            );
        }
    }

    #[test]
    fn a_market_that_is_in_the_configuration_no_more_has_what_is_common() {
        let market = |name: &str| {
            let mut market = read("calls_per_second = 1", name);
            market.store.path = name.into();
            market
        };
        let in_force = InForce::new(&[market("corn"), market("wheat")]);
        let mut corn = market("corn");
        corn.wamp.calls_per_second = 2;
        corn.market.sell_deadline_ms = 900;
        let read = [corn];
        let all = in_force.next(&read).unwrap();
        let told: Vec<_> = all
            .iter()
            .map(|next| (next.config.wamp.calls_per_second, next.read.is_some()))
            .collect();
        assert_eq!(told, [(2, true), (2, false)]);
    }
}
