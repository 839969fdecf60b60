//! A small market whose commands are easy to make, and a disk that can be held, filled and broken.

use bourse_market::*;
use bourse_store::{Disk, Options, Stamp, Store, SubmitError};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};

pub const MARKET: MarketId = MarketId([0xAA; 16]);
pub const MAKER: Address = Address([0xBB; 20]);

pub fn stamp() -> Stamp {
    Stamp {
        mode: "local".to_owned(),
        chain_id: 1337,
        contract: Address([0xCC; 20]),
        market: MARKET,
        marketmaker: MAKER,
    }
}

pub fn options(path: &Path) -> Options {
    Options {
        map_size: 256 << 20,
        ..Options::at(path)
    }
}

pub fn open(path: &Path) -> Store {
    Store::open(options(path), &stamp()).unwrap()
}

/// Twenty bytes that are nobody else's.
pub fn address(kind: u8, number: u64) -> Address {
    let mut bytes = [kind; 20];
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    Address(bytes)
}

pub fn id(kind: u8, number: u64) -> [u8; 16] {
    let mut bytes = [kind; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    bytes
}

pub fn genesis() -> Command {
    Command::Genesis(Genesis {
        market: MARKET,
        marketmaker: MAKER,
        owner: MAKER,
        float: Amount::from_tokens(1_000_000_000),
        local: true,
        at: Nanos(1),
    })
}

pub fn fund(address: Address, tokens: u64) -> Command {
    Command::Fund(FundRequest {
        address,
        amount: Amount::from_tokens(tokens),
        at: Nanos(2),
    })
}

pub fn channel(kind: ChannelKind, number: u64) -> ChannelId {
    ChannelId(id(kind as u8, number))
}

/// Opens the channel `number` of its kind, of actor `number` with delegate `number`.
pub fn open_channel(kind: ChannelKind, number: u64, tokens: u64, at: u64) -> Command {
    let actor = address(b'A' + kind as u8, number);
    Command::Open(Box::new(OpenRequest {
        id: channel(kind, number),
        kind,
        market: MARKET,
        actor,
        delegate: delegate(kind, number),
        marketmaker: MAKER,
        recipient: if kind == ChannelKind::Payment {
            MAKER
        } else {
            actor
        },
        amount: Amount::from_tokens(tokens),
        open_at: Amount::from_units(1),
        signature: Signature([7; 65]),
        signer: actor,
        at: Nanos(at),
    }))
}

/// Closes a channel where it stands.
pub fn close(channel: &Channel) -> Command {
    Command::Close(Box::new(CloseRequest {
        id: channel.id,
        seq: channel.seq,
        balance: channel.posted_remaining(),
        is_final: true,
        close_at: Amount::from_units(1),
        delegate_signature: Signature([8; 65]),
        signer: channel.delegate,
        marketmaker_signature: Signature([9; 65]),
        at: Nanos(8),
    }))
}

pub fn actor(kind: ChannelKind, number: u64) -> Address {
    address(b'A' + kind as u8, number)
}

pub fn delegate(kind: ChannelKind, number: u64) -> Address {
    address(b'a' + kind as u8, number)
}

pub fn key(number: u64) -> KeyId {
    KeyId(id(b'k', number))
}

/// Offers key `number` of seller `seller` for one token.
pub fn place(number: u64, seller: u64) -> Command {
    let seller = delegate(ChannelKind::Paying, seller);
    Command::Place(Box::new(PlaceRequest {
        escrow: None,
        offer: Offer {
            id: OfferId(id(b'o', number)),
            key: key(number),
            api: ApiId([3; 16]),
            catalog: None,
            uri: "io.example.data".to_owned(),
            seller,
            provider_id: Some(format!("provider-{}", seller.0[19])),
            placer: Placer {
                session: SessionId(9),
                authid: None,
            },
            placed_at: Nanos(3),
            valid_from: None,
            expires: None,
            revoked: None,
            signature: Signature([0; 65]),
            signature_verified: false,
            claimed: true,
            unlisted: false,
            price: Price::Fixed(Amount::from_tokens(1)),
            pricing: PricingTerms::default(),
            copies: None,
            remaining: None,
            categories: [("topic".to_owned(), "weather".to_owned())].into(),
        },
    }))
}

pub fn purchase(number: u64) -> PurchaseId {
    PurchaseId(id(b'p', number))
}

/// Reserves purchase `number` of key `offer` on the two channels, as `view` has them now.
pub fn reserve<V: View>(view: &V, number: u64, offer: u64, buyer: u64, seller: u64) -> Command
where
    V::Error: std::fmt::Debug,
{
    let payment = view
        .channel(&channel(ChannelKind::Payment, buyer))
        .unwrap()
        .unwrap();
    let paying = view
        .channel(&channel(ChannelKind::Paying, seller))
        .unwrap()
        .unwrap();
    let price = Amount::from_tokens(1);
    let after = |channel: &Channel| channel.posted_remaining().checked_sub(price).unwrap_or_default();
    Command::Reserve(Box::new(ReserveRequest {
        order: Order {
            id: purchase(number),
            at: Nanos(1000 + number),
            identity: Identity {
                channel: payment.id,
                seq: payment.seq.next().unwrap(),
                key: key(offer),
                buyer_pubkey: BuyerPubkey([5; 32]),
                amount: price,
                balance: after(&payment),
            },
            buyer: payment.delegate,
            signer: payment.delegate,
            s1: Signature([1; 65]),
            price,
            fee: Amount::ZERO,
            source: PriceSource::Policy(DecisionId(id(b'd', number))),
            lenient_seq: false,
            cover: None,
        },
        callee: SessionId(9),
        paying_channel: paying.id,
        paying_seq: paying.seq.next().unwrap(),
        paying_balance: after(&paying),
        s2: Signature([2; 65]),
    }))
}

/// Posts purchase `number` of a seller, with a decision of `body` bytes.
pub fn post(number: u64, seller: u64, body: usize) -> Command {
    Command::Post(Box::new(PostRequest {
        id: purchase(number),
        at: Nanos(2000 + number),
        s3: Signature([3; 65]),
        recovered: 0,
        signer: delegate(ChannelKind::Paying, seller),
        sealed_key: SealedKey([8; 80]),
        s4: Signature([4; 65]),
        voucher: None,
        decision: Some(Decision {
            id: DecisionId(id(b'd', number)),
            header: DecisionHeader {
                at: Nanos(1500 + number),
                hook: "pricing".to_owned(),
                policy: "surge".to_owned(),
                revision: RevisionId([6; 32]),
                purchase: None,
            },
            body: vec![number as u8; body],
        }),
        also: Vec::new(),
        state_writes: vec![StateWrite {
            policy: "surge".to_owned(),
            key: "last".to_owned(),
            edit: StateEdit::Set((!number.is_multiple_of(5)).then(|| number.to_be_bytes().to_vec())),
        }],
    }))
}

pub fn void(number: u64, ambiguous: bool) -> Command {
    Command::Void(VoidRequest {
        id: purchase(number),
        at: Nanos(2000 + number),
        reason: VoidReason {
            error: "bourse.error.seller_unavailable".to_owned(),
            text: "the seller did not answer".to_owned(),
            ambiguous,
        },
    })
}

/// A market with buyers and sellers, each with a channel of `tokens` and an offer, both numbered from 0.
pub fn populate(store: &Store, parties: u64, tokens: u64) {
    do_all(store, [genesis()]);
    for number in 0..parties {
        do_all(
            store,
            [
                fund(actor(ChannelKind::Payment, number), tokens),
                open_channel(ChannelKind::Payment, number, tokens, 10 + number),
                open_channel(ChannelKind::Paying, number, tokens, 10 + number),
                place(number, number),
            ],
        );
    }
}

pub fn do_all(store: &Store, commands: impl IntoIterator<Item = Command>) {
    for command in commands {
        store.submit_blocking(command).unwrap();
    }
}

/// As [`do_all`], in the large batches that many callers at once make.
pub fn do_at_once(store: &Store, commands: impl IntoIterator<Item = Command>) {
    let mut commands: Vec<Command> = commands.into_iter().collect();
    std::thread::scope(|scope| {
        while !commands.is_empty() {
            let part = commands.split_off(commands.len().saturating_sub(100));
            scope.spawn(move || do_all(store, part));
        }
    });
}

/// Numbers that look random and are the same in every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    pub fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}

/// Reserves purchase `number` between the parties `party`.
pub fn reserve_now(store: &Store, number: u64, party: u64) -> Result<Outcome, SubmitError> {
    let command = reserve(&store.read().unwrap(), number, party, party, party);
    store.submit_blocking(command)
}

#[track_caller]
pub fn assert_sound(store: &Store) {
    let report = store.read().unwrap().verify(&mut |_, _| {}).unwrap();
    assert_eq!(report.violations, []);
    // A market starts on whatever is sound.
    let glance = store.read().unwrap().glance(&mut || false).unwrap();
    assert_eq!((glance.violations, glance.whole), (Vec::new(), true));
}

/// A disk under the test's thumb.
#[derive(Default)]
pub struct TestDisk {
    /// Bytes it says are free; 0 is plenty.
    pub free: AtomicU64,
    /// The commit that fails, counted from 1; 0 is none.
    pub fail_at: AtomicU64,
    held: Mutex<bool>,
    changed: Condvar,
    /// Commits that have begun.
    pub begun: AtomicU64,
    /// Whether writes of the decision log fail.
    pub fail_appends: AtomicBool,
    /// Writes of the decision log that have begun.
    pub appends: AtomicU64,
}

impl TestDisk {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Lets the next commit, or write of the decision log, wait until [`TestDisk::release`].
    pub fn hold(&self) {
        *self.held.lock().unwrap() = true;
    }

    pub fn release(&self) {
        *self.held.lock().unwrap() = false;
        self.changed.notify_all();
    }

    /// Waits until `commits` commits have begun.
    pub fn wait_for(&self, commits: u64) {
        let held = self.held.lock().unwrap();
        drop(
            self.changed
                .wait_while(held, |_| self.begun.load(SeqCst) < commits)
                .unwrap(),
        );
    }
}

impl Disk for TestDisk {
    fn free(&self, _path: &Path) -> io::Result<u64> {
        Ok(match self.free.load(SeqCst) {
            0 => u64::MAX,
            bytes => bytes,
        })
    }

    fn before_commit(&self) -> io::Result<()> {
        let held = self.held.lock().unwrap();
        let number = self.begun.fetch_add(1, SeqCst) + 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(held, |held| *held).unwrap());
        if number == self.fail_at.load(SeqCst) {
            return Err(io::Error::other("the disk is broken"));
        }
        Ok(())
    }

    fn before_append(&self, _bytes: u64) -> io::Result<()> {
        let held = self.held.lock().unwrap();
        self.appends.fetch_add(1, SeqCst);
        drop(self.changed.wait_while(held, |held| *held).unwrap());
        if self.fail_appends.load(SeqCst) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    }
}
