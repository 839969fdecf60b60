//! The offers that a filter looks at: views into one block of bytes, which is layout 1 of `BATCH.md`.
//!
//! Nothing is copied or allocated until it is asked for, and what is asked for is read where it lies: a filter that
//! looks at sellers alone costs the same for short and for long offers.

use crate::{Address, Amount, ApiId, CatalogId, KeyId, Nanos, Offer, Verdict};

/// Most offers of one batch.
pub const MAX_BATCH: usize = 1000;

/// Version of the layout that this crate reads.
pub const LAYOUT: u16 = 1;

/// Bytes of an offer before its texts.
const FIXED: usize = 152;

/// Where the fields of the fixed part lie.
mod at {
    pub(super) const KEY: usize = 0;
    pub(super) const API: usize = 16;
    pub(super) const CATALOG: usize = 32;
    pub(super) const SELLER: usize = 48;
    pub(super) const FLAGS: usize = 68;
    pub(super) const PLACED_AT: usize = 72;
    pub(super) const VALID_FROM: usize = 80;
    pub(super) const EXPIRES: usize = 88;
    pub(super) const PRICE: usize = 96;
    pub(super) const COPIES: usize = 128;
    pub(super) const REMAINING: usize = 132;
    pub(super) const URI_LEN: usize = 136;
    pub(super) const PROVIDER_LEN: usize = 140;
    pub(super) const CATEGORIES: usize = 144;
}

/// Bits of the flags: which options are there.
mod flag {
    pub(super) const CATALOG: u32 = 1;
    pub(super) const PROVIDER: u32 = 1 << 1;
    pub(super) const EXPIRES: u32 = 1 << 2;
    pub(super) const PRICE: u32 = 1 << 3;
    pub(super) const COPIES: u32 = 1 << 4;
    pub(super) const REMAINING: u32 = 1 << 5;
}

/// Offers in the host's order. An offer's place in it is its index, which a [`Verdict`] speaks of.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    len: usize,
    bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    /// The batch that the host hands to a filter; none for another layout or too few bytes. A record that is damaged
    /// ends the call when it is looked at.
    pub fn read(layout: u16, count: u32, bytes: &'a [u8]) -> Option<Self> {
        let len = usize::try_from(count).ok()?;
        let table = len.checked_add(1)?.checked_mul(4)?;
        (layout == LAYOUT && len <= MAX_BATCH && table <= bytes.len()).then_some(Self { len, bytes })
    }

    /// How many offers there are, 1000 at most.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The offer at `index`.
    pub fn get(&self, index: usize) -> Option<OfferView<'a>> {
        let entries = self.bytes.as_chunks::<4>().0;
        let start = offset(entries.get(index).filter(|_| index < self.len)?);
        let end = offset(entries.get(index.checked_add(1)?)?);
        OfferView::new(self.bytes, start, end)
    }

    /// The offers in the host's order.
    pub fn iter(&self) -> BatchIter<'a> {
        let entries = self.bytes.as_chunks::<4>().0;
        let (first, ends) = match entries.get(..=self.len).and_then(<[_]>::split_first) {
            Some((first, ends)) => (offset(first), ends),
            None => damaged(),
        };
        BatchIter {
            bytes: self.bytes,
            start: first,
            ends: ends.iter(),
        }
    }

    /// The verdict that shows exactly the offers for which `keep` holds, in the host's order.
    pub fn keep_if(&self, mut keep: impl FnMut(OfferView<'a>) -> bool) -> Verdict {
        let mut verdict = Verdict::none(self.len);
        let mut offers = self.iter();
        for byte in verdict.bytes_mut() {
            for (bit, offer) in (0..8).zip(&mut offers) {
                *byte |= u8::from(keep(offer)) << bit;
            }
        }
        verdict
    }
}

/// An entry of the table: where an offer starts, and the one before it ends.
#[inline(always)]
fn offset(entry: &[u8; 4]) -> usize {
    u32::from_le_bytes(*entry) as usize
}

/// The offers of a [`Batch`], one after the other.
#[derive(Debug, Clone)]
pub struct BatchIter<'a> {
    bytes: &'a [u8],
    /// Where the next offer starts, which is where the last one ended.
    start: usize,
    ends: core::slice::Iter<'a, [u8; 4]>,
}

impl<'a> Iterator for BatchIter<'a> {
    type Item = OfferView<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<OfferView<'a>> {
        let end = offset(self.ends.next()?);
        let offer = OfferView::new(self.bytes, self.start, end);
        self.start = end;
        Some(offer.unwrap_or_else(|| damaged()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ends.size_hint()
    }
}

impl ExactSizeIterator for BatchIter<'_> {}

impl<'a> IntoIterator for &Batch<'a> {
    type Item = OfferView<'a>;
    type IntoIter = BatchIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Ends the call: the bytes are not of the layout, and an answer about them would be about something else.
#[cold]
fn damaged() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    #[allow(clippy::panic, reason = "an assertion of tests; a component traps")]
    {
        panic!("the batch is not of layout {LAYOUT}: expected the bytes that a host packs")
    }
}

/// One offer of a [`Batch`], read where it lies. Its functions are the fields of [`Offer`].
#[derive(Clone, Copy)]
pub struct OfferView<'a> {
    fixed: &'a [u8; FIXED],
    texts: &'a [u8],
}

impl<'a> OfferView<'a> {
    /// The offer in a part of the batch; none if the part has no room for one.
    #[inline(always)]
    fn new(bytes: &'a [u8], start: usize, end: usize) -> Option<Self> {
        let (fixed, texts) = bytes.get(start..end)?.split_first_chunk()?;
        Some(Self { fixed, texts })
    }

    /// The key that is sold.
    pub fn key(&self) -> KeyId {
        KeyId(self.take::<{ at::KEY }, 16>())
    }

    /// What its data is about.
    pub fn api(&self) -> ApiId {
        ApiId(self.take::<{ at::API }, 16>())
    }

    /// The catalog that lists the API, if the seller named one.
    pub fn catalog(&self) -> Option<CatalogId> {
        self.has(flag::CATALOG)
            .then(|| CatalogId(self.take::<{ at::CATALOG }, 16>()))
    }

    /// The topic or procedure whose payloads the key decrypts.
    pub fn uri(&self) -> &'a str {
        text(self.uri_bytes())
    }

    /// [`uri`](Self::uri) without the check that it is UTF-8, which it is: for comparisons.
    pub fn uri_bytes(&self) -> &'a [u8] {
        self.texts
            .get(..self.length::<{ at::URI_LEN }>())
            .unwrap_or_default()
    }

    /// The seller's delegate.
    pub fn seller(&self) -> Address {
        Address(self.take::<{ at::SELLER }, 20>())
    }

    /// The name under which the seller serves `sell` calls.
    pub fn provider(&self) -> Option<&'a str> {
        self.has(flag::PROVIDER).then(|| {
            let start = self.length::<{ at::URI_LEN }>();
            let end = start.saturating_add(self.length::<{ at::PROVIDER_LEN }>());
            text(self.texts.get(start..end).unwrap_or_default())
        })
    }

    /// When the market maker accepted it.
    pub fn placed_at(&self) -> Nanos {
        Nanos(self.number::<{ at::PLACED_AT }>())
    }

    /// From when on it is for sale.
    pub fn valid_from(&self) -> Nanos {
        Nanos(self.number::<{ at::VALID_FROM }>())
    }

    /// When it could first be bought: placed, and valid.
    pub fn for_sale_since(&self) -> Nanos {
        self.placed_at().max(self.valid_from())
    }

    /// Until when it is for sale; none for no end.
    pub fn expires(&self) -> Option<Nanos> {
        self.has(flag::EXPIRES)
            .then(|| Nanos(self.number::<{ at::EXPIRES }>()))
    }

    /// The seller's fixed price; none for a price that a policy sets, zero for a free key.
    pub fn price(&self) -> Option<Amount> {
        self.has(flag::PRICE).then(|| {
            Amount::from_limbs([
                self.number::<{ at::PRICE }>(),
                self.number::<{ at::PRICE + 8 }>(),
                self.number::<{ at::PRICE + 16 }>(),
                self.number::<{ at::PRICE + 24 }>(),
            ])
        })
    }

    /// How often it may be sold; none for no limit.
    pub fn copies(&self) -> Option<u32> {
        self.has(flag::COPIES).then(|| self.word::<{ at::COPIES }>())
    }

    /// How often it may still be sold; none for no limit.
    pub fn remaining(&self) -> Option<u32> {
        self.has(flag::REMAINING)
            .then(|| self.word::<{ at::REMAINING }>())
    }

    /// Its labels as (name, value), sorted by name.
    pub fn categories(&self) -> Categories<'a> {
        let start = self
            .length::<{ at::URI_LEN }>()
            .saturating_add(self.length::<{ at::PROVIDER_LEN }>());
        Categories {
            left: self.word::<{ at::CATEGORIES }>(),
            bytes: self.texts.get(start..).unwrap_or_default(),
        }
    }

    /// The label under `name`.
    pub fn category(&self, name: &str) -> Option<&'a str> {
        self.categories()
            .pairs()
            .find(|(key, _)| *key == name.as_bytes())
            .map(|(_, value)| text(value))
    }

    /// Whether it has the label `name` with this `value`: cheaper than to compare [`category`](Self::category).
    pub fn has_category(&self, name: &str, value: &str) -> bool {
        let (name, value) = (name.as_bytes(), value.as_bytes());
        self.categories().pairs().any(|pair| pair == (name, value))
    }

    /// A copy, which does not depend on the batch.
    pub fn to_offer(&self) -> Offer {
        Offer {
            key: self.key(),
            api: self.api(),
            catalog: self.catalog(),
            uri: self.uri().to_owned(),
            seller: self.seller(),
            provider: self.provider().map(str::to_owned),
            placed_at: self.placed_at(),
            valid_from: self.valid_from(),
            expires: self.expires(),
            price: self.price(),
            copies: self.copies(),
            remaining: self.remaining(),
            categories: self
                .categories()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    #[inline(always)]
    fn has(&self, flag: u32) -> bool {
        self.word::<{ at::FLAGS }>() & flag != 0
    }

    #[inline(always)]
    fn length<const AT: usize>(&self) -> usize {
        usize::try_from(self.word::<AT>()).unwrap_or(usize::MAX)
    }

    #[inline(always)]
    fn word<const AT: usize>(&self) -> u32 {
        u32::from_le_bytes(self.take::<AT, 4>())
    }

    #[inline(always)]
    fn number<const AT: usize>(&self) -> u64 {
        u64::from_le_bytes(self.take::<AT, 8>())
    }

    /// `N` bytes of the fixed part from `AT` on.
    #[inline(always)]
    fn take<const AT: usize, const N: usize>(&self) -> [u8; N] {
        const { assert!(AT + N <= FIXED) };
        match self.fixed.get(AT..AT + N).and_then(<[u8]>::first_chunk) {
            Some(part) => *part,
            None => [0; N],
        }
    }
}

impl core::fmt::Debug for OfferView<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.to_offer().fmt(f)
    }
}

/// The labels of an offer as (name, value), sorted by name.
#[derive(Debug, Clone)]
pub struct Categories<'a> {
    left: u32,
    bytes: &'a [u8],
}

impl<'a> Categories<'a> {
    /// The same without the check that they are UTF-8, which they are: for comparisons.
    pub fn pairs(mut self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        core::iter::from_fn(move || self.pair())
    }

    fn pair(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        self.left = self.left.checked_sub(1)?;
        Some((self.part()?, self.part()?))
    }

    fn part(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.bytes.split_first_chunk()?;
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        let (part, rest) = rest.split_at_checked(len)?;
        self.bytes = rest;
        Some(part)
    }
}

impl<'a> Iterator for Categories<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.pair()?;
        Some((text(name), text(value)))
    }
}

/// A text of the batch. The host packs UTF-8 alone; what is not reads as empty.
fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
