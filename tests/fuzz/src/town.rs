//! A small market in memory for inputs to call: the real procedures on a real ledger, an owner of its clock and its
//! chance, a buyer and a seller with channels, and the keys of all of them.

use crate::call::invocation;
use bourse_app::Environment;
use bourse_app::config::Config;
use bourse_app::simulation::{Library, Outside, Sellers, Stage, library};
use bourse_chain::{ChannelClose, ChannelOpen, Domain, KeyOffer, Signer};
use bourse_market::{
    Account, Address, Amount, ApiId, Change, Channel, ChannelId, ChannelKind, ChannelState, KeyId, MarketId,
    Nanos, Seq, SessionId, View,
};
use bourse_store::Disk;
use bourse_wamp::{CallError, CallResult, Dict, Value, WampError};
use futures_util::future::{BoxFuture, ready};
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The market's own id.
const MARKET: MarketId = MarketId([0x4d; 16]);
/// The API of every offer.
pub(crate) const API: ApiId = ApiId([7; 16]);
/// Under what name the seller answers.
pub(crate) const PROVIDER: &str = "p0";
/// What the buyer and the market maker put into a channel.
const DEPOSIT: Amount = Amount::from_units(1_000_000_000_000_000_000_000);
/// What the buyer is given whenever it needs a channel: enough for inputs to open some of their own.
const PURSE: Amount = Amount::from_units(4_000_000_000_000_000_000_000);
/// Sessions of the buyer and of the seller.
pub(crate) const BUYER: u64 = 11;
pub(crate) const SELLER: u64 = 12;
/// When the market starts.
const START: u64 = 1_700_000_000_000_000_000;

/// Time passes by being asked for, and chance is a count: one input does the same in every process.
#[derive(Default)]
struct Counted(AtomicU64);

impl Environment for Counted {
    fn now(&self) -> Nanos {
        Nanos(START + 1_000_000 * self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn fresh_id(&self) -> [u8; 16] {
        let mut id = [0; 16];
        self.random(&mut id);
        id
    }

    fn random(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            // The steps of SplitMix64, so that no two ids begin alike.
            let mut word = self
                .0
                .fetch_add(1, Ordering::Relaxed)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15);
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let word = (word ^ (word >> 31)).to_be_bytes();
            chunk.copy_from_slice(word.get(..chunk.len()).unwrap_or_default());
        }
    }
}

/// A disk with room, whatever becomes of the folder's name.
struct Roomy;

impl Disk for Roomy {
    fn free(&self, _: &Path) -> io::Result<u64> {
        Ok(1 << 40)
    }
}

/// A seller that signs for whatever it is asked.
struct Obliging {
    signer: Signer,
    domain: Domain,
}

impl Sellers for Obliging {
    fn call(
        &self,
        _: SessionId,
        _: String,
        args: Vec<Value>,
        _: Duration,
    ) -> BoxFuture<'_, Result<CallResult, CallError>> {
        let bytes = |at: usize| args.get(at).and_then(Value::as_bytes).unwrap_or_default();
        let array = |at: usize| <[u8; 32]>::try_from(bytes(at)).expect("an amount of ours");
        let channel = ChannelId(bytes(3).try_into().expect("a channel of ours"));
        let seq = Seq(args
            .get(4)
            .and_then(Value::as_u64)
            .and_then(|seq| seq.try_into().ok())
            .expect("a seq of ours"));
        let balance = Amount::from_be_bytes(array(6));
        let state = ChannelClose::off_chain(MARKET, channel, seq, balance);
        let fields = [
            ("key_id", Value::Bytes(bytes(2).to_vec())),
            ("sealed_key", Value::Bytes(vec![0x5e; 80])),
            ("channel_seq", seq.0.into()),
            ("amount", array(5).into()),
            ("balance", array(6).into()),
            (
                "signature",
                self.signer.sign(&state.digest(&self.domain)).0.into(),
            ),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value));
        Box::pin(ready(Ok(CallResult {
            args: vec![Value::Map(fields.into())],
            kwargs: Dict::new(),
        })))
    }

    fn drop_registration(&self, _: &str, _: SessionId) {}
}

/// The market, and who trades there.
pub(crate) struct Town {
    // First, so that what is under way ends before what it stands on.
    runtime: Runtime,
    stage: Stage,
    pub(crate) domain: Domain,
    pub(crate) owner: Address,
    pub(crate) marketmaker: Address,
    /// Whose money buys, and whose name its channel is signed in.
    pub(crate) buyer_actor: Signer,
    pub(crate) buyer: Signer,
    pub(crate) seller_actor: Signer,
    pub(crate) seller: Signer,
    /// The channels that are open now.
    pub(crate) paying: ChannelId,
    pub(crate) payment: ChannelId,
    /// Channels and keys that were named so far.
    named: u64,
}

/// A key that is the same in every process.
fn signer(number: u8) -> Signer {
    Signer::from_bytes(&[number; 32]).expect("a key")
}

/// A folder in memory, where there is one.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    }
    .expect("a folder")
}

fn config(folder: &Path) -> Config {
    let mut config = Config::default();
    config.store.path = folder.to_owned();
    config.store.map_size = 256 << 20;
    config.market.id = Some("4d4d4d4d-4d4d-4d4d-4d4d-4d4d4d4d4d4d".to_owned());
    config
}

/// Compiled once: it takes longer than a thousand inputs.
fn policies() -> Library {
    static SHARED: OnceLock<Library> = OnceLock::new();
    SHARED
        .get_or_init(|| library(&config(folder().path())).expect("the policies load"))
        .clone()
}

impl Town {
    /// A market with a buyer and a seller who have funded channels and nothing for sale.
    pub(crate) fn new() -> Self {
        let folder = folder();
        let config = config(folder.path());
        write_key(folder.path(), &signer(1));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let (maker, seller) = (signer(1), signer(5));
        let domain = bourse_chain::LocalSettlement::new(MARKET, maker.address(), Amount::ZERO);
        let domain = bourse_chain::Settlement::network(&domain).domain;
        let outside = Outside {
            environment: Arc::new(Counted::default()),
            disk: Arc::new(Roomy),
            sellers: Arc::new(Obliging {
                signer: signer(5),
                domain,
            }),
            library: policies(),
            events: Box::new(|_, _| {}),
        };
        let stage = runtime
            .block_on(Stage::open(&config, outside))
            .expect("the market starts");
        let network = stage.network();
        let mut town = Self {
            domain: network.domain,
            owner: network.owner,
            marketmaker: network.marketmaker,
            runtime,
            stage,
            buyer_actor: signer(2),
            buyer: signer(3),
            seller_actor: signer(4),
            seller,
            paying: ChannelId([0; 16]),
            payment: ChannelId([0; 16]),
            named: 0,
        };
        // A process that is killed leaves nothing behind: the ledger's files stay for as long as they are open.
        drop(folder);
        town.stage.joined(BUYER);
        town.stage.joined(SELLER);
        town.stage
            .registered(SELLER, &format!("xbr.provider.{PROVIDER}.sell"));
        town.stay_open();
        town
    }

    /// An id that was not there before.
    pub(crate) fn fresh(&mut self) -> [u8; 16] {
        self.named += 1;
        let mut id = [0xc4; 16];
        id[..8].copy_from_slice(&self.named.to_be_bytes());
        id
    }

    /// Asks the market, and waits until nothing is under way any more.
    pub(crate) fn ask(
        &self,
        session: u64,
        procedure: &str,
        args: Vec<Value>,
        kwargs: Dict,
    ) -> Result<CallResult, WampError> {
        self.call(invocation(session, procedure, args, kwargs))
    }

    pub(crate) fn call(&self, invocation: bourse_wamp::Invocation) -> Result<CallResult, WampError> {
        self.runtime.block_on(async {
            let answer = self.stage.call(invocation).await;
            self.stage.drained().await;
            answer
        })
    }

    /// What the ledger says of a channel.
    pub(crate) fn channel(&self, id: ChannelId) -> Option<Channel> {
        self.stage
            .read(|ledger| ledger.channel(&id))
            .expect("a channel that reads")
    }

    /// Opens new channels in the place of those that were closed or used up.
    pub(crate) fn stay_open(&mut self) {
        let is_live = |town: &Self, id| town.channel(id).is_some_and(|channel| channel.is_live());
        if !is_live(self, self.payment) {
            let fund = vec![self.buyer_actor.address().0.into(), amount(PURSE)];
            self.ask(BUYER, "bourse.dev.fund", fund, Dict::new())
                .expect("test tokens");
            self.payment = self.open(ChannelKind::Payment);
        }
        if !is_live(self, self.paying) {
            self.paying = self.open(ChannelKind::Paying);
            let active = vec![self.seller.address().0.into()];
            let procedure = "xbr.marketmaker.get_active_paying_channel";
            self.ask(SELLER, procedure, active, Dict::new())
                .expect("the seller's channel");
        }
    }

    fn open(&mut self, kind: ChannelKind) -> ChannelId {
        let id = ChannelId(self.fresh());
        let args = self.open_args(kind, id);
        self.ask(BUYER, "xbr.marketmaker.open_channel", args, Dict::new())
            .expect("an open channel");
        id
    }

    /// The arguments of a good open_channel.
    pub(crate) fn open_args(&self, kind: ChannelKind, channel: ChannelId) -> Vec<Value> {
        let (actor, delegate) = match kind {
            ChannelKind::Payment => (&self.buyer_actor, &self.buyer),
            ChannelKind::Paying => (&self.seller_actor, &self.seller),
        };
        let message = ChannelOpen {
            kind,
            opened_at: Amount::from_units(1),
            market: MARKET,
            channel,
            actor: actor.address(),
            delegate: delegate.address(),
            marketmaker: self.marketmaker,
            recipient: match kind {
                ChannelKind::Payment => self.owner,
                ChannelKind::Paying => actor.address(),
            },
            amount: DEPOSIT,
        };
        vec![
            message.actor.0.into(),
            MARKET.0.into(),
            channel.0.into(),
            self.domain.chain_id.into(),
            1_u8.into(),
            self.domain.verifying_contract.0.into(),
            (kind as u8).into(),
            message.delegate.0.into(),
            message.marketmaker.0.into(),
            message.recipient.0.into(),
            amount(DEPOSIT),
            actor.sign(&message.digest(&self.domain)).0.into(),
        ]
    }

    /// What a delegate signs for a state of a channel that goes on.
    pub(crate) fn state(&self, channel: ChannelId, seq: Seq, balance: Amount) -> [u8; 32] {
        ChannelClose::off_chain(MARKET, channel, seq, balance).digest(&self.domain)
    }

    /// The arguments of a good place_offer.
    pub(crate) fn offer_args(&self, key: KeyId, uri: &str, price: Option<Amount>) -> Vec<Value> {
        let message = KeyOffer {
            market: MARKET,
            key,
            api: API,
            uri: uri.to_owned(),
            price: price.unwrap_or_default(),
            dynamic: price.is_none(),
            valid_from: Nanos(0),
            expires: Nanos(0),
            delegate: self.seller.address(),
        };
        vec![
            key.0.into(),
            API.0.into(),
            uri.into(),
            0_u8.into(),
            self.seller.address().0.into(),
            self.seller.sign(&message.digest(&self.domain)).0.into(),
        ]
    }

    /// The market's id.
    pub(crate) fn market(&self) -> MarketId {
        MARKET
    }

    /// Shows every record of a table.
    pub(crate) fn records(&self, table: &str, visit: &mut dyn FnMut(Change)) {
        let mut each = |record| {
            visit(record);
            ControlFlow::Continue(())
        };
        self.stage
            .read(|ledger| ledger.export(table, &mut each))
            .expect("records that read");
    }

    /// Shows every entry of a table, as it is stored.
    pub(crate) fn entries(&self, table: &str, visit: &mut dyn FnMut(&[u8], &[u8])) {
        self.stage
            .read(|ledger| ledger.entries(table, visit))
            .expect("entries");
    }

    /// What accounts and channels hold is what there ever was.
    pub(crate) fn sums_hold(&self) {
        let (mut held, mut endowed) = (Amount::ZERO, Amount::ZERO);
        let mut add = |amount| held = held.checked_add(amount).expect("no more than there is");
        self.records("accounts", &mut |record| {
            if let Change::Account(_, Account { balance, .. }) = record {
                add(balance);
            }
        });
        self.records("channels", &mut |record| {
            if let Change::Channel(channel) = record
                && channel.state != ChannelState::Closed
            {
                add(channel.posted_remaining());
                add(channel.spent);
            }
        });
        self.records("totals", &mut |record| {
            if let Change::Totals(totals) = record {
                endowed = totals.float.checked_add(totals.granted).expect("a sum");
            }
        });
        assert_eq!(held, endowed);
    }

    /// Every invariant of the ledger holds.
    pub(crate) fn verify(&self) {
        let report = self.stage.verify().expect("a ledger that reads");
        assert!(report.is_sound(), "{report:?}");
    }
}

/// An amount as clients spell it.
pub(crate) fn amount(amount: Amount) -> Value {
    amount.to_be_bytes().into()
}

fn write_key(folder: &Path, signer: &Signer) {
    let hex: String = signer
        .to_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(folder.join("marketmaker.key"))
        .and_then(|mut file| file.write_all(hex.as_bytes()))
        .expect("the market maker's key");
}
