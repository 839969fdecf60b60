//! Who may log in: holders of a ticket, and anybody where only this machine can knock.

use crate::config::Config;
use anyhow::{Context, ensure};
use bourse_wamp::{Authenticator, Users};
use std::sync::Arc;

/// The authenticator that the configuration describes. Tickets are read once, at the start.
pub(crate) fn authenticator(config: &Config) -> anyhow::Result<Arc<dyn Authenticator>> {
    let mut users = Users::new(config.admits_anonymous());
    for ticket in &config.wamp.ticket {
        let text = std::fs::read_to_string(&ticket.file).with_context(|| {
            format!(
                "cannot read the ticket of {} in {}",
                ticket.authid,
                ticket.file.display()
            )
        })?;
        let secret = text.trim();
        ensure!(
            !secret.is_empty(),
            "the ticket of {} in {} is empty",
            ticket.authid,
            ticket.file.display()
        );
        users = users.with_ticket(&ticket.authid, &ticket.role, secret);
    }
    Ok(Arc::new(users))
}
