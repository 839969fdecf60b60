//! What a seller knows, and the one decision it makes: whether to hand over a key.

use super::request::{SellAnswer, SellRequest};
use crate::{Balance, CryptoError, DataKey, Facts, seal};
use bourse_chain::{ChannelClose, SignatureError, Signer, recover};
use bourse_market::{Address, Amount, ChannelId, KeyId, Nanos, Seq};
use std::collections::HashMap;
use std::sync::Arc;

/// A key is kept for so long after its offer ended: a purchase may be on its way.
const GRACE_MS: u64 = 60_000;

/// Who sells, to whom, and on which channel.
#[derive(Debug, Clone)]
pub(super) struct Party {
    pub(super) facts: Facts,
    pub(super) channel: ChannelId,
    pub(super) signer: Arc<Signer>,
}

/// Why a seller keeps its key. The URIs are those of other XBR sellers: the market maker tells from them whether the
/// seller can have moved its channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SellRefusal {
    #[error("sold to market maker {got}, this seller trades with {expected}")]
    WrongMarketMaker { expected: Address, got: Address },
    #[error("no key {key} on sale here")]
    UnknownKey { key: KeyId },
    #[error("paid on channel {got}, this seller is paid on {expected}")]
    WrongChannel { expected: ChannelId, got: ChannelId },
    #[error("this seller has not finished its start, ask again")]
    NotReady,
    #[error("{waiting} questions are waiting already, ask again")]
    Busy { waiting: usize },
    #[error("expected seq {expected}, got {got}")]
    WrongSeq { expected: Seq, got: Seq },
    #[error("expected a balance of {remaining} less {amount}, got {got}")]
    WrongBalance {
        remaining: Amount,
        amount: Amount,
        got: Amount,
    },
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error("signed by {got}, expected market maker {expected}")]
    WrongSigner { expected: Address, got: Address },
    #[error(transparent)]
    Seal(#[from] CryptoError),
}

impl SellRefusal {
    pub(super) fn uri(&self) -> &'static str {
        match self {
            Self::WrongMarketMaker { .. } => "xbr.error.unexpected_marketmaker_adr",
            Self::UnknownKey { .. } => "crossbar.error.no_such_object",
            Self::WrongChannel { .. } => "xbr.error.unexpected_channel_oid",
            Self::NotReady | Self::Busy { .. } | Self::WrongSeq { .. } => "xbr.error.unexpected_channel_seq",
            Self::WrongBalance { .. } => "xbr.error.unexpected_channel_balance",
            Self::Signature(_) | Self::WrongSigner { .. } => "xbr.error.invalid_signature",
            Self::Seal(_) => "wamp.error.invalid_argument",
        }
    }
}

struct Entry {
    data_key: DataKey,
    expires: Nanos,
}

/// The keys on sale and the state of the paying channel.
pub(super) struct Book {
    party: Party,
    keys: HashMap<KeyId, Entry>,
    /// None until the market has told where the channel stands.
    balance: Option<Balance>,
    /// The last sale: asked again, it is answered again.
    last: Option<SellAnswer>,
}

impl Book {
    pub(super) fn new(party: Party) -> Self {
        Self {
            party,
            keys: HashMap::new(),
            balance: None,
            last: None,
        }
    }

    /// Takes a key on sale, and forgets those that nobody can buy any more.
    pub(super) fn add(&mut self, key: KeyId, data_key: DataKey, expires: Nanos, now: Nanos) {
        self.keys
            .retain(|_, entry| entry.expires.plus_millis(GRACE_MS) >= now);
        self.keys.insert(key, Entry { data_key, expires });
    }

    /// Takes a key off sale.
    pub(super) fn remove(&mut self, key: &KeyId) {
        self.keys.remove(key);
    }

    /// Starts from this state of the channel.
    pub(super) fn adopt(&mut self, balance: Balance) {
        self.balance = Some(balance);
    }

    pub(super) fn balance(&self) -> Option<Balance> {
        self.balance
    }

    /// Hands over a key against the market maker's signature over the next state of the channel.
    ///
    /// All or nothing: a refused sale changes nothing here. What a key costs is the market's to enforce; the protocol
    /// gives a seller no way to refuse an amount without the market maker wondering whether it was paid.
    pub(super) fn sell(&mut self, request: &SellRequest) -> Result<SellAnswer, SellRefusal> {
        // The market maker may have missed the first answer. Both are paid once, by one state of the channel.
        if let Some(last) = self.last.as_ref().filter(|last| last.request == *request) {
            return Ok(last.clone());
        }
        let Party {
            facts,
            channel,
            signer,
        } = &self.party;
        if request.marketmaker != facts.marketmaker {
            return Err(SellRefusal::WrongMarketMaker {
                expected: facts.marketmaker,
                got: request.marketmaker,
            });
        }
        let entry = self
            .keys
            .get(&request.key)
            .ok_or(SellRefusal::UnknownKey { key: request.key })?;
        if request.channel != *channel {
            return Err(SellRefusal::WrongChannel {
                expected: *channel,
                got: request.channel,
            });
        }
        let Balance { seq, remaining } = self.balance.ok_or(SellRefusal::NotReady)?;
        let expected = seq.next().ok_or(SellRefusal::WrongSeq {
            expected: seq,
            got: request.seq,
        })?;
        if request.seq != expected {
            return Err(SellRefusal::WrongSeq {
                expected,
                got: request.seq,
            });
        }
        if remaining.checked_sub(request.amount) != Some(request.balance) {
            let (amount, got) = (request.amount, request.balance);
            return Err(SellRefusal::WrongBalance {
                remaining,
                amount,
                got,
            });
        }
        let state = ChannelClose::off_chain(facts.market, *channel, request.seq, request.balance);
        let digest = state.digest(&facts.domain);
        let got = recover(&digest, &request.signature)?;
        if got != facts.marketmaker {
            return Err(SellRefusal::WrongSigner {
                expected: facts.marketmaker,
                got,
            });
        }
        let sealed_key = seal(&entry.data_key, &request.buyer_pubkey)?;
        let answer = SellAnswer {
            delegate: signer.address(),
            request: *request,
            sealed_key,
            signature: signer.sign(&digest),
        };
        self.balance = Some(Balance {
            seq: request.seq,
            remaining: request.balance,
        });
        self.last = Some(answer.clone());
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ReceiveKey;
    use bourse_chain::Domain;
    use bourse_market::{BuyerPubkey, MarketId, Signature};

    const KEY: KeyId = KeyId([5; 16]);

    type Change = fn(&mut SellRequest);

    struct Fixture {
        book: Book,
        maker: Signer,
        receive: ReceiveKey,
        data_key: DataKey,
    }

    fn fixture() -> Fixture {
        let maker = Signer::from_bytes(&[1; 32]).unwrap();
        let facts = Facts {
            domain: Domain {
                chain_id: 1337,
                verifying_contract: Address([2; 20]),
            },
            market: MarketId([3; 16]),
            marketmaker: maker.address(),
            owner: maker.address(),
            max_unsettled: None,
        };
        let signer = Arc::new(Signer::from_bytes(&[4; 32]).unwrap());
        let mut book = Book::new(Party {
            facts,
            channel: ChannelId([6; 16]),
            signer,
        });
        let data_key = DataKey::generate();
        book.add(KEY, data_key.clone(), Nanos(u64::MAX), Nanos(0));
        book.adopt(Balance {
            seq: Seq(1),
            remaining: Amount::from_tokens(100),
        });
        Fixture {
            book,
            maker,
            receive: ReceiveKey::generate(),
            data_key,
        }
    }

    impl Fixture {
        /// The market maker's request for the next sale at 35 tokens, changed, then signed.
        fn request(&self, change: impl FnOnce(&mut SellRequest)) -> SellRequest {
            let now = self.book.balance().unwrap();
            let amount = Amount::from_tokens(35);
            let mut request = SellRequest {
                marketmaker: self.maker.address(),
                buyer_pubkey: self.receive.public(),
                key: KEY,
                channel: self.book.party.channel,
                seq: now.seq.next().unwrap(),
                amount,
                balance: now.remaining.checked_sub(amount).unwrap_or_default(),
                signature: Signature([0; 65]),
            };
            change(&mut request);
            let facts = &self.book.party.facts;
            let state = ChannelClose::off_chain(facts.market, request.channel, request.seq, request.balance);
            request.signature = self.maker.sign(&state.digest(&facts.domain));
            request
        }

        fn refused(&mut self, change: impl FnOnce(&mut SellRequest)) -> &'static str {
            let before = self.book.balance();
            let request = self.request(change);
            let refusal = self.book.sell(&request).unwrap_err();
            assert_eq!(self.book.balance(), before, "a refused sale moves nothing");
            refusal.uri()
        }
    }

    #[test]
    fn a_sale_moves_the_channel_and_its_key_opens_for_the_buyer() {
        let mut fixture = fixture();
        let request = fixture.request(|_| ());
        let answer = fixture.book.sell(&request).unwrap();

        let now = Balance {
            seq: Seq(2),
            remaining: Amount::from_tokens(65),
        };
        assert_eq!(fixture.book.balance(), Some(now));
        assert_eq!(answer.sold().balance, now);
        assert_eq!(
            fixture.receive.unseal(&answer.sealed_key).unwrap(),
            fixture.data_key
        );
        let facts = fixture.book.party.facts;
        let state = ChannelClose::off_chain(facts.market, request.channel, Seq(2), Amount::from_tokens(65));
        assert_eq!(
            recover(&state.digest(&facts.domain), &answer.signature),
            Ok(answer.delegate)
        );
    }

    #[test]
    fn a_repeated_sale_is_answered_alike_and_paid_once() {
        let mut fixture = fixture();
        let request = fixture.request(|_| ());
        let answer = fixture.book.sell(&request).unwrap();
        assert_eq!(fixture.book.sell(&request).unwrap(), answer);
        assert_eq!(fixture.book.balance().unwrap().seq, Seq(2));

        // The same position for another buyer is another sale.
        let other = SellRequest {
            buyer_pubkey: BuyerPubkey([9; 32]),
            ..request
        };
        assert_eq!(
            fixture.book.sell(&other).unwrap_err().uri(),
            "xbr.error.unexpected_channel_seq"
        );
    }

    #[test]
    fn a_market_maker_that_missed_the_answer_asks_one_position_on_for_nothing_and_is_answered() {
        let mut fixture = fixture();
        let first = fixture.request(|_| ());
        fixture.book.sell(&first).unwrap();
        // Two steps of recovery: no answer but the last needs to arrive.
        for seq in [Seq(3), Seq(4)] {
            let again = fixture.request(|request| {
                request.amount = Amount::ZERO;
                request.balance = first.balance;
            });
            assert_eq!(again.seq, seq);
            let answer = fixture.book.sell(&again).unwrap();
            assert_eq!(
                fixture.book.sell(&again).unwrap(),
                answer,
                "and asked twice, answered alike"
            );
            let now = fixture.book.balance().unwrap();
            assert_eq!((now.seq, now.remaining), (seq, first.balance), "paid once");
            assert_eq!(
                fixture.receive.unseal(&answer.sealed_key).unwrap(),
                fixture.data_key
            );
        }
        // Where it stands now, the first question suits it no longer: it says so and stays.
        let refusal = fixture.book.sell(&first).unwrap_err();
        assert_eq!(refusal.uri(), "xbr.error.unexpected_channel_seq");
        assert_eq!(fixture.book.balance().unwrap().seq, Seq(4));
    }

    #[test]
    fn a_recovery_of_a_sale_that_never_was_moves_nothing_and_the_sale_still_suits() {
        let mut fixture = fixture();
        let first = fixture.request(|_| ());
        let refused = fixture.refused(|request| {
            request.seq = Seq(3);
            request.amount = Amount::ZERO;
        });
        assert_eq!(refused, "xbr.error.unexpected_channel_seq");
        fixture.book.sell(&first).unwrap();
        assert_eq!(fixture.book.balance().unwrap().seq, Seq(2));
    }

    #[test]
    fn each_check_has_its_own_uri() {
        let mut fixture = fixture();
        let cases: [(&str, Change); 6] = [
            ("xbr.error.unexpected_marketmaker_adr", |request| {
                request.marketmaker = Address([0; 20])
            }),
            ("crossbar.error.no_such_object", |request| {
                request.key = KeyId([0; 16])
            }),
            ("xbr.error.unexpected_channel_oid", |request| {
                request.channel = ChannelId([0; 16])
            }),
            ("xbr.error.unexpected_channel_seq", |request| request.seq = Seq(3)),
            ("xbr.error.unexpected_channel_balance", |request| {
                request.balance = Amount::from_tokens(66)
            }),
            ("wamp.error.invalid_argument", |request| {
                request.buyer_pubkey = BuyerPubkey([0; 32])
            }),
        ];
        for (uri, change) in cases {
            assert_eq!(fixture.refused(change), uri);
        }
        let all = |request: &mut SellRequest| cases.iter().for_each(|(_, change)| change(request));
        assert_eq!(fixture.refused(all), cases[0].0, "the first check speaks");

        let unsigned = SellRequest {
            signature: Signature([0; 65]),
            ..fixture.request(|_| ())
        };
        assert_eq!(
            fixture.book.sell(&unsigned).unwrap_err().uri(),
            "xbr.error.invalid_signature"
        );
        fixture.maker = Signer::from_bytes(&[8; 32]).unwrap();
        let maker = fixture.book.party.facts.marketmaker;
        assert_eq!(
            fixture.refused(|request| request.marketmaker = maker),
            "xbr.error.invalid_signature"
        );
    }

    #[test]
    fn more_than_the_channel_holds_is_never_sold() {
        let mut fixture = fixture();
        let beyond = |request: &mut SellRequest| {
            request.amount = Amount::from_tokens(101);
            request.balance = Amount::ZERO;
        };
        assert_eq!(fixture.refused(beyond), "xbr.error.unexpected_channel_balance");
    }

    #[test]
    fn a_seller_that_is_starting_says_so_where_it_has_keys() {
        let mut fixture = fixture();
        let request = fixture.request(|_| ());
        fixture.book.balance = None;
        assert_eq!(fixture.book.sell(&request).unwrap_err(), SellRefusal::NotReady);
        assert_eq!(SellRefusal::NotReady.uri(), "xbr.error.unexpected_channel_seq");
    }

    #[test]
    fn keys_are_forgotten_a_while_after_they_expire() {
        let mut fixture = fixture();
        let (old, end) = (KeyId([7; 16]), Nanos(1_000));
        fixture.book.add(old, DataKey::generate(), end, Nanos(0));
        fixture.book.add(
            KeyId([8; 16]),
            DataKey::generate(),
            Nanos(u64::MAX),
            end.plus_millis(GRACE_MS),
        );
        assert!(fixture.book.keys.contains_key(&old));
        fixture.book.add(
            KeyId([9; 16]),
            DataKey::generate(),
            Nanos(u64::MAX),
            end.plus_millis(GRACE_MS + 1),
        );
        assert!(!fixture.book.keys.contains_key(&old));
    }
}
