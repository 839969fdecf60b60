//! The configuration read again while the markets run: what can change does, all at once or not at all; of the rest the operator
//! is told.

use crate::config::{Config, check_together};
use crate::house::House;
use crate::logs;

/// The configuration that the markets of a process run by.
pub(crate) struct InForce {
    markets: Vec<Config>,
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
        let checked = read.and_then(|read| check_together(&read).map(|()| read));
        match checked {
            Ok(read) => self.take_over(house, &read),
            Err(error) => tracing::error!(
                "the configuration was not read again, and everything stays as it is: {error:#}; `bourse config check` says \
                 all that is wrong"
            ),
        }
    }

    fn take_over(&mut self, house: &House, read: &[Config]) {
        let same = read.len() == self.markets.len();
        for running in &mut self.markets {
            let realm = running.realm.name.clone();
            let new = match read {
                // There is one market, whatever its realm is called now.
                [only] if same => Some(only),
                several => several.iter().find(|config| config.realm.name == realm),
            };
            match new {
                Some(new) => take_over(running, new, house),
                None => tracing::warn!(
                    realm,
                    "a market is not in the configuration any more: it goes on until the next start"
                ),
            }
        }
        if read.len() > self.markets.len() {
            tracing::warn!(
                "there are more markets in the configuration: they are there from the next start on"
            );
        }
        let filter = self.markets.first().map(|config| config.log.filter.clone());
        if let Some(filter) = filter
            && let Err(error) = logs::change(&filter)
        {
            tracing::warn!(filter, "log.filter stays as it is: {error:#}");
        }
    }
}

/// Has a market run by what changed, as far as it can.
fn take_over(running: &mut Config, new: &Config, house: &House) {
    let realm = running.realm.name.clone();
    let mut changed = running.differences(new);
    let mut next = running.clone();
    next.take_over(new);
    let fixed = next.differences(new);
    changed.retain(|key| !fixed.contains(key));
    if let Some(host) = house.hosts().iter().find(|host| host.realm() == realm)
        && let Err(error) = host.run_by(&next)
    {
        tracing::error!(
            realm,
            "the configuration was not taken over, and everything stays as it is: {error:#}"
        );
        return;
    }
    *running = next;
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
    if !fixed.is_empty() {
        tracing::warn!(
            realm,
            settings = fixed.join(", "),
            "some settings changed that count from the next start on: restart to have them in force"
        );
    }
}
