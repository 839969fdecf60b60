//! A client that logs in by a key, and whoever vouches for it.

use crate::calls::now;
use crate::world::World;
use bourse_chain::{MarketLogin, Signer};
use bourse_market::{ClientKey, Nanos};
use bourse_wamp::{
    Auth, CryptosignKey, Dict, JoinError, JoinOptions, Serializer, Session, Value, connect_ws,
};

const DAY: u64 = 24 * 60 * 60 * 1_000_000_000;

/// A client's key, and what it says of itself.
pub struct Client {
    pub key: CryptosignKey,
    pub extra: Dict,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// One for whom nobody vouches.
    pub fn new() -> Self {
        Self {
            key: CryptosignKey::from_seed(&rand::random()),
            extra: Dict::new(),
        }
    }

    /// Vouched for by `party`, for a day.
    pub fn vouched(mut self, world: &World, party: &Signer) -> Self {
        let login = MarketLogin {
            market: world.market(),
            member: party.address(),
            client_key: ClientKey(self.key.public_key()),
            issued: Nanos(now()),
            expires: Nanos(now() + DAY),
        };
        let signature = party.sign(&login.digest(&world.domain()));
        self.extra = Dict::from([
            ("wallet_address".to_owned(), Value::from(party.address().0)),
            ("signature".to_owned(), Value::from(signature.0)),
            ("issued".to_owned(), Value::from(login.issued.0)),
            ("expires".to_owned(), Value::from(login.expires.0)),
        ]);
        self
    }

    /// Joins with this in `authextra`.
    ///
    /// # Errors
    ///
    /// Why it was not let in.
    pub async fn join(&self, world: &World, extra: &Dict) -> Result<Session, JoinError> {
        let link = connect_ws(&world.url(), Serializer::Json).await.unwrap();
        let options = JoinOptions {
            realm: world.config().realm.name.clone(),
            auth: Auth::Cryptosign(self.key.clone()),
            authextra: extra.clone(),
            ..JoinOptions::default()
        };
        Session::join(link, options).await
    }
}
