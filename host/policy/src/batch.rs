//! Offers packed into one block of bytes, layout 1: what `offers.filter` gets instead of a list of records.
//!
//! A list of a thousand typed records costs the border 450 µs, one block a copy. The layout is documented byte by
//! byte in the SDK's `BATCH.md`; a change of it is a new number beside 1. All integers are little-endian.

use crate::record::{Bytes, FilterInput, Hex, OfferInput, Units};
use bourse_market::{Address, Amount, ApiId, CatalogId, KeyId, Nanos, Offer, OfferId, Price};

/// Bytes of the fixed part of a packed offer.
const FIXED: usize = 152;

/// Where the flags lie.
const FLAGS: usize = 68;

/// Where the copies left lie.
const REMAINING: usize = 132;

/// The flag of an option that is there.
mod flag {
    pub(super) const CATALOG: u32 = 1;
    pub(super) const PROVIDER: u32 = 1 << 1;
    pub(super) const EXPIRES: u32 = 1 << 2;
    pub(super) const PRICE: u32 = 1 << 3;
    pub(super) const COPIES: u32 = 1 << 4;
    pub(super) const REMAINING: u32 = 1 << 5;
}

/// Offers for `offers.filter`. Clones share the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Batch {
    count: u32,
    bytes: Bytes,
}

impl core::fmt::Debug for Batch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Batch")
            .field("count", &self.count)
            .field("bytes", &self.bytes().len())
            .finish()
    }
}

impl Batch {
    /// The version of the layout.
    pub const LAYOUT: u16 = 1;

    /// The most offers a batch may hold: a call of `filter` with more fails as `bad_batch`.
    pub const MAX: usize = 1000;

    /// Packs offers, in their order.
    pub fn of(offers: &[&Offer]) -> Self {
        let packed: Vec<Vec<u8>> = offers.iter().map(|offer| Self::pack(offer)).collect();
        let parts: Vec<(&[u8], Option<u32>)> = packed
            .iter()
            .zip(offers)
            .map(|(bytes, offer)| (bytes.as_slice(), offer.remaining))
            .collect();
        Self::assemble(&parts)
    }

    /// Packs one offer. Nothing of it changes while the offer is for sale but the copies left, which
    /// [`Batch::assemble`] takes anew, so these bytes can be kept.
    pub fn pack(offer: &Offer) -> Vec<u8> {
        let provider = offer.provider_id.as_deref().unwrap_or_default();
        let labels: usize = offer
            .categories
            .iter()
            .map(|(name, value)| 8 + name.len() + value.len())
            .sum();
        let price = match offer.price {
            Price::Fixed(amount) => Some(amount),
            Price::Dynamic => None,
        };
        let flags = [
            (offer.catalog.is_some(), flag::CATALOG),
            (offer.provider_id.is_some(), flag::PROVIDER),
            (offer.expires.is_some(), flag::EXPIRES),
            (price.is_some(), flag::PRICE),
            (offer.copies.is_some(), flag::COPIES),
            (offer.remaining.is_some(), flag::REMAINING),
        ]
        .into_iter()
        .filter_map(|(there, flag)| there.then_some(flag))
        .fold(0, |flags, flag| flags | flag);

        let mut out = Vec::with_capacity(FIXED + offer.uri.len() + provider.len() + labels);
        let mut put = |bytes: &[u8]| out.extend_from_slice(bytes);
        put(&offer.key.0);
        put(&offer.api.0);
        put(&offer.catalog.map_or([0; 16], |catalog| catalog.0));
        put(&offer.seller.0);
        put(&flags.to_le_bytes());
        put(&offer.placed_at.0.to_le_bytes());
        put(&offer.valid_from.unwrap_or(offer.placed_at).0.to_le_bytes());
        put(&offer.expires.map_or(0, |expires| expires.0).to_le_bytes());
        for limb in price.unwrap_or_default().limbs() {
            put(&limb.to_le_bytes());
        }
        put(&offer.copies.unwrap_or(0).to_le_bytes());
        put(&offer.remaining.unwrap_or(0).to_le_bytes());
        put(&length(offer.uri.len()));
        put(&length(provider.len()));
        put(&length(offer.categories.len()));
        put(&length(labels));
        put(offer.uri.as_bytes());
        put(provider.as_bytes());
        for text in offer.categories.iter().flat_map(|(name, value)| [name, value]) {
            put(&length(text.len()));
            put(text.as_bytes());
        }
        out
    }

    /// Puts packed offers together, each with the copies that are left of it now; none for no limit.
    pub fn assemble(offers: &[(&[u8], Option<u32>)]) -> Self {
        let table = (offers.len() + 1) * 4;
        let whole: usize = offers.iter().map(|(packed, _)| packed.len()).sum();
        let mut bytes = Vec::with_capacity(table + whole);
        let mut at = table;
        bytes.extend_from_slice(&length(at));
        for (packed, _) in offers {
            at += packed.len();
            bytes.extend_from_slice(&length(at));
        }
        for (packed, remaining) in offers {
            let start = bytes.len();
            bytes.extend_from_slice(packed);
            patch(bytes.get_mut(start..).unwrap_or_default(), *remaining);
        }
        Self {
            count: u32::try_from(offers.len()).unwrap_or(u32::MAX),
            bytes: bytes.into(),
        }
    }

    /// How many offers it holds.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The bytes as a policy sees them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes.0
    }

    /// The bytes, shared.
    pub(crate) fn shared(&self) -> Bytes {
        self.bytes.clone()
    }
}

impl FilterInput {
    /// The offers that were asked about, read back from their packed form, in the host's order. Their own identifiers
    /// are not packed and come back as zeros. None if the bytes are not a batch of this layout.
    pub fn offers(&self) -> Option<Vec<OfferInput>> {
        let bytes = self.batch.0.as_slice();
        if self.layout != Batch::LAYOUT {
            return None;
        }
        (0..self.count as usize)
            .map(|index| {
                let mut table = Reader(bytes.get(index.checked_mul(4)?..)?);
                let (start, end) = (table.word()?, table.word()?);
                Reader(bytes.get(start as usize..end as usize)?).offer()
            })
            .collect()
    }
}

/// Packed bytes that are yet to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn word(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn long(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self, len: u32) -> Option<String> {
        let bytes = self.take(len as usize)?;
        core::str::from_utf8(bytes).ok().map(str::to_owned)
    }

    /// One offer, and nothing behind it.
    fn offer(mut self) -> Option<OfferInput> {
        let (key, api, catalog, seller) = (self.array()?, self.array()?, self.array()?, self.array()?);
        let flags = self.word()?;
        let (placed_at, valid_from, expires) = (self.long()?, self.long()?, self.long()?);
        let limbs = [self.long()?, self.long()?, self.long()?, self.long()?];
        let (copies, remaining) = (self.word()?, self.word()?);
        let (uri, provider) = (self.word()?, self.word()?);
        let (labels, _) = (self.word()?, self.word()?);
        let (uri, provider) = (self.text(uri)?, self.text(provider)?);
        let mut categories = Vec::new();
        for _ in 0..labels {
            let len = self.word()?;
            let name = self.text(len)?;
            let len = self.word()?;
            categories.push((name, self.text(len)?));
        }
        let has = |flag: u32| flags & flag != 0;
        self.0.is_empty().then_some(OfferInput {
            id: Hex(OfferId([0; 16])),
            key: Hex(KeyId(key)),
            api: Hex(ApiId(api)),
            catalog: has(flag::CATALOG).then_some(Hex(CatalogId(catalog))),
            uri,
            seller: Hex(Address(seller)),
            provider: has(flag::PROVIDER).then_some(provider),
            placed_at: Nanos(placed_at),
            valid_from: Nanos(valid_from),
            expires: has(flag::EXPIRES).then_some(Nanos(expires)),
            price: has(flag::PRICE).then_some(Units(Amount::from_limbs(limbs))),
            copies: has(flag::COPIES).then_some(copies),
            remaining: has(flag::REMAINING).then_some(remaining),
            categories,
        })
    }
}

/// A length as it is packed. No offer is anywhere near 4 GiB; one that were would not read back.
fn length(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes()
}

/// Writes the copies left into a packed offer.
fn patch(packed: &mut [u8], remaining: Option<u32>) {
    let word = |packed: &[u8], at: usize| packed.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let Some(flags) = word(packed, FLAGS) else {
        return;
    };
    let flags = match remaining {
        Some(_) => flags | flag::REMAINING,
        None => flags & !flag::REMAINING,
    };
    for (at, value) in [(FLAGS, flags), (REMAINING, remaining.unwrap_or(0))] {
        if let Some(place) = packed.get_mut(at..at + 4) {
            place.copy_from_slice(&value.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bourse_market::{Placer, PricingTerms, SessionId, Signature};

    /// The offers of the example in the documentation.
    fn example() -> [Offer; 2] {
        let first = Offer {
            id: OfferId([0xff; 16]),
            key: KeyId(core::array::from_fn(|at| at as u8)),
            api: ApiId([0xa0; 16]),
            catalog: Some(CatalogId([0xca; 16])),
            uri: "com.example".to_owned(),
            seller: Address([0x5e; 20]),
            provider_id: Some("p1".to_owned()),
            placer: Placer {
                session: SessionId(1),
                authid: None,
            },
            placed_at: Nanos(1_700_000_000_000_000_000),
            valid_from: None,
            expires: Some(Nanos(1_700_000_060_000_000_000)),
            revoked: None,
            signature: Signature([0; 65]),
            signature_verified: false,
            claimed: false,
            unlisted: false,
            price: Price::Fixed(Amount::from_limbs([1, 2, 3, 4])),
            pricing: PricingTerms::default(),
            copies: Some(10),
            remaining: Some(7),
            categories: [("region".to_owned(), "eu".to_owned())].into(),
        };
        let second = Offer {
            key: KeyId([0x22; 16]),
            catalog: None,
            uri: String::new(),
            provider_id: None,
            expires: None,
            price: Price::Dynamic,
            copies: None,
            remaining: None,
            categories: Default::default(),
            ..first.clone()
        };
        [first, second]
    }

    #[test]
    fn the_example_in_the_documentation_is_what_is_packed() {
        let documented: Vec<u8> = include_str!("../../../guest-sdk/BATCH.md")
            .lines()
            .filter_map(|line| line.split_once("  "))
            .filter(|(at, _)| at.len() == 4 && u16::from_str_radix(at, 16).is_ok())
            .flat_map(|(_, row)| row.split(' '))
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect();
        let [first, second] = example();
        let batch = Batch::of(&[&first, &second]);
        assert_eq!(batch.bytes(), documented);
        assert_eq!(batch.count(), 2);
    }

    #[test]
    fn copies_left_are_taken_anew_for_bytes_that_were_kept() {
        let [mut offer, _] = example();
        let kept = Batch::pack(&offer);
        for remaining in [Some(3), None, Some(0)] {
            offer.remaining = remaining;
            assert_eq!(Batch::assemble(&[(&kept, remaining)]), Batch::of(&[&offer]));
        }
    }

    #[test]
    fn an_empty_batch_is_one_offset() {
        assert_eq!(Batch::of(&[]).bytes(), [4, 0, 0, 0]);
    }

    #[test]
    fn bytes_too_short_to_be_an_offer_are_left_alone() {
        assert_eq!(Batch::assemble(&[(&[1, 2], Some(1))]).bytes().len(), 10);
    }
}
