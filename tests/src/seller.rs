//! A seller that answers as a SimpleSeller does, or as badly as a test wants.

use crate::calls::{amount_of, bytes_of, call, call_named, map_of};
use crate::world::{World, open};
use bourse_chain::{ChannelClose, Domain, Signer, recover};
use bourse_market::{Address, Amount, ApiId, ChannelId, ChannelKind, KeyId, MarketId, Seq, Signature};
use bourse_wamp::{CallResult, Dict, Invocation, Session, Value, WampError};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// What a seller does when it is asked to sell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// Advance, seal, sign.
    Honest,
    /// The same, after a while.
    Slow(Duration),
    /// Never answer.
    Silent,
    /// Refuse with this URI, its state untouched.
    Refuse(&'static str),
    /// Advance, then fail: its answer is lost on the way.
    LoseAnswer,
    /// Advance, then never answer: the network drops what it says.
    DropAnswer,
    /// Advance, then sign with another key than the delegate's.
    Forge,
    /// One of these for each time it is asked, in order, and honest from then on.
    InTurn(Vec<Behaviour>),
    /// Refuse with `xbr.error.unexpected_channel_seq` this often, then be honest.
    StartSlowly(u32),
    /// Sign with another key than the delegate's, its own state untouched.
    WrongSigner,
    /// Answer without a sealed key.
    NoKey,
    /// Answer with a sealed key of another length.
    ShortKey,
    /// Answer with no dictionary at all.
    Nonsense,
    /// Answer amounts as plain numbers, as the Python seller does.
    PlainNumbers,
}

/// One call of `sell`, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sell {
    pub key: KeyId,
    pub seq: Seq,
    pub amount: Amount,
    pub balance: Amount,
}

struct Inner {
    behaviour: Behaviour,
    /// Which start this is. What an earlier one still has in hand dies with it, as in a process that ended.
    life: u64,
    /// None until the posted pair is adopted: a real seller expects no seq at all while it starts.
    pair: Option<(Seq, Amount)>,
    sells: Vec<Sell>,
    /// The market maker's signature over the last state that was adopted.
    promise: Option<Signature>,
}

/// What a handler of `sell` knows for its whole life.
struct Desk {
    inner: Arc<Mutex<Inner>>,
    signer: Signer,
    domain: Domain,
    market: MarketId,
    marketmaker: Address,
    channel: ChannelId,
    life: u64,
}

/// A seller's delegate with a paying channel, on a session of its own.
pub struct Seller {
    pub session: Session,
    pub actor: Signer,
    pub signer: Signer,
    pub channel: ChannelId,
    pub deposit: Amount,
    pub provider_id: String,
    inner: Arc<Mutex<Inner>>,
}

impl Seller {
    /// A seller whose paying channel holds `deposit`, registered and honest.
    pub async fn new(world: &World, deposit: Amount) -> Self {
        let provider_id = format!("p{}", u64::from_be_bytes(rand::random()));
        Self::on(world, world.session().await, &provider_id, deposit).await
    }

    /// The same on a session and under a provider id of the test's choice.
    pub async fn on(world: &World, session: Session, provider_id: &str, deposit: Amount) -> Self {
        let (actor, signer) = (Signer::generate(), Signer::generate());
        let channel = open(
            world,
            &session,
            ChannelKind::Paying,
            &actor,
            signer.address(),
            deposit,
        )
        .await;
        Self::over(world, session, provider_id, (actor, signer), (channel, deposit)).await
    }

    /// The same over a channel that is open already: an actor and its delegate, a channel and what it holds.
    pub async fn over(
        world: &World,
        session: Session,
        provider_id: &str,
        (actor, signer): (Signer, Signer),
        (channel, deposit): (ChannelId, Amount),
    ) -> Self {
        let mut seller = Self {
            session,
            actor,
            signer,
            channel,
            deposit,
            provider_id: provider_id.to_owned(),
            inner: Arc::new(Mutex::new(Inner {
                behaviour: Behaviour::Honest,
                life: 0,
                pair: None,
                sells: Vec::new(),
                promise: None,
            })),
        };
        seller.register(world).await;
        seller
    }

    /// Asks for the active channel, registers `sell`, and adopts the posted pair: a start, as the real clients do it.
    pub async fn register(&mut self, world: &World) {
        self.begin(world).await;
        self.adopt().await;
    }

    /// The first half of a start: registered, and not yet ready to sell. Real sellers place their offers here.
    pub async fn begin(&mut self, world: &World) {
        let ask = vec![Value::from(self.signer.address().0)];
        let active = call(&self.session, "xbr.marketmaker.get_active_paying_channel", ask)
            .await
            .unwrap();
        if let Value::Map(active) = &active
            && let Some(Value::Bytes(channel)) = active.get("channel_oid")
        {
            self.channel = ChannelId::try_from(channel.as_slice()).unwrap();
        }
        let life = {
            let mut inner = self.inner.lock();
            inner.life += 1;
            inner.pair = None;
            inner.life
        };
        self.serve(world, &self.session, &self.provider_id, life).await;
    }

    /// Registers `sell` under `provider_id`.
    async fn serve(&self, world: &World, session: &Session, provider_id: &str, life: u64) {
        let desk = Arc::new(Desk {
            inner: Arc::clone(&self.inner),
            signer: Signer::from_bytes(&self.signer.to_bytes()).unwrap(),
            domain: world.domain(),
            market: world.market(),
            marketmaker: world.marketmaker(),
            channel: self.channel,
            life,
        });
        let uri = format!("xbr.provider.{provider_id}.sell");
        session
            .register(&uri, move |invocation| {
                let desk = Arc::clone(&desk);
                async move { desk.answer(invocation).await }
            })
            .await
            .unwrap();
    }

    /// Answers under a second provider id as well, for the same delegate over the same channel.
    pub async fn also_as(&self, world: &World, provider_id: &str) -> Session {
        let session = world.session().await;
        let ask = vec![Value::from(self.signer.address().0)];
        call(&session, "xbr.marketmaker.get_active_paying_channel", ask)
            .await
            .unwrap();
        let life = self.inner.lock().life;
        self.serve(world, &session, provider_id, life).await;
        session
    }

    /// The second half of a start: takes the posted pair for its own.
    pub async fn adopt(&self) {
        let pair = self.posted().await;
        self.inner.lock().pair = Some(pair);
    }

    /// Leaves and comes back on a new session, as after a restart.
    pub async fn restart(&mut self, world: &World) {
        self.session.leave().await;
        self.reconnect(world).await;
    }

    /// Comes back on a new session, as after a lost connection.
    pub async fn reconnect(&mut self, world: &World) {
        self.session = world.session().await;
        self.register(world).await;
    }

    /// Comes back on a new session with the books it had, as one that keeps them over a lost connection.
    pub async fn resume(&mut self, world: &World) {
        let books = self.books();
        self.session.leave().await;
        self.session = world.session().await;
        self.begin(world).await;
        self.inner.lock().pair = Some(books);
    }

    /// From now on, whenever it is asked to sell.
    pub fn behave(&self, behaviour: Behaviour) {
        self.inner.lock().behaviour = behaviour;
    }

    /// What this seller believes of its channel.
    pub fn books(&self) -> (Seq, Amount) {
        self.inner.lock().pair.unwrap()
    }

    /// The market maker's signature over the last state that this seller adopted.
    pub fn promise(&self) -> Signature {
        self.inner.lock().promise.unwrap()
    }

    /// Every `sell` that arrived.
    pub fn sells(&self) -> Vec<Sell> {
        self.inner.lock().sells.clone()
    }

    /// What the market maker says of the channel.
    pub async fn posted(&self) -> (Seq, Amount) {
        let args = vec![Value::from(self.channel.0)];
        let balance = call(&self.session, "xbr.marketmaker.get_paying_channel_balance", args)
            .await
            .unwrap();
        let seq = map_of(&balance).get("seq").and_then(Value::as_u64).unwrap();
        (Seq(u32::try_from(seq).unwrap()), amount_of(&balance, "remaining"))
    }

    /// Places a fresh key at a fixed price, or without one.
    pub async fn offer(&self, price: Option<Amount>) -> KeyId {
        self.try_offer(price, Dict::new()).await.unwrap()
    }

    /// Places a fresh key without a price, which the policy `name` is to find.
    pub async fn offer_by(&self, name: &str) -> KeyId {
        let pricing = Dict::from([("policy".to_owned(), Value::from(name))]);
        self.try_offer(None, Dict::from([("pricing".to_owned(), pricing.into())]))
            .await
            .unwrap()
    }

    /// The same with any further keyword arguments, which go over the usual ones.
    pub async fn try_offer(&self, price: Option<Amount>, more: Dict) -> Result<KeyId, WampError> {
        let args = self.offer_args(price, more);
        let offer = call_named(&self.session, "xbr.marketmaker.place_offer", Vec::new(), args).await?;
        Ok(KeyId::try_from(bytes_of(&offer, "key")).unwrap())
    }

    /// The keyword arguments of place_offer for a fresh key; `more` goes over the usual ones.
    pub fn offer_args(&self, price: Option<Amount>, more: Dict) -> Dict {
        let mut kwargs = Dict::from([
            ("key_id".to_owned(), Value::from(rand::random::<[u8; 16]>())),
            ("api_id".to_owned(), Value::from(ApiId([7; 16]).0)),
            ("uri".to_owned(), Value::Str("com.example.".to_owned())),
            ("valid_from".to_owned(), Value::Int(0u64.into())),
            ("delegate_adr".to_owned(), Value::from(self.signer.address().0)),
            ("delegate_signature".to_owned(), Value::Bytes(vec![1; 65])),
            ("provider_id".to_owned(), Value::Str(self.provider_id.clone())),
        ]);
        if let Some(price) = price {
            kwargs.insert("price".to_owned(), Value::from(price.to_be_bytes()));
        }
        kwargs.extend(more);
        kwargs
    }
}

fn fault(uri: &str) -> WampError {
    WampError {
        uri: uri.to_owned(),
        args: Vec::new(),
        kwargs: Dict::new(),
    }
}

fn bytes<const N: usize>(value: Option<&Value>) -> [u8; N] {
    match value {
        Some(Value::Bytes(bytes)) => bytes.as_slice().try_into().unwrap(),
        other => panic!("expected {N} bytes, got {other:?}"),
    }
}

impl Desk {
    async fn answer(&self, invocation: Invocation) -> Result<CallResult, WampError> {
        let args = &invocation.args;
        let sell = Sell {
            key: KeyId(bytes(args.get(2))),
            seq: Seq(u32::try_from(args.get(4).and_then(Value::as_u64).unwrap()).unwrap()),
            amount: Amount::from_be_bytes(bytes(args.get(5))),
            balance: Amount::from_be_bytes(bytes(args.get(6))),
        };
        let behaviour = {
            let mut inner = self.inner.lock();
            inner.sells.push(sell.clone());
            if let Behaviour::StartSlowly(left) = inner.behaviour {
                inner.behaviour = match left {
                    0 => Behaviour::Honest,
                    left => Behaviour::StartSlowly(left - 1),
                };
                if left > 0 {
                    return Err(fault("xbr.error.unexpected_channel_seq"));
                }
            }
            match &mut inner.behaviour {
                Behaviour::InTurn(turns) if turns.is_empty() => Behaviour::Honest,
                Behaviour::InTurn(turns) => turns.remove(0),
                always => always.clone(),
            }
        };
        match &behaviour {
            Behaviour::Silent => std::future::pending().await,
            Behaviour::Slow(pause) => tokio::time::sleep(*pause).await,
            Behaviour::Refuse(uri) => return Err(fault(uri)),
            _ => {}
        }
        if ChannelId(bytes(args.get(3))) != self.channel {
            return Err(fault("xbr.error.unexpected_channel_oid"));
        }
        let state = ChannelClose::off_chain(self.market, self.channel, sell.seq, sell.balance);
        let digest = state.digest(&self.domain);
        {
            let mut inner = self.inner.lock();
            let next = inner.pair.and_then(|(seq, balance)| Some((seq.next()?, balance)));
            let Some((_, balance)) = next.filter(|(seq, _)| *seq == sell.seq && inner.life == self.life)
            else {
                return Err(fault("xbr.error.unexpected_channel_seq"));
            };
            if Some(sell.balance) != balance.checked_sub(sell.amount) {
                return Err(fault("xbr.error.unexpected_channel_balance"));
            }
            // What a seller is asked to trust is worth nothing without this.
            if recover(&digest, &Signature(bytes(args.get(7)))).ok() != Some(self.marketmaker) {
                return Err(fault("xbr.error.invalid_signature"));
            }
            if behaviour != Behaviour::WrongSigner {
                inner.pair = Some((sell.seq, sell.balance));
                inner.promise = Some(Signature(bytes(args.get(7))));
            }
        }
        if behaviour == Behaviour::DropAnswer {
            std::future::pending::<()>().await;
        }
        self.sold(&sell, &digest, &behaviour)
    }

    /// The answer to a sale that was accepted, or what a misbehaving seller makes of it.
    fn sold(&self, sell: &Sell, digest: &[u8; 32], behaviour: &Behaviour) -> Result<CallResult, WampError> {
        let signature = match behaviour {
            Behaviour::WrongSigner | Behaviour::Forge => Signer::generate().sign(digest),
            _ => self.signer.sign(digest),
        };
        let amount = |amount: Amount| match behaviour {
            Behaviour::PlainNumbers => Value::Int(bourse_wamp::Integer::from_be_32(&amount.to_be_bytes())),
            _ => Value::from(amount.to_be_bytes()),
        };
        let mut fields = Dict::from([
            ("key_id".to_owned(), Value::from(sell.key.0)),
            ("delegate".to_owned(), Value::from(self.signer.address().0)),
            ("sealed_key".to_owned(), Value::Bytes(vec![5; 80])),
            ("channel_seq".to_owned(), Value::Int(u64::from(sell.seq.0).into())),
            ("amount".to_owned(), amount(sell.amount)),
            ("balance".to_owned(), amount(sell.balance)),
            ("signature".to_owned(), Value::from(signature.0)),
        ]);
        match behaviour {
            Behaviour::LoseAnswer => return Err(fault("wamp.error.runtime_error")),
            Behaviour::Nonsense => {
                return Ok(CallResult {
                    args: vec![Value::Bool(true)],
                    kwargs: Dict::new(),
                });
            }
            Behaviour::NoKey => drop(fields.remove("sealed_key")),
            Behaviour::ShortKey => drop(fields.insert("sealed_key".to_owned(), Value::Bytes(vec![5; 79]))),
            _ => {}
        }
        Ok(CallResult {
            args: vec![Value::Map(fields)],
            kwargs: Dict::new(),
        })
    }
}
