//! Several markets in one process: each with its realm, ledger and policies, behind the same listeners.
//!
//! What lives here: starting and stopping them together. What never does: anything that one market could do to another.

use crate::config::{Config, check_together};
use crate::environment::System;
use crate::front::Front;
use crate::host::Host;
use crate::market::Status;
use anyhow::Context;
use futures_util::FutureExt;
use futures_util::future::{join_all, select_all};
use std::sync::Arc;

/// The markets of a process.
pub struct House {
    hosts: Vec<Host>,
}

impl House {
    /// Opens every market, and listens for all of them once each is ready.
    ///
    /// # Errors
    ///
    /// What keeps one of them from being safe or reachable: then none runs.
    pub async fn start(markets: &[Config]) -> anyhow::Result<Self> {
        check_together(markets)?;
        let front = Front::prepare(markets)?;
        let mut house = Self { hosts: Vec::new() };
        for config in markets {
            let started = Host::start_at(config, Arc::new(System), Arc::clone(&front)).await;
            match started {
                Ok(host) => house.hosts.push(host),
                Err(error) => {
                    house.stop().await;
                    let named = format!("the market of realm `{}`", config.realm.name);
                    return match markets.len() {
                        1 => Err(error),
                        _ => Err(error).context(named),
                    };
                }
            }
        }
        if let Some(first) = markets.first()
            && let Err(error) = front.listen(first).await
        {
            house.stop().await;
            return Err(error);
        }
        for host in &house.hosts {
            host.announce_status(Status::Running);
        }
        Ok(house)
    }

    /// The markets that run, in the order of the configuration.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Resolves if one of the markets must not go on, with its realm and the reason.
    pub async fn broken(&self) -> (String, String) {
        let broken = self.hosts.iter().map(|host| {
            let broken = async move { (host.realm().to_owned(), host.broken().await) };
            broken.boxed_local()
        });
        let broken: Vec<_> = broken.collect();
        match broken.is_empty() {
            true => std::future::pending().await,
            false => select_all(broken).await.0,
        }
    }

    /// Stops the market of one realm; the others go on.
    pub async fn stop_one(&mut self, realm: &str) {
        if let Some(position) = self.hosts.iter().position(|host| host.realm() == realm) {
            self.hosts.remove(position).stop().await;
        }
    }

    /// Stops all of them, at the same time.
    pub async fn stop(self) {
        join_all(self.hosts.into_iter().map(Host::stop)).await;
    }
}
