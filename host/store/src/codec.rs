//! Records as bytes: one byte of version, then postcard.

use crate::error::StoreError;
use serde::{Serialize, de::DeserializeOwned};

/// Version of the encoding of records. How the records themselves look is the schema's to say.
pub(crate) const VERSION: u8 = 1;

/// The bytes of a record of `table`.
pub(crate) fn encode<R: Serialize>(table: &'static str, record: &R) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::with_capacity(512);
    bytes.push(VERSION);
    postcard::to_extend(record, bytes).map_err(|error| StoreError::Encode {
        table,
        why: error.to_string(),
    })
}

/// The record behind `bytes`, which must be all of it.
pub(crate) fn decode<R: DeserializeOwned>(table: &'static str, bytes: &[u8]) -> Result<R, StoreError> {
    let unreadable = |why: String| StoreError::Decode { table, why };
    match bytes.split_first() {
        Some((&VERSION, body)) => match postcard::take_from_bytes(body) {
            Ok((record, [])) => Ok(record),
            Ok((_, rest)) => Err(unreadable(format!("{} bytes too many", rest.len()))),
            Err(error) => Err(unreadable(error.to_string())),
        },
        Some((&version, _)) => Err(StoreError::RecordVersion {
            table,
            found: version,
            known: VERSION,
        }),
        None => Err(unreadable("it is empty".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bourse_market::{Account, Amount};

    #[test]
    fn a_record_is_read_back_as_it_was_written() {
        let account = Account {
            balance: Amount::from_tokens(7),
            granted: Amount::MAX,
        };
        let bytes = encode("accounts", &account).unwrap();
        assert_eq!(bytes[0], VERSION);
        assert_eq!(decode::<Account>("accounts", &bytes).unwrap(), account);
    }

    #[test]
    fn a_record_of_another_version_or_length_is_refused() {
        let mut bytes = encode("accounts", &Account::default()).unwrap();
        bytes.push(0);
        let error = decode::<Account>("accounts", &bytes).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a record of table `accounts` cannot be read: 1 bytes too many"
        );
        bytes[0] = 9;
        let error = decode::<Account>("accounts", &bytes).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a record of table `accounts` has version 9, this program reads version 1"
        );
        decode::<Account>("accounts", &[]).unwrap_err();
    }
}
