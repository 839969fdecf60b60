//! Between the records of the ABI and the types of this crate.

use super::bindings::consent::exports::bourse::policy::consent;
use super::bindings::imports::bourse::policy::types;
use crate::{Address, Amount, ApiId, CatalogId, ConsentGrant, DelegateType, KeyId, Nanos, Offer, Refusal};

pub(super) fn read_offer(offer: types::Offer) -> Offer {
    Offer {
        key: KeyId(read_id(offer.key)),
        api: ApiId(read_id(offer.api)),
        catalog: offer.catalog.map(|id| CatalogId(read_id(id))),
        uri: offer.uri,
        seller: read_address(offer.seller),
        provider: offer.provider,
        placed_at: Nanos(offer.placed_at),
        valid_from: Nanos(offer.valid_from),
        expires: offer.expires.map(Nanos),
        price: offer.price.map(read_amount),
        copies: offer.copies,
        remaining: offer.remaining,
        categories: offer.categories,
    }
}

pub(super) fn read_grant(grant: consent::Grant) -> ConsentGrant {
    ConsentGrant {
        member: read_address(grant.member),
        delegate: read_address(grant.delegate),
        delegate_type: DelegateType::from_number(grant.delegate_type),
        catalog: CatalogId(read_id(grant.catalog)),
        api_prefix: grant.api_prefix,
        updated: grant.updated,
        granted: grant.granted,
        attributes: grant.attributes,
    }
}

pub(super) fn write_refusal(Refusal { code, text }: Refusal) -> types::Refusal {
    types::Refusal {
        code: code.into_owned(),
        text: text.into_owned(),
    }
}

pub(super) fn read_amount(types::Amount { l0, l1, l2, l3 }: types::Amount) -> Amount {
    Amount::from_limbs([l0, l1, l2, l3])
}

pub(super) fn write_amount(amount: Amount) -> types::Amount {
    let [l0, l1, l2, l3] = amount.limbs();
    types::Amount { l0, l1, l2, l3 }
}

pub(super) fn read_id(types::Id { hi, lo }: types::Id) -> [u8; 16] {
    ((u128::from(hi) << 64) | u128::from(lo)).to_be_bytes()
}

pub(super) fn write_id(bytes: [u8; 16]) -> types::Id {
    let whole = u128::from_be_bytes(bytes);
    types::Id {
        hi: (whole >> 64) as u64,
        lo: whole as u64,
    }
}

pub(super) fn read_address(types::Address { a, b, c }: types::Address) -> Address {
    let mut bytes = [0; 20];
    let (front, last) = bytes.split_at_mut(16);
    front.copy_from_slice(&read_id(types::Id { hi: a, lo: b }));
    last.copy_from_slice(&c.to_be_bytes());
    Address(bytes)
}

pub(super) fn write_address(Address(bytes): Address) -> types::Address {
    let (mut front, mut last) = ([0; 16], [0; 4]);
    front.copy_from_slice(&bytes[..16]);
    last.copy_from_slice(&bytes[16..]);
    let types::Id { hi, lo } = write_id(front);
    types::Address {
        a: hi,
        b: lo,
        c: u32::from_be_bytes(last),
    }
}
