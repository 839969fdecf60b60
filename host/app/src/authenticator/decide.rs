//! Who a client is.

use super::request::{Request, Vouched};
use super::settle::login_of;
use crate::access::{Decided, ROLE_DELEGATE, ROLE_MEMBER, authid_of_delegate, authid_of_member, part_of};
use crate::market::Market;
use crate::wire::{dict, fault, int, of_refusal, of_store, text, unexpected, unfit, uri};
use bourse_chain::{MarketLogin, MarketMemberLogin};
use bourse_market::login::{LoginForm, LoginRequest};
use bourse_market::{Address, ChannelKind, ClientKey, Command, Fault, Outcome, View};
use bourse_store::{Reader, StoreError};
use bourse_wamp::{Dict, ROLE_ANONYMOUS, WampError};
use std::sync::Arc;

/// Under which name a client's key is told beside.
pub(crate) const EXTRA_KEY: &str = "pubkey";

/// Whom a client may be let in as, once it proved to hold its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Its key.
    pub(crate) key: ClientKey,
    pub(crate) authid: String,
    pub(crate) role: &'static str,
    /// What it is in the market, as a number; 0 for nothing.
    actor_type: u8,
    /// What it logs in by; none for a stranger.
    decided: Option<Decided>,
}

impl Identity {
    fn stranger(market: &Market, key: ClientKey) -> Self {
        Self {
            key,
            authid: format!("anonymous-{}", serial(market)),
            role: ROLE_ANONYMOUS,
            actor_type: 0,
            decided: None,
        }
    }

    /// Whether it is nobody of this market.
    pub(crate) fn is_stranger(&self) -> bool {
        self.role == ROLE_ANONYMOUS
    }

    /// What the client is told beside. A router that is another's tells the market the same of whoever it let in, and so by
    /// which key that came.
    pub(crate) fn extra(&self) -> Dict {
        dict([
            ("actor_type", int(self.actor_type)),
            (EXTRA_KEY, text(hex::encode(self.key.0))),
        ])
    }

    /// Has the market know by what a session logs in, if it proves to hold the key.
    pub(crate) fn expect(&self, market: &Market, session: u64) {
        if let Some(decided) = &self.decided {
            market.logins.expect(session, decided.clone());
        }
    }
}

/// Decides, and leaves nothing behind. Somebody of whom the market knows nothing is let in as a stranger; whether strangers
/// are admitted is for the router to say.
///
/// # Errors
///
/// `xbr.error.invalid_signature` for a word that is not of whom it names, and whatever keeps it from counting.
pub(crate) async fn decide(market: &Arc<Market>, request: Request) -> Result<Identity, WampError> {
    let key = request.key;
    let known = match request.vouched {
        None => {
            let now = market.now();
            let known = market.read(|ledger| ledger.user_key(&key))?;
            known.filter(|known| known.stands(now)).map(|known| Decided {
                login: login_of(&known),
                word: None,
            })
        }
        Some(vouched) => checked(market, key, vouched).await?,
    };
    let Some(decided) = known else {
        return Ok(Identity::stranger(market, key));
    };
    let party = decided.login.party;
    let part = market.read(|ledger| place_of(ledger, market, &party))?;
    let (role, authid, actor_type) = match part {
        None => return Ok(Identity::stranger(market, key)),
        Some(Place::Delegate) => (ROLE_DELEGATE, authid_of_delegate(&party), 0),
        Some(Place::Member(actor_type)) => (ROLE_MEMBER, authid_of_member(&party), actor_type),
    };
    Ok(Identity {
        key,
        authid,
        role,
        actor_type,
        decided: Some(decided),
    })
}

/// Somebody's place in the market.
enum Place {
    /// An actor, of this type.
    Member(u8),
    /// A delegate whose channels are here.
    Delegate,
}

fn place_of(ledger: &Reader<'_>, market: &Market, party: &Address) -> Result<Option<Place>, StoreError> {
    if let Some(part) = part_of(ledger, market.network.market, party)? {
        return Ok(Some(Place::Member(part as u8)));
    }
    for kind in [ChannelKind::Payment, ChannelKind::Paying] {
        let some = ledger.channels_by_delegate(kind, party, false, None, 1)?;
        if !some.found.is_empty() {
            return Ok(Some(Place::Delegate));
        }
    }
    Ok(None)
}

/// Checks the word for a key, as the ledger will. None of somebody who is nobody here.
async fn checked(
    market: &Arc<Market>,
    key: ClientKey,
    vouched: Vouched,
) -> Result<Option<Decided>, WampError> {
    let Vouched {
        party,
        form,
        signature,
    } = vouched;
    if form == LoginForm::Plain && !market.terms.plain_login {
        return Err(unfit(
            "this login names neither a market nor a time and could be used anywhere for ever: sign an EIP712MarketLogin \
             and send issued and expires along, or have the operator set compat.plain_login",
        ));
    }
    let digest = match form {
        LoginForm::Plain => MarketMemberLogin {
            member: party,
            client_pubkey: key.0,
        }
        .digest(),
        LoginForm::Dated { issued, expires } => MarketLogin {
            market: market.network.market,
            member: party,
            client_key: key,
            issued,
            expires,
        }
        .digest(&market.network.domain),
    };
    let signer = market
        .workers
        .run(move || bourse_chain::recover(&digest, &signature))
        .await?
        .map_err(|error| fault(uri::INVALID_SIGNATURE, error.to_string()))?;
    if signer != party {
        return Err(fault(
            uri::INVALID_SIGNATURE,
            format!("the login is of {party}, and signed by {signer}"),
        ));
    }
    if market.read(|ledger| place_of(ledger, market, &party))?.is_none() {
        return Ok(None);
    }
    let word = Box::new(LoginRequest {
        key,
        party,
        form,
        signature,
        signer,
        at: market.now(),
    });
    rehearsed(market, word).map(Some)
}

/// What the ledger would come to, were the word recorded now.
fn rehearsed(market: &Market, word: Box<LoginRequest>) -> Result<Decided, WampError> {
    let ledger = market.store.read().map_err(of_store)?;
    let command = Command::Login(word.clone());
    match bourse_market::apply(&ledger, &command) {
        Ok((changes, Outcome::LoggedIn(known))) => Ok(Decided {
            login: login_of(&known),
            word: (!changes.is_empty()).then_some(word),
        }),
        Ok((_, other)) => Err(unexpected(&other)),
        Err(Fault::Refused(refusal)) => Err(of_refusal(&refusal)),
        Err(Fault::View(error)) => Err(of_store(error)),
    }
}

/// Six groups of four characters that nobody takes for others.
fn serial(market: &Market) -> String {
    const SIGNS: &[u8; 32] = b"346789ABCDEFGHJKLMNPQRSTUVWXYZ25";
    let mut random = [0; 24];
    market.environment.random(&mut random);
    let signs: Vec<char> = random
        .iter()
        .map(|byte| char::from(SIGNS.get(usize::from(byte % 32)).copied().unwrap_or(b'3')))
        .collect();
    let groups: Vec<String> = signs.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join("-")
}
