//! What comes before trading: keys, test tokens, channels. For development and for `bourse dev`.
//!
//! Test tokens exist in local mode alone. Opening a channel works the same everywhere: an actor signs for it.

use crate::client::call;
use crate::reply::Reply;
use crate::{DelegateError, MarketClient};
use bourse_chain::{ChannelOpen, Signer};
use bourse_market::{Address, Amount, ChannelId, ChannelKind};
use bourse_wamp::{Dict, Session, Value};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

/// Block number that openings are signed at. Every block number from 1 on is accepted in local mode.
const OPENED_AT: Amount = Amount::from_units(1);

/// Asks the faucet for test tokens.
///
/// # Errors
///
/// Any error of a call: the market is not in local mode, or the amount is above the faucet's limit.
pub async fn fund(session: &Session, address: Address, amount: Amount) -> Result<(), DelegateError> {
    let args = vec![address.0.into(), amount.to_be_bytes().into()];
    call(session, "bourse.dev.fund", args, Dict::new())
        .await
        .map(drop)
}

/// A channel to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelTerms {
    /// From a buyer to the market, or from the market to a seller.
    pub kind: ChannelKind,
    /// Whose signature will move it.
    pub delegate: Address,
    /// The deposit: the actor's for a payment channel, the market maker's for a paying one.
    pub amount: Amount,
}

/// Opens a channel under a fresh id. The actor signs; money is taken from its account, or the market maker's.
///
/// # Errors
///
/// Any error of a call, such as an account that does not cover the deposit.
pub async fn open_channel(
    client: &MarketClient,
    actor: &Signer,
    terms: ChannelTerms,
) -> Result<ChannelId, DelegateError> {
    let facts = client.facts();
    let message = ChannelOpen {
        kind: terms.kind,
        opened_at: OPENED_AT,
        market: facts.market,
        channel: ChannelId(rand::random()),
        actor: actor.address(),
        delegate: terms.delegate,
        marketmaker: facts.marketmaker,
        recipient: match terms.kind {
            ChannelKind::Payment => facts.owner,
            ChannelKind::Paying => actor.address(),
        },
        amount: terms.amount,
    };
    let args = vec![
        message.actor.0.into(),
        message.market.0.into(),
        message.channel.0.into(),
        facts.domain.chain_id.into(),
        1_u8.into(),
        facts.domain.verifying_contract.0.into(),
        (message.kind as u8).into(),
        message.delegate.0.into(),
        message.marketmaker.0.into(),
        message.recipient.0.into(),
        message.amount.to_be_bytes().into(),
        actor.sign(&message.digest(&facts.domain)).0.into(),
        Value::Null,
    ];
    let result = client.call("open_channel", args, Dict::new()).await?;
    Reply::new("xbr.marketmaker.open_channel", result)?.bytes("channel_oid")
}

/// Reads a private key: 64 hex digits, with or without `0x`, in a file nobody else can read.
///
/// # Errors
///
/// [`DelegateError::KeyFile`] if there is none, if others may read it, or if it holds no key.
pub fn load_key(path: &Path) -> Result<Signer, DelegateError> {
    let fault = |reason: String| DelegateError::KeyFile {
        path: path.to_owned(),
        reason,
    };
    let mut file = std::fs::File::open(path).map_err(|error| fault(error.to_string()))?;
    refuse_if_shared(&file).map_err(fault)?;
    let mut text = String::new();
    file.read_to_string(&mut text)
        .map_err(|error| fault(error.to_string()))?;
    let digits = text.trim();
    let bytes = hex::decode(digits.strip_prefix("0x").unwrap_or(digits)).ok();
    let bytes: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
    let bytes = bytes.ok_or_else(|| fault("expected 64 hex digits".to_owned()))?;
    Signer::from_bytes(&bytes).map_err(|error| fault(error.to_string()))
}

/// Makes a private key and writes it to a new file that only its owner can read.
///
/// # Errors
///
/// [`DelegateError::KeyFile`] if the file exists already, or cannot be written.
pub fn create_key(path: &Path) -> Result<Signer, DelegateError> {
    let fault = |error: std::io::Error| DelegateError::KeyFile {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(fault)?;
    }
    let signer = Signer::generate();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(fault)?;
    // Money will hang on this key: it must survive what comes next.
    writeln!(file, "{}", hex::encode(signer.to_bytes().as_slice()))
        .and_then(|()| file.sync_all())
        .map_err(fault)?;
    Ok(signer)
}

/// Reads the key at `path`, or makes it on the first start.
///
/// # Errors
///
/// As [`load_key`] and [`create_key`].
pub fn load_or_create_key(path: &Path) -> Result<Signer, DelegateError> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => create_key(path),
        _ => load_key(path),
    }
}

#[cfg(unix)]
fn refuse_if_shared(file: &std::fs::File) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file
        .metadata()
        .map_err(|error| error.to_string())?
        .permissions()
        .mode()
        & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(format!(
        "others may read it (mode {mode:o}), its mode must be 600"
    ))
}

#[cfg(not(unix))]
fn refuse_if_shared(_file: &std::fs::File) -> Result<(), String> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_ever_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("demo/seller.key");
        let made = load_or_create_key(&path).unwrap();
        assert_eq!(load_or_create_key(&path).unwrap().address(), made.address());
        assert!(create_key(&path).unwrap_err().to_string().contains("exists"));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create_key(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let text = load_key(&path).unwrap_err().to_string();
        assert!(
            text.ends_with("others may read it (mode 644), its mode must be 600"),
            "{text}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create_key(&path).unwrap();
        std::fs::write(&path, "not a key").unwrap();
        assert!(
            load_key(&path)
                .unwrap_err()
                .to_string()
                .ends_with("expected 64 hex digits")
        );
        std::fs::write(&path, "00".repeat(32)).unwrap();
        assert!(
            load_key(&path)
                .unwrap_err()
                .to_string()
                .contains("no private key of secp256k1")
        );
    }
}
