//! `wamp.session.*`: who is in the realm, and ending sessions.

use super::args::Args;
use super::{Answer, MAX_LISTED, unknown};
use crate::message::Message;
use crate::router::auth::Transport;
use crate::router::core::{Core, Peer};
use crate::router::observer::SessionInfo;
use crate::session::WampError;
use crate::uri::{self, Match, error};
use crate::value::{Dict, Value};

impl SessionInfo {
    /// As `wamp.session.get` answers and `wamp.session.on_join` tells it.
    pub(super) fn details(&self, realm: &str) -> Dict {
        let framing = match self.transport {
            Transport::WebSocket => "websocket",
            Transport::RawSocket => "rawsocket",
            Transport::InProcess => "memory",
        };
        let peer = match self.peer {
            Some(addr) if addr.is_ipv4() => format!("tcp4:{addr}"),
            Some(addr) => format!("tcp6:{addr}"),
            None if self.transport == Transport::InProcess => "process".to_owned(),
            None => "unix".to_owned(),
        };
        let transport = Dict::from([
            ("channel_framing".to_owned(), framing.into()),
            ("peer".to_owned(), peer.into()),
        ]);
        Dict::from([
            ("realm".to_owned(), realm.into()),
            ("session".to_owned(), self.id.into()),
            ("authid".to_owned(), self.authid.clone().into()),
            ("authrole".to_owned(), self.role.clone().into()),
            ("authmethod".to_owned(), self.method.name().into()),
            ("authprovider".to_owned(), "bourse".into()),
            ("transport".to_owned(), transport.into()),
        ])
    }
}

impl Core {
    pub(super) fn answer_sessions(&mut self, caller: u64, name: &str, args: &Args<'_>) -> Answer {
        match name {
            "count" => Ok(u64::try_from(self.of_roles(args)?.len())
                .unwrap_or(u64::MAX)
                .into()),
            "list" => {
                let mut ids = self.of_roles(args)?;
                ids.truncate(MAX_LISTED);
                Ok(ids.into())
            }
            "get" => {
                let id = args.id(0, "session")?;
                let peer = self.peers.get(&id).ok_or_else(|| no_such_session(id))?;
                Ok(peer.info.details(&self.realm).into())
            }
            "kill" => {
                let id = args.id(0, "session")?;
                let words = words(args, 1)?;
                if id == caller || !self.peers.contains_key(&id) {
                    return Err(no_such_session(id));
                }
                if self.kill(words, |peer| peer.info.id == id).is_empty() {
                    let text = "the market maker's own session is not ended by anybody else";
                    return Err(WampError::new(error::NOT_AUTHORIZED, text));
                }
                Ok(Value::Null)
            }
            "kill_by_authid" => {
                let authid = args.text(0, "authid")?;
                let words = words(args, 1)?;
                let of = |peer: &Peer| peer.info.id != caller && peer.info.authid == authid;
                Ok(self.kill(words, of).into())
            }
            "kill_by_authrole" => {
                let role = args.text(0, "authrole")?;
                let words = words(args, 1)?;
                let of = |peer: &Peer| peer.info.id != caller && peer.info.role == role;
                Ok(u64::try_from(self.kill(words, of).len())
                    .unwrap_or(u64::MAX)
                    .into())
            }
            "kill_all" => {
                let words = words(args, 0)?;
                let killed = self.kill(words, |peer| peer.info.id != caller);
                Ok(u64::try_from(killed.len()).unwrap_or(u64::MAX).into())
            }
            _ => Err(unknown(&format!("wamp.session.{name}"))),
        }
    }

    /// The sessions of the roles that are asked for, or all of them, by their ids.
    fn of_roles(&self, args: &Args<'_>) -> Result<Vec<Value>, WampError> {
        let roles = args.optional_texts(0, "filter_authroles")?;
        let asked = |peer: &&Peer| {
            roles
                .as_ref()
                .is_none_or(|roles| roles.contains(&peer.info.role.as_str()))
        };
        let mut ids: Vec<u64> = self
            .peers
            .values()
            .filter(asked)
            .map(|peer| peer.info.id)
            .collect();
        ids.sort_unstable();
        Ok(ids.into_iter().map(Value::from).collect())
    }

    /// Ends sessions, but never the market maker's own, without which the realm is no market.
    fn kill(&self, (reason, message): (&str, Option<&str>), of: impl Fn(&Peer) -> bool) -> Vec<Value> {
        let mut killed = Vec::new();
        for peer in self.peers.values().filter(|peer| of(peer) && !peer.is_trusted()) {
            let details = message
                .map(|text| ("message".to_owned(), Value::from(text)))
                .into_iter()
                .collect();
            let reason = reason.to_owned();
            peer.out.close(Some(Message::Goodbye { details, reason }));
            killed.push(peer.info.id.into());
        }
        killed
    }
}

/// The reason and the sentence with which a session is to end.
fn words<'a>(args: &Args<'a>, position: usize) -> Result<(&'a str, Option<&'a str>), WampError> {
    let reason = args.optional_text(position, "reason")?.unwrap_or(error::KILLED);
    if let Some(why) = uri::malformed(reason, Match::Exact) {
        return Err(WampError::new(error::INVALID_URI, format!("reason: {why}")));
    }
    Ok((reason, args.optional_text(position + 1, "message")?))
}

fn no_such_session(id: u64) -> WampError {
    WampError::new(
        error::NO_SUCH_SESSION,
        format!("there is no other session {id} in this realm"),
    )
}
