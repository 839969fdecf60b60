//! `wamp.registration.*` and `wamp.subscription.*`: what is registered and subscribed to, and by whom. Both are the
//! same questions to two directories.

use super::args::Args;
use super::{Answer, MAX_LISTED, unknown};
use crate::router::core::Core;
use crate::router::directory::{Directory, Entry};
use crate::router::instant;
use crate::session::WampError;
use crate::uri::{Match, error};
use crate::value::{Dict, Value};

/// What tells the two families apart.
pub(super) struct Family {
    name: &'static str,
    directory: fn(&Core) -> &Directory,
    /// The argument that names a URI.
    uri: &'static str,
    list_sessions: &'static str,
    count_sessions: &'static str,
    missing: &'static str,
    /// One registration takes a call, all matching subscriptions get an event.
    all_match: bool,
}

pub(super) const REGISTRATIONS: Family = Family {
    name: "registration",
    directory: |core| &core.rpc.directory,
    uri: "procedure",
    list_sessions: "list_callees",
    count_sessions: "count_callees",
    missing: error::NO_SUCH_REGISTRATION,
    all_match: false,
};

pub(super) const SUBSCRIPTIONS: Family = Family {
    name: "subscription",
    directory: |core| &core.pubsub.directory,
    uri: "topic",
    list_sessions: "list_subscribers",
    count_sessions: "count_subscribers",
    missing: error::NO_SUCH_SUBSCRIPTION,
    all_match: true,
};

impl Entry {
    /// As `get` answers and `on_create` tells it.
    pub(in crate::router) fn details(&self, id: u64) -> Dict {
        let mut details = Dict::from([
            ("id".to_owned(), id.into()),
            ("created".to_owned(), instant::iso_8601(self.created).into()),
            ("uri".to_owned(), self.uri.to_string().into()),
            ("match".to_owned(), self.matching.name().into()),
        ]);
        if !self.invoke.is_empty() {
            details.insert("invoke".to_owned(), self.invoke.into());
        }
        details
    }
}

impl Family {
    pub(super) fn answer(&self, core: &Core, name: &str, args: &Args<'_>) -> Answer {
        let directory = (self.directory)(core);
        let entry = || {
            let id = args.id(0, self.name)?;
            let missing = || WampError::new(self.missing, format!("there is no {} {id}", self.name));
            Ok((id, directory.get(id).ok_or_else(missing)?))
        };
        match name {
            "list" => self.list(core, args),
            "lookup" => {
                let found = directory.lookup(args.text(0, self.uri)?, args.matching(1)?);
                Ok(found.into())
            }
            "match" => {
                let uri = args.text(0, self.uri)?;
                if self.all_match {
                    let ids: Vec<Value> = directory
                        .matching(uri)
                        .take(MAX_LISTED)
                        .map(|(id, _)| id.into())
                        .collect();
                    return Ok(if ids.is_empty() { Value::Null } else { ids.into() });
                }
                Ok(directory.best(uri).map(|(id, _)| id).into())
            }
            "get" => {
                let (id, entry) = entry()?;
                Ok(entry.details(id).into())
            }
            name if name == self.list_sessions => {
                let sessions = entry()?.1.sessions.iter().take(MAX_LISTED);
                Ok(sessions.map(|id| Value::from(*id)).collect::<Vec<_>>().into())
            }
            name if name == self.count_sessions => Ok(u64::try_from(entry()?.1.sessions.len())
                .unwrap_or(u64::MAX)
                .into()),
            _ => Err(unknown(&format!("wamp.{}.{name}", self.name))),
        }
    }

    /// Ids by match policy; those of one session, if it is named, as Crossbar.io has it.
    fn list(&self, core: &Core, args: &Args<'_>) -> Answer {
        let session = args.optional_id(0, "session_id")?;
        if let Some(id) = session.filter(|id| !core.peers.contains_key(id)) {
            let text = format!("there is no session {id} in this realm");
            return Err(WampError::new(error::NO_SUCH_SESSION, text));
        }
        let list = |matching: Match| {
            let ids = (self.directory)(core)
                .iter()
                .filter(|(_, entry)| entry.matching == matching)
                .filter(|(_, entry)| session.is_none_or(|session| entry.sessions.contains(&session)))
                .take(MAX_LISTED);
            ids.map(|(id, _)| Value::from(id)).collect::<Vec<_>>()
        };
        let lists = [Match::Exact, Match::Prefix, Match::Wildcard]
            .map(|matching| (matching.name().to_owned(), Value::from(list(matching))));
        Ok(Dict::from(lists).into())
    }
}
