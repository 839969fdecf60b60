//! One table: which WAMP error each refusal becomes.

use bourse_chain::SettlementError;
use bourse_market::{Amount, Outcome, Refusal, Seq};
use bourse_store::{StoreError, SubmitError};
use bourse_wamp::{Dict, Value, WampError};

/// The error URIs of the market's procedures.
pub mod uri {
    #![allow(missing_docs, reason = "each URI says what it is")]

    macro_rules! uris {
        ($($name:ident = $uri:literal,)*) => {
            $(pub const $name: &str = $uri;)*
            /// All of them.
            pub(crate) const ALL: &[&str] = &[$($uri),*];
        };
    }

    uris! {
        INVALID_ARGUMENT = "wamp.error.invalid_argument",
        RUNTIME = "wamp.error.runtime_error",
        CANCELED = "wamp.error.canceled",
        NO_SUCH_PROCEDURE = "wamp.error.no_such_procedure",
        PROCEDURE_ALREADY_EXISTS = "wamp.error.procedure_already_exists",
        NO_SUCH_OBJECT = "crossbar.error.no_such_object",
        INVALID_CHANNEL = "xbr.error.invalid_channel",
        CHANNEL_NOT_OPEN = "xbr.error.channel_not_open",
        INVALID_SIGNATURE = "xbr.error.invalid_signature",
        INSUFFICIENT_AMOUNT = "xbr.error.insufficient_amount",
        INSUFFICIENT_PAYMENT_BALANCE = "xbr.error.insufficient_payment_balance",
        INSUFFICIENT_PAYING_BALANCE = "xbr.error.insufficient_paying_balance",
        OFFER_EXPIRED = "xbr.error.offer_expired",
        TRANSACTION_FAILED = "xbr.error.transaction_failed",
        UNEXPECTED_CHANNEL_SEQ = "xbr.error.unexpected_channel_seq",
        UNEXPECTED_CHANNEL_OID = "xbr.error.unexpected_channel_oid",
        UNEXPECTED_CHANNEL_BALANCE = "xbr.error.unexpected_channel_balance",
        UNEXPECTED_MARKETMAKER = "xbr.error.unexpected_marketmaker_adr",
        INVALID_CHANNEL_TYPE = "xbr.marketmaker.error.invalid_channel_type",
        INVALID_DELEGATE_ADR = "xbr.marketmaker.error.invalid_delegate_adr",
        INVALID_MEMBER_ADR = "xbr.marketmaker.error.invalid_member_adr",
        INVALID_AUTH_REQUEST = "xbr.marketmaker.error.invalid-auth-request",
        REFUSED = "bourse.error.refused",
        POLICY_FAILED = "bourse.error.policy_failed",
        PRICE_CHANGED = "bourse.error.price_changed",
        OUT_OF_ORDER = "bourse.error.out_of_order",
        WRONG_BALANCE = "bourse.error.wrong_balance",
        SOLD_OUT = "bourse.error.sold_out",
        NOT_YET_VALID = "bourse.error.not_yet_valid",
        SELLER_UNAVAILABLE = "bourse.error.seller_unavailable",
        OVERLOADED = "bourse.error.overloaded",
        STORAGE_FULL = "bourse.error.storage_full",
        NOT_AUTHORIZED = "bourse.error.not_authorized",
        DUPLICATE_KEY = "bourse.error.duplicate_key",
        NOT_READY = "bourse.error.not_ready",
        UNSETTLED = "bourse.error.unsettled",
        INSUFFICIENT_FUNDS = "bourse.error.insufficient_funds",
    }
}

/// An error with one line of text.
pub(crate) fn fault(uri: &str, text: impl Into<String>) -> WampError {
    WampError {
        uri: uri.to_owned(),
        args: vec![Value::Str(text.into())],
        kwargs: Dict::new(),
    }
}

/// A fault of one argument, named.
pub(crate) fn invalid(argument: &str, text: impl std::fmt::Display) -> WampError {
    let mut error = fault(uri::INVALID_ARGUMENT, format!("{argument}: {text}"));
    error
        .kwargs
        .insert("argument".to_owned(), Value::Str(argument.to_owned()));
    error
}

/// What is wrong with a client's request to be let in, as the old market maker put it.
pub(crate) fn unfit(text: impl std::fmt::Display) -> WampError {
    fault(
        uri::INVALID_AUTH_REQUEST,
        format!("invalid parameter(s) in authentication request: {text}"),
    )
}

/// The table: every [`Refusal`] of the core, its URI, and the figures a client needs to go on.
pub(crate) fn of_refusal(refusal: &Refusal) -> WampError {
    use Refusal as R;
    let amount = |value: &bourse_market::Amount| Value::Bytes(value.to_be_bytes().to_vec());
    let (uri, details): (&str, Vec<(&str, Value)>) = match refusal {
        R::WrongMarket { .. } => return invalid("market_oid", refusal),
        R::WrongMarketMaker { .. } => return invalid("marketmaker", refusal),
        R::WrongRecipient { .. } => return invalid("recipient", refusal),
        R::ZeroDelegate => return invalid("delegate", refusal),
        R::ZeroDeposit | R::Overflow => return invalid("amount", refusal),
        R::ZeroBlock => return invalid("current_block_number", refusal),
        R::ChannelExists { .. } => return invalid("channel_oid", refusal),
        R::DepositMinimum { .. } => return invalid("amount", refusal),
        R::DelegateUnproven { .. } => (uri::INVALID_SIGNATURE, vec![]),
        R::NoNonce | R::OpenUnderWay { .. } => (uri::NOT_READY, vec![]),
        R::OutboxFull { .. } | R::CarriedAtATime { .. } | R::CarriedEnough { .. } => (uri::OVERLOADED, vec![]),
        R::CarriedOtherwise { .. } => (uri::OUT_OF_ORDER, vec![]),
        R::PayingLimit { limit: most, locked, .. } | R::PayingCap { cap: most, locked, .. } => (
            uri::INSUFFICIENT_FUNDS,
            vec![("most", amount(most)), ("locked", amount(locked))],
        ),
        R::OpeningRate { again_at, .. } => (
            uri::OVERLOADED,
            vec![("again_at", Value::Int(again_at.0.into()))],
        ),
        R::NoGenesis | R::GenesisMismatch | R::NotNextBlock { .. } | R::ChannelQuarantined { .. } => (uri::NOT_READY, vec![]),
        R::DebtHeld { remaining, .. } => (uri::NOT_READY, vec![("remaining", amount(remaining))]),
        R::NotLocal | R::NotBacked { .. } | R::DelegateTaken { .. } | R::WrongParty { .. } | R::NotTheSeller { .. } => (uri::NOT_AUTHORIZED, vec![]),
        R::InsufficientAccount { holds, needs, .. } => (
            uri::INSUFFICIENT_FUNDS,
            vec![("holds", amount(holds)), ("needs", amount(needs))],
        ),
        R::WrongSigner { .. } => (uri::INVALID_SIGNATURE, vec![]),
        R::EscrowUnsigned { .. } => (uri::INVALID_SIGNATURE, vec![]),
        R::DuplicateKey { .. } => (uri::DUPLICATE_KEY, vec![]),
        R::OfferUnknown { .. }
        | R::ChannelUnknown { .. }
        | R::ChannelNotOpen { .. }
        | R::ChannelUnbound { .. } => (uri::NO_SUCH_OBJECT, vec![]),
        R::OfferExpired { at, .. } => (uri::OFFER_EXPIRED, vec![("expired", Value::Int(at.0.into()))]),
        R::OfferNotYetValid { at, .. } => (uri::NOT_YET_VALID, vec![("valid_from", Value::Int(at.0.into()))]),
        R::SoldOut { .. } => (uri::SOLD_OUT, vec![]),
        R::TooLong { what, .. } => return invalid(argument_of(what), refusal),
        R::AnotherMember { .. } => (uri::NOT_AUTHORIZED, vec![]),
        R::ConsentOutdated { signed_at, .. } => (
            uri::OUT_OF_ORDER,
            vec![("signed_at", Value::Int(signed_at.0.into()))],
        ),
        R::ConsentUnknown { .. } => (uri::NO_SUCH_OBJECT, vec![]),
        R::LoginAhead { .. } | R::LoginExpired { .. } | R::LoginTooLong { .. } => return unfit(refusal),
        R::KeyTaken { .. } | R::KeyRevoked { .. } | R::KeysStanding { .. } | R::KeyUnknown { .. } => {
            (uri::NOT_AUTHORIZED, vec![])
        }
        R::KeysRevoked { .. } => (uri::OVERLOADED, vec![]),
        R::OutOfOrder {
            expected,
            got: _,
            remaining,
        } => (
            uri::OUT_OF_ORDER,
            vec![
                ("expected_seq", Value::Int(u64::from(expected.0).into())),
                ("remaining", amount(remaining)),
            ],
        ),
        R::NotPosted {
            seq,
            remaining,
            due,
            got_seq,
            ..
        } => {
            let uri = match got_seq == seq {
                true => uri::WRONG_BALANCE,
                false => uri::OUT_OF_ORDER,
            };
            let mut details = posted_pair(*seq, remaining);
            details.extend(due.iter().map(|due| ("due", amount(due))));
            (uri, details)
        }
        R::NotFinal { seq, remaining, .. } => {
            let mut error = invalid("closing_is_final", refusal);
            error.kwargs.extend(
                posted_pair(*seq, remaining)
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value)),
            );
            return error;
        }
        R::Unsettled { spent, most, .. } => (
            uri::UNSETTLED,
            vec![("spent", amount(spent)), ("max_unsettled", amount(most))],
        ),
        R::VoucherDue { close_at, .. } => (
            uri::UNSETTLED,
            vec![("close_at", Value::Int(close_at.0.into()))],
        ),
        R::VoucherMisfits { .. } | R::VoucherOlder { .. } | R::NothingSpent { .. } => {
            return invalid("voucher", refusal);
        }
        R::SeqExhausted { .. } | R::PurchasePending { .. } => (uri::OUT_OF_ORDER, vec![]),
        R::InsufficientAmount { price, .. } => (uri::INSUFFICIENT_AMOUNT, vec![("price", amount(price))]),
        R::InsufficientPaymentBalance { price, remaining } => (
            uri::INSUFFICIENT_PAYMENT_BALANCE,
            vec![("price", amount(price)), ("remaining", amount(remaining))],
        ),
        R::PriceChanged { price, .. } => (uri::PRICE_CHANGED, vec![("price", amount(price))]),
        R::WrongBalance { expected, .. } => (uri::WRONG_BALANCE, vec![("expected", amount(expected))]),
        R::InsufficientPayingBalance { .. } => (uri::INSUFFICIENT_PAYING_BALANCE, vec![]),
        R::PayingMoved { .. }
        | R::ChannelSuspended { .. }
        | R::PairSuspended { .. }
        | R::PlacerUnproven { .. } => (uri::SELLER_UNAVAILABLE, vec![]),
        R::FeeAbovePrice { .. }
        | R::NotPending { .. }
        | R::NoRecovery { .. }
        | R::Escrowed { .. }
        | R::NotEscrowed { .. }
        // Answers to an operator, never to a client.
        | R::NotQuarantined { .. }
        | R::NotLatest { .. }
        | R::RecordsMissing { .. }
        | R::NotCountersigned { .. }
        | R::PrepaidBeyond { .. }
        | R::NothingShown { .. }
        | R::ConsentMisnamed { .. }
        | R::DecisionMismatch { .. }
        // Answers to the market maker's own tasks.
        | R::NoChain
        | R::IntentUnknown { .. }
        | R::IntentFinished { .. }
        | R::AttemptRefused { .. }
        | R::NotItsEnd { .. }
        | R::NotShown { .. }
        | R::LineBusy => (uri::RUNTIME, vec![]),
    };
    let mut error = fault(uri, refusal.to_string());
    error
        .kwargs
        .extend(details.into_iter().map(|(key, value)| (key.to_owned(), value)));
    error
}

/// The argument of set_consent that has the text or list `what`.
fn argument_of(what: &str) -> &str {
    match what {
        "service_prefix" | "categories" => what,
        _ => "attributes",
    }
}

/// What a delegate signs to close its channel: where the ledger stands.
fn posted_pair(seq: Seq, remaining: &Amount) -> Vec<(&'static str, Value)> {
    vec![
        ("seq", Value::Int(u64::from(seq.0).into())),
        ("remaining", Value::Bytes(remaining.to_be_bytes().to_vec())),
    ]
}

/// What the writer could not do.
pub(crate) fn of_submit(error: SubmitError) -> WampError {
    match error {
        SubmitError::Refused(refusal) => of_refusal(&refusal),
        SubmitError::Full { .. } => fault(uri::STORAGE_FULL, error.to_string()),
        SubmitError::Overloaded => fault(uri::OVERLOADED, error.to_string()),
        SubmitError::Stopped => fault(uri::NOT_READY, error.to_string()),
        SubmitError::Storage(_) => {
            tracing::error!(%error, "the ledger could not be written");
            fault(
                uri::RUNTIME,
                "the ledger could not be written; the same request again tells whether it was carried out",
            )
        }
    }
}

/// The ledger answered a command with the outcome of another: a fault of ours.
pub(crate) fn unexpected(outcome: &Outcome) -> WampError {
    tracing::error!(?outcome, "the ledger answered a command with another's outcome");
    fault(uri::RUNTIME, "the ledger gave an unexpected answer")
}

/// What the ledger could not read.
pub(crate) fn of_store(error: StoreError) -> WampError {
    tracing::error!(%error, "the ledger could not be read");
    fault(uri::RUNTIME, "the ledger could not be read")
}

/// What a request about money names that is not this market's, or what keeps it from being carried out.
pub(crate) fn of_settlement(error: SettlementError) -> WampError {
    let argument = match &error {
        SettlementError::Signature(_)
        | SettlementError::WrongSigner { .. }
        | SettlementError::WrongContractSigner { .. } => {
            return fault(uri::INVALID_SIGNATURE, error.to_string());
        }
        SettlementError::YoungChain { .. } | SettlementError::HeadUnknown { .. } => {
            return fault(uri::NOT_READY, error.to_string());
        }
        SettlementError::NoFaucet => {
            return fault(uri::NOT_AUTHORIZED, error.to_string());
        }
        SettlementError::WrongChain { .. } => "verifying_chain_id",
        SettlementError::WrongContract { .. } => "verifying_contract_adr",
        SettlementError::WrongMarket { .. } => "market_oid",
        SettlementError::WrongMarketMaker { .. } => "marketmaker",
        SettlementError::WrongType { .. } => "channel_type",
        SettlementError::WrongDelegateType { .. } => "delegate_type",
        SettlementError::BlockZero => "current_block_number",
        SettlementError::CloseAt { .. } | SettlementError::OpenAt { .. } => "current_block_number",
        SettlementError::VoucherAt { .. } => "voucher",
        SettlementError::NoContract => "contract_signature",
        SettlementError::FaucetLimit { .. } => "amount",
    };
    invalid(argument, error)
}
