//! Every reason for which the ledger refuses a command. `app` maps each to one WAMP error URI, in one table.

use crate::Amount;
use crate::chain::BlockRef;
use crate::ids::{
    Address, BlockNumber, ChannelId, ClientKey, ConsentId, KeyId, MarketId, Nanos, PurchaseId, Seq,
};
use crate::login::UserKey;
use crate::outbox::Nonce;

/// A refused command changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The ledger was never endowed.
    #[error("the ledger has no genesis record")]
    NoGenesis,
    /// The ledger belongs to another market or market maker.
    #[error("the ledger was made for another market or market maker")]
    GenesisMismatch,
    /// Accounts and grants exist in local mode only.
    #[error("this market settles on a chain and has no faucet")]
    NotLocal,
    /// A sum above 2^256 − 1.
    #[error("the amount would exceed 2^256 - 1 units")]
    Overflow,

    /// The ledger stands elsewhere on the chain than whoever follows it thought, or keeps to none.
    #[error("block {to} does not follow the one the ledger stands at, {}", stands.as_deref().map_or_else(|| "none".to_owned(), ToString::to_string))]
    NotNextBlock {
        /// Where it stands.
        stands: Option<Box<BlockRef>>,
        /// Where it was to go.
        to: Box<BlockRef>,
    },
    /// Transactions need a chain.
    #[error("this market settles without a chain and sends no transactions")]
    NoChain,
    /// Nothing is known yet of the transactions that the market maker sent.
    #[error("the market maker's next nonce is not known yet: the node did not say")]
    NoNonce,
    /// Too many transactions are under way.
    #[error("{unfinished} transactions of the market maker are under way, at most {most}: try again later")]
    OutboxFull {
        /// Under way.
        unfinished: usize,
        /// The most.
        most: usize,
    },
    /// Too many transactions that carry consents are under way.
    #[error("{unfinished} consents are on their way to the chain, at most {most}: try again later")]
    CarriedAtATime {
        /// Under way.
        unfinished: usize,
        /// The most.
        most: usize,
    },
    /// The market maker has carried enough of a member's consents, or of all members'.
    #[error(
        "the market maker carried {carried} consents {whose} to the chain within a day, at most {most}: try again later, or \
         leave contract_signature out; nothing is carried then"
    )]
    CarriedEnough {
        /// How many.
        carried: u64,
        /// The most.
        most: u64,
        /// Of whom.
        whose: &'static str,
    },
    /// Another word is on its way to the chain that was signed at the same block.
    #[error(
        "what member {member} signed at block {signed_at} goes to the chain with another prefix or signature already: sign \
         at a later block"
    )]
    CarriedOtherwise {
        /// Who signed.
        member: Address,
        /// When.
        signed_at: BlockNumber,
    },
    /// An actor's allowance is for one channel at a time.
    #[error("a payment channel of {actor} is being opened already, {channel}: one after the other")]
    OpenUnderWay {
        /// Who opens it.
        actor: Address,
        /// The channel under way.
        channel: ChannelId,
    },
    /// The signature that is to bind the delegate is not its own.
    #[error("the binding of delegate {delegate} is signed by {signer}")]
    DelegateUnproven {
        /// The delegate.
        delegate: Address,
        /// Whom the signature recovers to.
        signer: Address,
    },
    /// A channel of less than is worth a transaction.
    #[error("such a channel takes {minimum} tokens at least, the request names {got}")]
    DepositMinimum {
        /// The least.
        minimum: Amount,
        /// As signed.
        got: Amount,
    },
    /// More than the market maker locks for this provider.
    #[error(
        "the market maker locks at most {limit} tokens in paying channels of {provider}, {locked} are locked already, and \
         the request names {got}"
    )]
    PayingLimit {
        /// The provider.
        provider: Address,
        /// The most; 0 for one that its operator did not list.
        limit: Amount,
        /// In its other channels.
        locked: Amount,
        /// As signed.
        got: Amount,
    },
    /// More than the market maker locks at all.
    #[error(
        "the market maker locks at most {cap} tokens in all paying channels, {locked} are locked already, and the request \
         names {got}"
    )]
    PayingCap {
        /// The most.
        cap: Amount,
        /// In all other channels.
        locked: Amount,
        /// As signed.
        got: Amount,
    },
    /// More openings than the market maker pays for.
    #[error(
        "the market maker opens at most {most} channels for {actor} in {} s: the next can be asked for in {} s",
        seconds(.within.0), seconds(.again_at.since(*.at))
    )]
    OpeningRate {
        /// Whose they are.
        actor: Address,
        /// The most.
        most: u32,
        /// In so long.
        within: Nanos,
        /// When the next may be opened.
        again_at: Nanos,
        /// The time of the request.
        at: Nanos,
    },
    /// There is no transaction of that nonce.
    #[error("no transaction of this ledger has nonce {nonce}")]
    IntentUnknown {
        /// As named.
        nonce: Nonce,
    },
    /// The transaction has come to its end.
    #[error("the transaction of nonce {nonce} is finished")]
    IntentFinished {
        /// Its nonce.
        nonce: Nonce,
    },
    /// The transaction was sent often enough, or not for more than before.
    #[error("the transaction of nonce {nonce} cannot be sent so: {what}")]
    AttemptRefused {
        /// Its nonce.
        nonce: Nonce,
        /// Why.
        what: &'static str,
    },
    /// A transaction ends only as the chain that was followed shows.
    #[error("the transaction of nonce {nonce} did not end so: {what}")]
    NotItsEnd {
        /// Its nonce.
        nonce: Nonce,
        /// Why.
        what: &'static str,
    },
    /// The buyer spent what is taken on trust, and brings no voucher.
    #[error(
        "{spent} tokens are spent over this channel and not settled, at most {most} are taken on trust: a purchase for {price} \
         must bring a voucher"
    )]
    Unsettled {
        /// Spent before.
        spent: Amount,
        /// The price.
        price: Amount,
        /// The most.
        most: Amount,
    },
    /// The voucher on record is about to be used.
    #[error(
        "the voucher of channel {channel} names block {close_at}, and the channel is about to be closed by it: renew it first"
    )]
    VoucherDue {
        /// The channel.
        channel: ChannelId,
        /// The block.
        close_at: BlockNumber,
    },
    /// A voucher over another state.
    #[error("the voucher is for seq {got_seq} and a balance of {got_balance}, expected {seq} and {balance}")]
    VoucherMisfits {
        /// The position it must be for.
        seq: Seq,
        /// What is left then.
        balance: Amount,
        /// As signed.
        got_seq: Seq,
        /// As signed.
        got_balance: Amount,
    },
    /// A voucher that would lapse before the one on record.
    #[error("the voucher names block {got}, the one on record {close_at}")]
    VoucherOlder {
        /// On record.
        close_at: BlockNumber,
        /// As signed.
        got: BlockNumber,
    },
    /// There is nothing to claim.
    #[error("nothing was spent over channel {channel}: there is nothing to settle")]
    NothingSpent {
        /// The channel.
        channel: ChannelId,
    },
    /// The contract is not shown the final state of this channel, or not again.
    #[error("the final state of channel {channel} is not shown to the contract: {what}")]
    NotShown {
        /// The channel.
        channel: ChannelId,
        /// Why.
        what: &'static str,
    },
    /// The ledger's own transactions are under way.
    #[error("nonces cannot be passed over while transactions are under way")]
    LineBusy,
    /// A request names another market.
    #[error("the request names market {named}, this is {ours}")]
    WrongMarket {
        /// As signed.
        named: MarketId,
        /// This one.
        ours: MarketId,
    },
    /// A request to open names another market maker.
    #[error("the channel names market maker {named}, this is {ours}")]
    WrongMarketMaker {
        /// As signed.
        named: Address,
        /// This one.
        ours: Address,
    },
    /// The recipient does not fit the kind of channel.
    #[error("the channel names recipient {named}, it must be {expected}")]
    WrongRecipient {
        /// As signed.
        named: Address,
        /// The market's owner for a payment channel, the actor for a paying one.
        expected: Address,
    },
    /// The delegate is the zero address.
    #[error("the delegate must not be the zero address")]
    ZeroDelegate,
    /// Another actor came first.
    #[error("delegate {delegate} is {actor}'s already, and a delegate has one actor for good")]
    DelegateTaken {
        /// The delegate.
        delegate: Address,
        /// Whose it is.
        actor: Address,
    },
    /// A channel of somebody else.
    #[error("channel {channel} is not one of {actor} that names delegate {delegate}")]
    WrongParty {
        /// The channel.
        channel: ChannelId,
        /// The delegate it should name.
        delegate: Address,
        /// The actor it should be of.
        actor: Address,
    },
    /// The chain holds no deposit for it any more, or not yet again.
    #[error(
        "channel {channel} has no deposit behind it on the chain: it is being settled or was, or its opening was dropped; \
         nothing can let it go on but the chain itself"
    )]
    NotBacked {
        /// The channel.
        channel: ChannelId,
    },
    /// A channel without a deposit.
    #[error("the channel's amount must be above 0")]
    ZeroDeposit,
    /// `openedAt` of 0.
    #[error("openedAt must be 1 at least")]
    ZeroBlock,
    /// The id is in use.
    #[error("channel {channel} exists already")]
    ChannelExists {
        /// The id.
        channel: ChannelId,
    },
    /// The payer's account does not cover the deposit.
    #[error("account {account} holds {holds}, the channel needs {needs}")]
    InsufficientAccount {
        /// The member, or the market maker for a paying channel.
        account: Address,
        /// What it has.
        holds: Amount,
        /// The deposit.
        needs: Amount,
    },
    /// A signature by somebody else.
    #[error("signed by {signer}, expected {expected}")]
    WrongSigner {
        /// Whom the signature recovers to.
        signer: Address,
        /// Who should have signed.
        expected: Address,
    },

    /// The key was offered before.
    #[error("key {key} is on offer already")]
    DuplicateKey {
        /// The key.
        key: KeyId,
    },
    /// No such offer.
    #[error("no offer for key {key}")]
    OfferUnknown {
        /// The key.
        key: KeyId,
    },
    /// Revoking somebody else's offer.
    #[error("only the seller of key {key} may revoke it")]
    NotTheSeller {
        /// The key.
        key: KeyId,
    },
    /// Past its end, or revoked.
    #[error("the offer of key {key} ended at {at:?}")]
    OfferExpired {
        /// The key.
        key: KeyId,
        /// When.
        at: Nanos,
    },
    /// Before its start.
    #[error("the offer of key {key} starts at {at:?}")]
    OfferNotYetValid {
        /// The key.
        key: KeyId,
        /// When.
        at: Nanos,
    },
    /// No copy left.
    #[error("key {key} is sold out")]
    SoldOut {
        /// The key.
        key: KeyId,
    },

    /// A key left with the market maker, of an offer that nobody proved to be its seller's.
    #[error(
        "the offer of key {key} carries no verified signature of its delegate: such a key is not sold for anybody"
    )]
    EscrowUnsigned {
        /// The key.
        key: KeyId,
    },
    /// The key was left with the market maker: its seller is never asked, neither for it nor for its price.
    #[error(
        "key {key} is sold by the market maker itself: its seller is asked neither for it nor for its price"
    )]
    Escrowed {
        /// The key.
        key: KeyId,
    },
    /// The key was not left with the market maker, or is another one.
    #[error("key {key} is not in escrow, or not as it was when it was sealed")]
    NotEscrowed {
        /// The key.
        key: KeyId,
    },

    /// No such channel, or of the other kind.
    #[error("no such channel {channel}")]
    ChannelUnknown {
        /// The id.
        channel: ChannelId,
    },
    /// Closing or closed.
    #[error("channel {channel} is not open")]
    ChannelNotOpen {
        /// The id.
        channel: ChannelId,
    },
    /// A final state other than the one the ledger holds.
    #[error(
        "channel {channel} stands at seq {seq} with {remaining} left, and closes there alone{}; got seq {got_seq} with {got_balance}",
        less(*.remaining, .due.as_deref())
    )]
    NotPosted {
        /// The id.
        channel: ChannelId,
        /// The posted position.
        seq: Seq,
        /// The posted balance.
        remaining: Amount,
        /// What its delegate is owed for escrowed keys and may have paid over it, if anything: the channel closes with that
        /// much less too. Boxed to keep refusals small.
        due: Option<Box<Amount>>,
        /// The position that was signed.
        got_seq: Seq,
        /// The balance that was signed.
        got_balance: Amount,
    },
    /// A debt that a newer copy of a restored ledger may have paid already, over another channel.
    #[error(
        "the {due} that are due for keys in escrow are not paid while channel {quarantined} of the same delegate is in \
         quarantine: close channel {channel} with {remaining} left, and they stay due, or have that one reconciled before"
    )]
    DebtHeld {
        /// The id.
        channel: ChannelId,
        /// The posted balance, with which it closes.
        remaining: Amount,
        /// What would be paid. Boxed to keep refusals small.
        due: Box<Amount>,
        /// The one in quarantine, or one of them.
        quarantined: ChannelId,
    },
    /// A closing state that others may follow.
    #[error(
        "channel {channel} is closed by a final state alone: sign seq {seq} and balance {remaining} with is_final = true"
    )]
    NotFinal {
        /// The id.
        channel: ChannelId,
        /// The posted position.
        seq: Seq,
        /// The posted balance.
        remaining: Amount,
    },
    /// The ledger was restored from a backup, and nobody knows where the channel stands.
    #[error(
        "channel {channel} is in quarantine since its ledger was restored from a backup: its operator takes it out of it \
         by the latest state that its delegate signed"
    )]
    ChannelQuarantined {
        /// The id.
        channel: ChannelId,
    },
    /// Nothing to reconcile.
    #[error("channel {channel} is not in quarantine")]
    NotQuarantined {
        /// The id.
        channel: ChannelId,
    },
    /// The state that was shown for the latest is none: the ledger knows a later one, or another.
    #[error(
        "the ledger has channel {channel} at seq {seq} with {remaining} left: seq {got_seq} with {got_balance} is not its \
         latest state"
    )]
    NotLatest {
        /// The id.
        channel: ChannelId,
        /// The posted position.
        seq: Seq,
        /// The posted balance.
        remaining: Amount,
        /// The position that was shown.
        got_seq: Seq,
        /// The balance that was shown.
        got_balance: Amount,
    },
    /// A seller's own word for what it is owed.
    #[error(
        "seq {got_seq} with {got_balance} left is later than what the ledger has of paying channel {channel}, and would pay \
         its seller: it counts with the market maker's signature over it alone, which the seller got with the request to sell"
    )]
    NotCountersigned {
        /// The id.
        channel: ChannelId,
        /// The position that was shown.
        got_seq: Seq,
        /// The balance that was shown.
        got_balance: Amount,
    },
    /// Purchases are missing between the ledger's state and the latest one.
    #[error(
        "channel {channel} moved from seq {seq} with {remaining} left to seq {got_seq} with {got_balance} left, and the \
         ledger lacks what was sold in between: accept the loss of these records to go on from there"
    )]
    RecordsMissing {
        /// The id.
        channel: ChannelId,
        /// The posted position.
        seq: Seq,
        /// The posted balance.
        remaining: Amount,
        /// The position that was shown.
        got_seq: Seq,
        /// The balance that was shown.
        got_balance: Amount,
    },
    /// More than a seller can have been paid for no purchase, or another amount where nothing moved.
    #[error("channel {channel} has between {least} and {most} prepaid there, not {got}")]
    PrepaidBeyond {
        /// The id.
        channel: ChannelId,
        /// All that was prepaid before if the channel stands where the ledger has it, else nothing.
        least: Amount,
        /// What was prepaid before, and what the state that was shown pays beyond the ledger's.
        most: Amount,
        /// What the operator says.
        got: Amount,
    },
    /// Neither a state nor the operator's word for there being none.
    #[error(
        "channel {channel} needs the latest state that its delegate signed, or its operator's word for the loss"
    )]
    NothingShown {
        /// The id.
        channel: ChannelId,
    },
    /// The delegate belongs to another actor.
    #[error("channel {channel} names a delegate of another actor and is never used")]
    ChannelUnbound {
        /// The id.
        channel: ChannelId,
    },
    /// The seq is not the next one.
    #[error("expected seq {expected}, got {got}; the channel has {remaining} left")]
    OutOfOrder {
        /// The seq to sign.
        expected: Seq,
        /// The seq that was signed.
        got: Seq,
        /// The posted balance.
        remaining: Amount,
    },
    /// All 2^32 − 1 positions are used.
    #[error("channel {channel} has used its last seq")]
    SeqExhausted {
        /// The id.
        channel: ChannelId,
    },
    /// Another purchase of this payment channel is pending.
    #[error("purchase {purchase} is pending on this channel")]
    PurchasePending {
        /// The pending one.
        purchase: PurchaseId,
        /// It is the very same purchase: wait for its answer.
        same: bool,
    },
    /// The price is above what the buyer offers.
    #[error("the price is {price}, the buyer offers {amount}")]
    InsufficientAmount {
        /// The price in force.
        price: Amount,
        /// What was offered.
        amount: Amount,
    },
    /// The price is above what the payment channel holds.
    #[error("the price is {price}, the payment channel holds {remaining}")]
    InsufficientPaymentBalance {
        /// The price in force.
        price: Amount,
        /// What is left.
        remaining: Amount,
    },
    /// The balance was signed for another price.
    #[error("the price is {price} now, the balance was signed for {amount}")]
    PriceChanged {
        /// The price in force.
        price: Amount,
        /// What was signed for.
        amount: Amount,
    },
    /// The balance fits neither the price nor the amount.
    #[error("expected a signed balance of {expected}, got {got}")]
    WrongBalance {
        /// The posted balance less the price.
        expected: Amount,
        /// What was signed.
        got: Amount,
    },
    /// The seller's credit is above what the paying channel holds.
    #[error("the seller is owed {credit}, the paying channel holds {remaining}")]
    InsufficientPayingBalance {
        /// Price less fee.
        credit: Amount,
        /// What is left.
        remaining: Amount,
    },
    /// The fee is above the price.
    #[error("the fee {fee} is above the price {price}")]
    FeeAbovePrice {
        /// The fee.
        fee: Amount,
        /// The price.
        price: Amount,
    },
    /// A purchase is pending on the paying channel, or it moved since `s2` was signed.
    #[error("paying channel {channel} moved on")]
    PayingMoved {
        /// The id.
        channel: ChannelId,
    },
    /// The paying channel waits for its seller, or for the operator.
    #[error("paying channel {channel} is suspended: {why}")]
    ChannelSuspended {
        /// The id.
        channel: ChannelId,
        /// Why.
        why: String,
    },
    /// The pair waits for its provider to register anew.
    #[error("the seller is suspended: {why}")]
    PairSuspended {
        /// Why.
        why: String,
    },
    /// Whoever placed the offer never proved to be the seller, and is gone.
    #[error("the offer of key {key} was placed by a session that never proved to be its seller, and is gone")]
    PlacerUnproven {
        /// The key.
        key: KeyId,
    },
    /// No such purchase, or no longer pending.
    #[error("purchase {purchase} is not pending")]
    NotPending {
        /// The id.
        purchase: PurchaseId,
    },
    /// A step of recovery that the rules do not allow.
    #[error("purchase {purchase} is not asked again: {why}")]
    NoRecovery {
        /// The id.
        purchase: PurchaseId,
        /// The rule, in words.
        why: &'static str,
    },
    /// The decision to store is not the one the purchase names.
    #[error("purchase {purchase} names another decision")]
    DecisionMismatch {
        /// The id.
        purchase: PurchaseId,
    },

    /// A text or list of a record is longer than it may be.
    #[error("expected at most {most} {unit} for {what}, got {length}")]
    TooLong {
        /// The text or list.
        what: &'static str,
        /// Its length.
        length: usize,
        /// The most.
        most: usize,
        /// What is counted.
        unit: &'static str,
    },
    /// A caller that is logged in as another member.
    #[error("the caller is logged in as member {login}, the consent is one of member {member}")]
    AnotherMember {
        /// Who calls.
        login: Address,
        /// Whose consent it is.
        member: Address,
    },
    /// A consent that was signed earlier than the one on record, or at the same block.
    #[error(
        "the consent on record was signed at block {signed_at}, this one at {got}: sign it at a later block, so that nobody \
         can repeat what you said before"
    )]
    ConsentOutdated {
        /// The block that the one on record was signed at.
        signed_at: BlockNumber,
        /// The block that was signed.
        got: BlockNumber,
    },
    /// The identifier of a consent belongs to another.
    #[error("consent id {id} is not that of what it is about")]
    ConsentMisnamed {
        /// The id.
        id: ConsentId,
    },
    /// A login that holds from later on.
    #[error("the login holds from {} on, it is {} now: check the clock of whoever signed it", issued.0, at.0)]
    LoginAhead {
        /// From when.
        issued: Nanos,
        /// Now.
        at: Nanos,
    },
    /// A login that held before.
    #[error("the login held until {}, it is {} now: sign it anew", expires.0, at.0)]
    LoginExpired {
        /// To when.
        expires: Nanos,
        /// Now.
        at: Nanos,
    },
    /// A login that would hold for too long.
    #[error("the login would hold from {} to {}, at most {} days are taken", issued.0, expires.0, UserKey::MAX_LIFE / DAY)]
    LoginTooLong {
        /// From when.
        issued: Nanos,
        /// To when.
        expires: Nanos,
    },
    /// Another member or delegate vouches for this key.
    #[error("somebody else vouches for key {key}: log in with a key of your own")]
    KeyTaken {
        /// The key.
        key: ClientKey,
    },
    /// A key that was taken back, and no later word on it.
    #[error("key {key} was taken back at {}: sign a login that is issued later, or log in with another key", revoked.0)]
    KeyRevoked {
        /// The key.
        key: ClientKey,
        /// When.
        revoked: Nanos,
    },
    /// Too many keys were taken back.
    #[error(
        "{} keys of {party} that would count again were taken back, no more are remembered: wait until their signatures expire",
        UserKey::MAX_REVOKED
    )]
    KeysRevoked {
        /// Whose keys.
        party: Address,
    },
    /// Later logins stand.
    #[error(
        "{} later logins of {party} stand, at most so many do: sign this one anew",
        UserKey::MAX_STANDING
    )]
    KeysStanding {
        /// Whose keys.
        party: Address,
    },
    /// A key that nobody vouches for.
    #[error("nobody vouches for key {key}")]
    KeyUnknown {
        /// The key.
        key: ClientKey,
    },
    /// Withdrawing what was never given.
    #[error("there is no consent {id} to withdraw")]
    ConsentUnknown {
        /// The id.
        id: ConsentId,
    },
}

/// Nanoseconds of a day.
const DAY: u64 = 24 * 60 * 60 * 1_000_000_000;

/// The other balance that a channel closes with, if there is one.
fn less(remaining: Amount, due: Option<&Amount>) -> String {
    let settled = due.and_then(|due| Some((remaining.checked_sub(*due)?, due)));
    settled.map_or_else(String::new, |(balance, due)| {
        format!(", or with {balance}, which settles the {due} that are due")
    })
}

/// Whole seconds, the last one begun counting as one.
fn seconds(nanos: u64) -> u64 {
    nanos.div_ceil(1_000_000_000)
}
