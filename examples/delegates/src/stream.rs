//! Encrypted payloads on their way: published as (key id, serializer, ciphertext), as other XBR delegates do.

use crate::{DelegateError, Wrapped};
use bourse_wamp::{Dict, PublishOptions, Session, Value};
use tokio::sync::mpsc;

/// How payloads are written before they are encrypted.
const SERIALIZER: &str = "cbor";
/// Payloads kept for a subscriber that is busy; more are lost to it.
const QUEUE: usize = 256;

/// Publishes an encrypted payload, and waits until the router has it.
///
/// # Errors
///
/// [`DelegateError::Refused`] if the router does not let this session publish there; any error of a call.
pub async fn publish(session: &Session, uri: &str, wrapped: &Wrapped) -> Result<(), DelegateError> {
    let args = vec![
        wrapped.key.0.into(),
        SERIALIZER.into(),
        wrapped.ciphertext.as_slice().into(),
    ];
    let options = PublishOptions {
        acknowledge: true,
        ..PublishOptions::default()
    };
    let published = session.publish(uri, args, Dict::new(), options).await;
    published
        .map(drop)
        .map_err(|error| DelegateError::from_call(uri, error))
}

/// Subscribes to encrypted payloads. What is not one is left out, and so is what comes faster than it is read.
///
/// # Errors
///
/// [`DelegateError::Refused`] if the router does not let this session subscribe; any error of a call.
pub async fn subscribe(session: &Session, uri: &str) -> Result<mpsc::Receiver<Wrapped>, DelegateError> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let handler = move |event: bourse_wamp::Event| match read(&event.args) {
        Some(wrapped) => drop(sender.try_send(wrapped)),
        None => tracing::debug!(args = event.args.len(), "an event is no encrypted payload"),
    };
    let subscribed = session.subscribe(uri, handler).await;
    subscribed
        .map(drop)
        .map_err(|error| DelegateError::from_call(uri, error))?;
    Ok(receiver)
}

fn read(args: &[Value]) -> Option<Wrapped> {
    let [key, serializer, ciphertext] = args else {
        return None;
    };
    let key = key.as_bytes()?.try_into().ok()?;
    let ciphertext = ciphertext.as_bytes()?.to_vec();
    (serializer.as_str() == Some(SERIALIZER)).then_some(Wrapped { key, ciphertext })
}
