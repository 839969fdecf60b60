//! What `place_offer` is given, made into an offer.

use crate::config::PARAMS_BYTES;
use crate::vault::PlainKey;
use crate::wire::{Arguments, FromValue, check_categories, describe, invalid};
use bourse_market::{
    Address, Amount, ApiId, KeyId, Nanos, Offer, OfferId, Placer, Price, PricingTerms, Signature,
};
use bourse_wamp::{Dict, Value, WampError};
use std::collections::BTreeMap;

/// The names of the arguments, in positional order.
pub(super) const ARGUMENTS: &[&str] = &[
    "key_id",
    "api_id",
    "uri",
    "valid_from",
    "delegate_adr",
    "delegate_signature",
    "privkey",
    "price",
    "categories",
    "expires",
    "copies",
    "provider_id",
    "pricing",
];

/// An offer lives at least this long.
const MIN_LIFE: u64 = 5 * 60 * 1_000_000_000;
/// Bytes of a label's key, and of its value.
const MAX_LABEL: usize = 256;
/// Bytes of a URI.
const MAX_URI: usize = 1024;
/// Bytes of a provider id; unmodified sellers use 130.
const MAX_PROVIDER_ID: usize = 256;

/// The offer as it was asked for, with the key itself if its seller leaves that here; its signature and its placer's claim
/// to the provider id are not looked at.
pub(super) fn offer(
    mut arguments: Arguments,
    id: OfferId,
    placer: Placer,
    now: Nanos,
) -> Result<(Offer, Option<PlainKey>), WampError> {
    let key: KeyId = arguments.required("key_id")?;
    let api: ApiId = arguments.required("api_id")?;
    let uri = parse_uri(arguments.required("uri")?)?;
    let valid_from = Some(arguments.required::<Nanos>("valid_from")?).filter(|from| from.0 != 0);
    let seller: Address = arguments.required("delegate_adr")?;
    let signature: Signature = arguments.required("delegate_signature")?;
    let privkey = arguments.optional::<PlainKey>("privkey")?;
    let price = arguments
        .optional::<Amount>("price")?
        .map_or(Price::Dynamic, Price::Fixed);
    let categories = parse_categories(arguments.or("categories", Dict::new())?)?;
    let expires = arguments.optional::<Nanos>("expires")?;
    check_life(now, valid_from, expires)?;
    let copies = arguments.optional::<u32>("copies")?;
    if copies == Some(0) {
        return Err(invalid(
            "copies",
            "expected 1 or more, or null for no limit, got 0",
        ));
    }
    let provider_id = arguments
        .optional::<String>("provider_id")?
        .map(parse_provider_id)
        .transpose()?;
    let pricing = parse_pricing(arguments.or("pricing", Dict::new())?)?;

    let offer = Offer {
        id,
        key,
        api,
        catalog: None,
        uri,
        seller,
        provider_id,
        placer,
        placed_at: now,
        valid_from,
        expires,
        revoked: None,
        signature,
        signature_verified: false,
        claimed: false,
        unlisted: false,
        price,
        pricing,
        copies,
        remaining: copies,
        categories,
    };
    Ok((offer, privkey))
}

/// An exact URI or a prefix: components of `a-z`, `0-9` and `_`, the last of which may be empty.
fn parse_uri(uri: String) -> Result<String, WampError> {
    let component = |part: &str| {
        part.bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    let mut parts = uri.rsplit('.');
    let last = parts.next().is_some_and(component);
    let rest = parts.all(|part| !part.is_empty() && component(part));
    if last && rest && uri.len() <= MAX_URI {
        return Ok(uri);
    }
    let got = describe(&Value::Str(uri));
    Err(invalid(
        "uri",
        format_args!("invalid uri (must be exact or prefix): expected dotted a-z, 0-9 and _, got {got}"),
    ))
}

/// The id becomes one component of a URI.
fn parse_provider_id(id: String) -> Result<String, WampError> {
    let fits = id
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if fits && (1..=MAX_PROVIDER_ID).contains(&id.len()) {
        return Ok(id);
    }
    let got = describe(&Value::Str(id));
    Err(invalid(
        "provider_id",
        format_args!("expected 1 to {MAX_PROVIDER_ID} letters, digits, _ and -, got {got}"),
    ))
}

fn parse_categories(categories: Dict) -> Result<BTreeMap<String, String>, WampError> {
    check_categories(&categories)?;
    categories
        .into_iter()
        .map(|(key, value)| match value {
            Value::Str(value) if key.len() <= MAX_LABEL && value.len() <= MAX_LABEL => Ok((key, value)),
            other => {
                let got = describe(&other);
                Err(invalid(
                    "categories",
                    format_args!("{key:.40}: expected a string of at most {MAX_LABEL} bytes, got {got}"),
                ))
            }
        })
        .collect()
}

fn check_life(now: Nanos, valid_from: Option<Nanos>, expires: Option<Nanos>) -> Result<(), WampError> {
    let Some(expires) = expires else { return Ok(()) };
    let begins = valid_from.unwrap_or(now);
    if expires <= now || expires.since(begins) < MIN_LIFE {
        return Err(invalid(
            "expires",
            format_args!(
                "invalid expires type or value: expected a time ahead, at least 5 minutes after valid_from ({}), got {}",
                begins.0, expires.0
            ),
        ));
    }
    Ok(())
}

/// `{policy, params, floor, cap}`, each optional.
fn parse_pricing(mut pricing: Dict) -> Result<PricingTerms, WampError> {
    let terms = PricingTerms {
        policy: part(&mut pricing, "policy")?,
        params: part::<Dict>(&mut pricing, "params")?
            .map(parse_params)
            .transpose()?,
        floor: part(&mut pricing, "floor")?,
        cap: part(&mut pricing, "cap")?,
    };
    match pricing.keys().next() {
        None => Ok(terms),
        Some(key) => Err(invalid(
            "pricing",
            format_args!("unknown key {key:.40}; known are policy, params, floor, cap"),
        )),
    }
}

fn part<T: FromValue>(pricing: &mut Dict, name: &str) -> Result<Option<T>, WampError> {
    match pricing.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let got = describe(&value);
            let wrong = || {
                invalid(
                    "pricing",
                    format_args!("{name}: expected {}, got {got}", T::EXPECTED),
                )
            };
            T::from_value(value).map(Some).ok_or_else(wrong)
        }
    }
}

/// The parameters as JSON. Bounded even where no policy prices the offer: the ledger keeps them, and the room that it
/// sets aside for a purchase is for offers of an ordinary size.
fn parse_params(params: Dict) -> Result<String, WampError> {
    let text = to_json(Value::Map(params))?.to_string();
    if text.len() > PARAMS_BYTES {
        let got = text.len();
        return Err(invalid(
            "pricing",
            format_args!("params take {got} bytes as JSON, at most {PARAMS_BYTES} are kept"),
        ));
    }
    Ok(text)
}

/// Parameters as the policy will read them.
fn to_json(value: Value) -> Result<serde_json::Value, WampError> {
    use serde_json::Value as Json;
    let unfit = |value: &Value| {
        invalid(
            "pricing",
            format_args!("params: {} cannot be written as JSON", describe(value)),
        )
    };
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(bool) => Json::Bool(bool),
        Value::Int(int) => match (int.as_u64(), int.as_i64()) {
            (Some(int), _) => int.into(),
            (None, Some(int)) => int.into(),
            (None, None) => return Err(unfit(&Value::Int(int))),
        },
        Value::Float(float) => serde_json::Number::from_f64(float)
            .map(Json::Number)
            .ok_or_else(|| unfit(&value))?,
        Value::Str(text) => Json::String(text),
        Value::Bytes(_) => return Err(unfit(&value)),
        Value::List(list) => Json::Array(list.into_iter().map(to_json).collect::<Result<_, _>>()?),
        Value::Map(map) => Json::Object(
            map.into_iter()
                .map(|(key, value)| Ok((key, to_json(value)?)))
                .collect::<Result<_, WampError>>()?,
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_exact_or_prefixes() {
        for good in ["", "com.example", "com.example.", "a_1.b"] {
            assert!(parse_uri(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["Com", "com..example", ".com", "com.ex-ample", "com.ex ample"] {
            assert!(parse_uri(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn w_49_valid_from_zero_means_now_and_w_50_expires_has_no_upper_limit() {
        const NOW: Nanos = Nanos(1_700_000_000_000_000_000);
        let in_a_year = Nanos(NOW.0 + 365 * 24 * 3600 * 1_000_000_000);
        assert!(check_life(NOW, None, Some(in_a_year)).is_ok());
        assert!(check_life(NOW, None, Some(NOW)).is_err());
        assert!(check_life(NOW, None, Some(Nanos(NOW.0 + MIN_LIFE - 1))).is_err());
        assert!(check_life(NOW, None, Some(Nanos(NOW.0 + MIN_LIFE))).is_ok());
        assert!(check_life(NOW, Some(in_a_year), Some(in_a_year)).is_err());
    }

    #[test]
    fn an_unknown_key_of_pricing_is_named() {
        let error = parse_pricing(Dict::from([("flor".to_owned(), Value::Null)])).unwrap_err();
        assert!(
            matches!(error.args.first(), Some(Value::Str(text)) if text.contains("flor")),
            "{error:?}"
        );
    }
}
