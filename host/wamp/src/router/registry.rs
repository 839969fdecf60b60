//! Registrations: who serves what, and who may.

use std::sync::Arc;

use super::auth::AuthMethod;
use super::callees::Invoke;
use super::core::{Core, Registration};
use super::gate;
use super::meta::REGISTRY;
use super::observer::Notice;
use super::options;
use super::permissions::Action;
use super::rates::{TOO_MANY_CHANGES, Use};
use crate::message::{Message, REGISTER, UNREGISTER};
use crate::uri::{self, Match, error};
use crate::value::Dict;
use crate::violation::Violation;

impl Core {
    pub(super) fn register(
        &mut self,
        session: u64,
        request: u64,
        options: &Dict,
        procedure: String,
    ) -> Result<(), Violation> {
        if !self.has_allowance(session, Use::Change)? {
            self.refuse(session, REGISTER, request, error::OVERLOADED, TOO_MANY_CHANGES);
            return Ok(());
        }
        let read = options::matching(options).and_then(|matching| Ok((matching, options::invoke(options)?)));
        let (matching, invoke) = match read {
            Ok(read) => read,
            Err(text) => {
                self.refuse(session, REGISTER, request, error::INVALID_ARGUMENT, text);
                return Ok(());
            }
        };
        if let Some(text) = uri::unserved(&procedure, matching) {
            self.refuse(session, REGISTER, request, error::INVALID_URI, text);
            return Ok(());
        }
        let single = invoke == Invoke::Single;
        let peer = self.peer(session)?;
        let guarded = gate::register(&peer.info, &procedure, matching, single, self.ids());
        let ruled = gate::ruled(
            &self.permissions,
            &peer.info,
            Action::Register,
            &procedure,
            matching,
        );
        let provider = match guarded.and_then(|provider| ruled.map(|()| provider)) {
            Ok(provider) => provider,
            Err(denied) => {
                self.refuse(session, REGISTER, request, error::NOT_AUTHORIZED, denied.0);
                return Ok(());
            }
        };
        if peer.registrations.len() >= peer.bounds.registrations {
            let text = format!("a session may have {} registrations", peer.bounds.registrations);
            self.refuse(session, REGISTER, request, error::RESOURCE_LIMIT, text);
            return Ok(());
        }
        if let Some(provider) = &provider {
            self.hold(session, provider)?;
        }
        let uri: Arc<str> = procedure.into();
        let Some((registration, created)) = self.rpc.enlist(session, &uri, matching, invoke) else {
            let text = self.rpc.taken(session, &uri, matching);
            self.refuse(session, REGISTER, request, error::PROCEDURE_ALREADY_EXISTS, text);
            return Ok(());
        };
        self.notices
            .push_back(Notice::Registered(session, Arc::clone(&uri)));
        let kept = Registration { uri, provider };
        self.peer_mut(session)?.registrations.insert(registration, kept);
        self.send(
            session,
            Message::Registered {
                request,
                registration,
            },
        );
        let details = self.rpc.directory.get(registration).filter(|_| created);
        let details = details.map(|entry| entry.details(registration));
        self.tell_added(&REGISTRY, session, registration, details);
        Ok(())
    }

    /// Gives a session the place of a provider id. The proven owner of an authid moves an anonymous session out
    /// that got there first.
    fn hold(&mut self, session: u64, provider: &str) -> Result<(), Violation> {
        let holders = self.holders.get(provider).cloned().unwrap_or_default();
        if holders.contains(&session) {
            return Ok(());
        }
        for holder in holders {
            if self
                .peer(holder)
                .is_ok_and(|peer| peer.info.method == AuthMethod::Anonymous)
            {
                self.evict(holder, provider)?;
            }
        }
        self.holders.entry(provider.to_owned()).or_default().push(session);
        self.peer_mut(session)?.providers.push(provider.to_owned());
        Ok(())
    }

    fn evict(&mut self, session: u64, provider: &str) -> Result<(), Violation> {
        let theirs = |registration: &&Registration| registration.provider.as_deref() == Some(provider);
        let uris = self
            .peer(session)?
            .registrations
            .values()
            .filter(theirs)
            .map(|kept| kept.uri.clone());
        for uri in uris.collect::<Vec<_>>() {
            self.revoke(session, &uri)?;
        }
        self.release(session, provider);
        Ok(())
    }

    pub(super) fn release(&mut self, session: u64, provider: &str) {
        if let Some(peer) = self.peers.get_mut(&session) {
            peer.providers.retain(|held| held != provider);
        }
        if let Some(holders) = self.holders.get_mut(provider) {
            holders.retain(|holder| *holder != session);
            if holders.is_empty() {
                self.holders.remove(provider);
            }
        }
    }

    pub(super) fn unregister(
        &mut self,
        session: u64,
        request: u64,
        registration: u64,
    ) -> Result<(), Violation> {
        let Some(kept) = self.peer_mut(session)?.registrations.remove(&registration) else {
            let text = format!("this session has no registration {registration}");
            self.refuse(session, UNREGISTER, request, error::NO_SUCH_REGISTRATION, text);
            return Ok(());
        };
        let details = Dict::new();
        self.send(session, Message::Unregistered { request, details });
        self.forget_registration(session, registration, &kept);
        Ok(())
    }

    /// Takes an exact registration away from a session. False if it has none.
    pub(super) fn revoke(&mut self, session: u64, uri: &str) -> Result<bool, Violation> {
        let Some(registration) = self.rpc.directory.lookup(uri, Match::Exact) else {
            return Ok(false);
        };
        let entry = self.rpc.directory.get(registration);
        if !entry.is_some_and(|entry| entry.sessions.contains(&session)) {
            return Ok(false);
        }
        let peer = self.peer_mut(session)?;
        let told = peer.features.registration_revocation;
        if let Some(kept) = peer.registrations.remove(&registration) {
            self.forget_registration(session, registration, &kept);
            let last = |provider: &String| {
                self.peers.get(&session).is_none_or(|peer| {
                    peer.registrations
                        .values()
                        .all(|other| other.provider.as_ref() != Some(provider))
                })
            };
            if let Some(provider) = kept.provider.filter(last) {
                self.release(session, &provider);
            }
        }
        if told {
            let details = Dict::from([
                ("registration".to_owned(), registration.into()),
                ("reason".to_owned(), error::NOT_AUTHORIZED.into()),
            ]);
            self.send(session, Message::Unregistered { request: 0, details });
        }
        Ok(true)
    }

    /// Takes a session off a registration, and tells of it.
    pub(super) fn forget_registration(&mut self, session: u64, id: u64, registration: &Registration) {
        let removed = self.rpc.dismiss(session, id);
        self.notices
            .push_back(Notice::Unregistered(session, registration.uri.clone()));
        if let Some(last) = removed {
            self.tell_removed(&REGISTRY, session, id, last);
        }
    }

    /// The session that serves an exact URI; one of them, if several share it.
    pub(super) fn callee(&self, uri: &str) -> Option<u64> {
        let id = self.rpc.directory.lookup(uri, Match::Exact)?;
        self.rpc.directory.get(id)?.sessions.first().copied()
    }
}
