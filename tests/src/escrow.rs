//! Sellers that leave their keys with the market maker and are not there.

use crate::calls::call_named;
use crate::world::{World, open};
use bourse_chain::{KeyOffer, Signer};
use bourse_delegates::{DataKey, ReceiveKey};
use bourse_market::{Amount, ApiId, ChannelId, ChannelKind, KeyId, Nanos, SealedKey, Signature};
use bourse_wamp::{Dict, Session, Value, WampError};

const API: ApiId = ApiId([7; 16]);

/// A delegate that leaves keys, and is on no session of its own.
pub struct Absent {
    pub actor: Signer,
    pub signer: Signer,
}

/// What is left: the key, its id and its offer as the delegate signs it.
#[derive(Clone)]
pub struct Left {
    pub secret: [u8; 32],
    pub offer: KeyOffer,
    pub signature: Signature,
}

impl Absent {
    #[expect(clippy::new_without_default, reason = "each is somebody else")]
    pub fn new() -> Self {
        Self {
            actor: Signer::generate(),
            signer: Signer::generate(),
        }
    }

    /// A fresh key at a price, signed; none is for a policy to find.
    pub fn sign(&self, world: &World, price: Option<Amount>) -> Left {
        let offer = KeyOffer {
            market: world.market(),
            key: KeyId(rand::random()),
            api: API,
            uri: "com.example.".to_owned(),
            price: price.unwrap_or(Amount::ZERO),
            dynamic: price.is_none(),
            valid_from: Nanos(0),
            expires: Nanos(0),
            delegate: self.signer.address(),
        };
        Left {
            secret: rand::random(),
            signature: self.signer.sign(&offer.digest(&world.domain())),
            offer,
        }
    }

    /// Leaves a fresh key, over a session that ends then.
    pub async fn leave(&self, world: &World, price: Amount) -> Left {
        let left = self.sign(world, Some(price));
        let session = world.session().await;
        place(&session, left.args()).await.unwrap();
        session.leave().await;
        left
    }

    pub async fn open(&self, world: &World, session: &Session, deposit: Amount) -> ChannelId {
        let delegate = self.signer.address();
        open(
            world,
            session,
            ChannelKind::Paying,
            &self.actor,
            delegate,
            deposit,
        )
        .await
    }
}

impl Left {
    pub fn args(&self) -> Dict {
        let mut args = Dict::from([
            ("key_id".to_owned(), Value::from(self.offer.key.0)),
            ("api_id".to_owned(), Value::from(API.0)),
            ("uri".to_owned(), Value::Str(self.offer.uri.clone())),
            ("valid_from".to_owned(), Value::Int(0u64.into())),
            ("delegate_adr".to_owned(), Value::from(self.offer.delegate.0)),
            ("delegate_signature".to_owned(), Value::from(self.signature.0)),
            ("privkey".to_owned(), Value::from(self.secret)),
        ]);
        if !self.offer.dynamic {
            args.insert("price".to_owned(), Value::from(self.offer.price.to_be_bytes()));
        }
        args
    }

    pub fn key(&self) -> KeyId {
        self.offer.key
    }

    /// Whether what its buyer received is this very key.
    pub fn opens(&self, sealed_key: &[u8], buyer: &ReceiveKey) -> bool {
        let sealed = SealedKey::try_from(sealed_key).unwrap();
        buyer.unseal(&sealed).unwrap() == DataKey::from_bytes(self.secret)
    }
}

/// Calls place_offer with these arguments.
pub async fn place(session: &Session, args: Dict) -> Result<Value, WampError> {
    call_named(session, "xbr.marketmaker.place_offer", Vec::new(), args).await
}
