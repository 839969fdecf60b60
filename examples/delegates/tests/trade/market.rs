//! A market maker of a few lines, for what a real one never does: it lies, loses answers and changes prices on
//! command. It speaks the protocol over a real router, so the delegates do not notice.

use bourse_chain::{ChannelClose, Domain, Signer, checksum, recover};
use bourse_delegates::{Balance, MarketClient, connect};
use bourse_market::{Address, Amount, BuyerPubkey, ChannelId, ChannelKind, KeyId, MarketId, Seq, Signature};
use bourse_wamp::{
    CallError, CallOptions, CallResult, Dict, Invocation, JoinOptions, Router, RouterConfig, Session, Users,
    Value, WampError,
};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

const MARKET: MarketId = MarketId([0x11; 16]);
const DOMAIN: Domain = Domain {
    chain_id: 1337,
    verifying_contract: Address([0x22; 20]),
};

/// What goes wrong with the next purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The price is another one by the time the order comes.
    PriceMoves(Amount),
    /// The purchase is made, and its answer lost.
    LosesAnswer,
    /// The receipt is signed by somebody else.
    ForgesReceipt,
    /// The order is turned away unread.
    Overloaded,
}

#[derive(Debug, Clone, Copy)]
struct Channel {
    id: ChannelId,
    kind: ChannelKind,
    delegate: Address,
    balance: Balance,
}

struct Offer {
    seller: Address,
    provider: String,
}

#[derive(Default)]
struct Books {
    channels: Vec<Channel>,
    offers: HashMap<KeyId, Offer>,
    price: Amount,
    posted: HashMap<(ChannelId, u64), (Vec<Value>, Dict)>,
    fault: Option<Fault>,
    purchases: usize,
}

/// The market, running.
pub(crate) struct FakeMarket {
    pub(crate) url: String,
    books: Arc<Mutex<Books>>,
    maker: Arc<Signer>,
    session: Session,
    _router: Router,
}

impl FakeMarket {
    /// Starts on a port of its own, selling everything for `price` tokens.
    pub(crate) async fn start(price: u64) -> Self {
        let router = Router::new(RouterConfig::default(), Arc::new(Users::new(true)));
        let address = router
            .listen_ws("127.0.0.1:0".parse().unwrap(), "/ws")
            .await
            .unwrap();
        let session = Session::join(router.local_link(), JoinOptions::default())
            .await
            .unwrap();
        let books = Books {
            price: Amount::from_tokens(price),
            ..Books::default()
        };
        let market = Self {
            url: format!("ws://{address}/ws"),
            books: Arc::new(Mutex::new(books)),
            maker: Arc::new(Signer::generate()),
            session,
            _router: router,
        };
        market.serve().await;
        market
    }

    pub(crate) async fn client(&self) -> MarketClient {
        MarketClient::new(
            connect(&self.url, "realm1").await.unwrap(),
            Some(self.maker.address()),
        )
        .await
        .unwrap()
    }

    pub(crate) fn maker(&self) -> Address {
        self.maker.address()
    }

    /// The next order meets this.
    pub(crate) fn next(&self, fault: Fault) {
        self.books.lock().fault = Some(fault);
    }

    /// Purchases made so far.
    pub(crate) fn purchases(&self) -> usize {
        self.books.lock().purchases
    }

    /// Channels opened so far.
    pub(crate) fn channels(&self) -> usize {
        self.books.lock().channels.len()
    }

    /// Falsifies a channel.
    pub(crate) fn falsify(&self, id: ChannelId, change: impl FnOnce(&mut Balance)) {
        let mut books = self.books.lock();
        change(
            &mut books
                .channels
                .iter_mut()
                .find(|channel| channel.id == id)
                .unwrap()
                .balance,
        );
    }

    /// A question to a seller's delegate for the state (`seq`, `balance`) of its channel, signed.
    pub(crate) fn question(
        &self,
        channel: ChannelId,
        key: KeyId,
        buyer: BuyerPubkey,
        (seq, amount, balance): (u32, Amount, Amount),
    ) -> Vec<Value> {
        let state = ChannelClose::off_chain(MARKET, channel, Seq(seq), balance);
        vec![
            self.maker.address().0.into(),
            buyer.0.into(),
            key.0.into(),
            channel.0.into(),
            seq.into(),
            amount.to_be_bytes().into(),
            balance.to_be_bytes().into(),
            self.maker.sign(&state.digest(&DOMAIN)).0.into(),
        ]
    }

    /// Asks a seller. The question leaves with the first poll.
    pub(crate) async fn ask(&self, provider_id: &str, question: Vec<Value>) -> Result<Dict, CallError> {
        let uri = format!("xbr.provider.{provider_id}.sell");
        let answer = self
            .session
            .call(&uri, question, Dict::new(), CallOptions::default())
            .await?;
        Ok(answer.args[0].as_map().unwrap().clone())
    }

    /// Whether an answer is signed for the state that was asked for.
    pub(crate) fn covers(&self, answer: &Dict, delegate: Address, question: &[Value]) -> bool {
        let (channel, seq) = (ChannelId(bytes(&question[3])), question[4].as_u64().unwrap());
        let balance = Amount::from_be_bytes(bytes(&question[6]));
        let state = ChannelClose::off_chain(MARKET, channel, Seq(seq.try_into().unwrap()), balance);
        recover(&state.digest(&DOMAIN), &Signature(bytes(&answer["signature"]))) == Ok(delegate)
    }

    async fn serve(&self) {
        for name in [
            "xbr.marketmaker.get_config",
            "xbr.marketmaker.status",
            "xbr.marketmaker.open_channel",
            "xbr.marketmaker.get_active_payment_channel",
            "xbr.marketmaker.get_active_paying_channel",
            "xbr.marketmaker.get_payment_channel_balance",
            "xbr.marketmaker.get_paying_channel_balance",
            "xbr.marketmaker.get_channels_by_delegate",
            "xbr.marketmaker.place_offer",
            "xbr.marketmaker.get_quote",
            "xbr.marketmaker.buy_key",
            "bourse.dev.fund",
        ] {
            let (books, maker, session) = (
                Arc::clone(&self.books),
                Arc::clone(&self.maker),
                self.session.clone(),
            );
            let handler = move |invocation: Invocation| {
                let (books, maker, session) = (Arc::clone(&books), Arc::clone(&maker), session.clone());
                async move {
                    if invocation.procedure.ends_with("buy_key") {
                        return buy_key(&books, &maker, &session, invocation.args)
                            .await
                            .map(CallResult::one);
                    }
                    answer(&books, &maker, &invocation).map(CallResult::one)
                }
            };
            self.session.register(name, handler).await.unwrap();
        }
    }
}

fn refuse(uri: &str) -> WampError {
    WampError::new(uri, "as the test wants it")
}

fn dict<const N: usize>(parts: [(&str, Value); N]) -> Dict {
    parts
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    value.as_bytes().unwrap().try_into().unwrap()
}

fn answer(books: &Mutex<Books>, maker: &Signer, invocation: &Invocation) -> Result<Value, WampError> {
    let mut books = books.lock();
    let args = &invocation.args;
    let live = |kind, delegate: Address| {
        let fits = move |channel: &&Channel| {
            (channel.kind, channel.delegate) == (kind, delegate) && !channel.balance.remaining.is_zero()
        };
        books.channels.iter().filter(fits).copied().collect::<Vec<_>>()
    };
    let active = |kind| {
        live(kind, Address(bytes(&args[0])))
            .first()
            .map(|c| dict([("channel_oid", c.id.0.into())]))
    };
    Ok(match invocation.procedure.rsplit('.').next().unwrap() {
        "get_config" => dict([
            ("verifying_chain_id", DOMAIN.chain_id.into()),
            (
                "verifying_contract_adr",
                checksum(DOMAIN.verifying_contract).into(),
            ),
            ("market", "11111111-1111-1111-1111-111111111111".into()),
            ("marketmaker", checksum(maker.address()).into()),
            ("owner", checksum(maker.address()).into()),
        ])
        .into(),
        "status" => dict([("current_block_no", 1.into())]).into(),
        "open_channel" => {
            let id = ChannelId(bytes(&args[2]));
            let kind = if args[6] == Value::from(1) {
                ChannelKind::Payment
            } else {
                ChannelKind::Paying
            };
            let balance = Balance {
                seq: Seq::FIRST,
                remaining: Amount::from_be_bytes(bytes(&args[10])),
            };
            books.channels.push(Channel {
                id,
                kind,
                delegate: Address(bytes(&args[7])),
                balance,
            });
            dict([("channel_oid", id.0.into())]).into()
        }
        "get_active_payment_channel" => active(ChannelKind::Payment).into(),
        "get_active_paying_channel" => active(ChannelKind::Paying).into(),
        "get_payment_channel_balance" | "get_paying_channel_balance" => {
            let id = ChannelId(bytes(&args[0]));
            let Balance { seq, remaining } = books.channels.iter().find(|c| c.id == id).unwrap().balance;
            dict([
                ("seq", seq.0.into()),
                ("remaining", remaining.to_be_bytes().into()),
            ])
            .into()
        }
        "get_channels_by_delegate" => {
            let kind = if args[1] == Value::from(1) {
                ChannelKind::Payment
            } else {
                ChannelKind::Paying
            };
            let ids = live(kind, Address(bytes(&args[0])));
            Value::List(ids.iter().map(|channel| channel.id.0.into()).collect())
        }
        "place_offer" => {
            let provider = invocation.kwargs["provider_id"].as_str().unwrap().to_owned();
            books.offers.insert(
                KeyId(bytes(&args[0])),
                Offer {
                    seller: Address(bytes(&args[4])),
                    provider,
                },
            );
            Value::Null
        }
        "get_quote" => {
            let key = KeyId(bytes(&args[0]));
            if !books.offers.contains_key(&key) {
                return Err(refuse("crossbar.error.no_such_object"));
            }
            dict([("price", books.price.to_be_bytes().into()), ("expires", 0.into())]).into()
        }
        _ => Value::Null,
    })
}

async fn buy_key(
    books: &Mutex<Books>,
    maker: &Signer,
    session: &Session,
    args: Vec<Value>,
) -> Result<Value, WampError> {
    let (channel, seq) = (ChannelId(bytes(&args[3])), args[4].as_u64().unwrap());
    let key = KeyId(bytes(&args[2]));
    let sign = |channel, seq, remaining| {
        maker.sign(&ChannelClose::off_chain(MARKET, channel, seq, remaining).digest(&DOMAIN))
    };
    let (fault, price, payment, paying, provider) = {
        let mut books = books.lock();
        let fault = books.fault.take();
        if fault == Some(Fault::Overloaded) {
            return Err(refuse("bourse.error.overloaded"));
        }
        if let Some((asked, receipt)) = books.posted.get(&(channel, seq))
            && *asked == args
        {
            return Ok(receipt.clone().into());
        }
        if let Some(Fault::PriceMoves(price)) = fault {
            books.price = price;
            return Err(refuse("bourse.error.price_changed"));
        }
        let price = books.price;
        let payment = *books.channels.iter().find(|c| c.id == channel).unwrap();
        let expected = payment.balance.seq.next().unwrap();
        if seq != u64::from(expected.0) {
            return Err(refuse("bourse.error.out_of_order"));
        }
        let remaining = payment.balance.remaining.checked_sub(price).unwrap();
        if remaining != Amount::from_be_bytes(bytes(&args[6])) {
            return Err(refuse("bourse.error.wrong_balance"));
        }
        let digest = ChannelClose::off_chain(MARKET, channel, expected, remaining).digest(&DOMAIN);
        assert_eq!(
            recover(&digest, &Signature(bytes(&args[7]))),
            Ok(payment.delegate)
        );
        let offer = &books.offers[&key];
        let paying = books.channels.iter().find(|c| {
            (c.kind, c.delegate) == (ChannelKind::Paying, offer.seller) && !c.balance.remaining.is_zero()
        });
        (fault, price, payment, *paying.unwrap(), offer.provider.clone())
    };
    let Some(paying_left) = paying.balance.remaining.checked_sub(price) else {
        return Err(refuse("xbr.error.insufficient_paying_balance"));
    };
    let paying_seq = paying.balance.seq.next().unwrap();
    let sell = vec![
        maker.address().0.into(),
        args[1].clone(),
        key.0.into(),
        paying.id.0.into(),
        paying_seq.0.into(),
        price.to_be_bytes().into(),
        paying_left.to_be_bytes().into(),
        sign(paying.id, paying_seq, paying_left).0.into(),
    ];
    let uri = format!("xbr.provider.{provider}.sell");
    let sold = session
        .call(&uri, sell, Dict::new(), CallOptions::default())
        .await
        .map_err(|error| WampError::new("bourse.error.seller_unavailable", error.to_string()))?;
    let sold = sold.args[0].as_map().unwrap();
    let digest = ChannelClose::off_chain(MARKET, paying.id, paying_seq, paying_left).digest(&DOMAIN);
    assert_eq!(
        recover(&digest, &Signature(bytes(&sold["signature"]))),
        Ok(paying.delegate)
    );

    let (next, left) = (
        payment.balance.seq.next().unwrap(),
        payment.balance.remaining.checked_sub(price).unwrap(),
    );
    let signature = match fault {
        Some(Fault::ForgesReceipt) => Signer::generate().sign(&[1; 32]),
        _ => sign(channel, next, left),
    };
    let receipt = dict([
        ("key_id", key.0.into()),
        ("amount_paid", price.to_be_bytes().into()),
        ("channel_seq", next.0.into()),
        ("remaining", left.to_be_bytes().into()),
        ("sealed_key", sold["sealed_key"].clone()),
        ("signature", signature.0.into()),
    ]);
    let mut books = books.lock();
    for moved in &mut books.channels {
        if moved.id == channel {
            moved.balance = Balance {
                seq: next,
                remaining: left,
            };
        } else if moved.id == paying.id {
            moved.balance = Balance {
                seq: paying_seq,
                remaining: paying_left,
            };
        }
    }
    books.purchases += 1;
    books.posted.insert((channel, seq), (args, receipt.clone()));
    match fault {
        Some(Fault::LosesAnswer) => Err(refuse("wamp.error.canceled")),
        _ => Ok(receipt.into()),
    }
}
