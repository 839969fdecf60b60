//! Packs offers as the host does, for filters under test.

use crate::{Batch, LAYOUT, MAX_BATCH, Offer};

/// Offers packed as the host packs them. A filter sees them through [`TestBatch::view`].
///
/// ```
/// use bourse::testing::{TestBatch, offer};
///
/// let batch = TestBatch::of(&[offer(), offer()]);
/// assert_eq!(batch.view().len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestBatch {
    count: u32,
    bytes: Vec<u8>,
}

impl TestBatch {
    /// Packs `offers` in their order.
    ///
    /// # Panics
    ///
    /// With more than [`MAX_BATCH`] offers, which no host asks for at once.
    pub fn of(offers: &[Offer]) -> Self {
        assert!(
            offers.len() <= MAX_BATCH,
            "a batch of {} offers: expected at most {MAX_BATCH}",
            offers.len()
        );
        let records: Vec<Vec<u8>> = offers.iter().map(record).collect();
        let table = (offers.len() + 1) * 4;
        let mut bytes = word(table).to_vec();
        let mut end = table;
        for record in &records {
            end += record.len();
            bytes.extend(word(end));
        }
        bytes.extend(records.concat());
        Self {
            count: u32::try_from(offers.len()).unwrap_or(u32::MAX),
            bytes,
        }
    }

    /// As a filter sees it.
    pub fn view(&self) -> Batch<'_> {
        match Batch::read(LAYOUT, self.count, &self.bytes) {
            Some(batch) => batch,
            None => unreachable!("`of` packs what `Batch` reads"),
        }
    }

    /// How many offers there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The bytes that the host hands over.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn record(offer: &Offer) -> Vec<u8> {
    let present = [
        offer.catalog.is_some(),
        offer.provider.is_some(),
        offer.expires.is_some(),
        offer.price.is_some(),
        offer.copies.is_some(),
        offer.remaining.is_some(),
    ];
    let flags = (0u32..)
        .zip(present)
        .map(|(bit, present)| u32::from(present) << bit)
        .sum::<u32>();
    let provider = offer.provider.as_deref().unwrap_or_default();
    let labels: Vec<u8> = offer
        .categories
        .iter()
        .flat_map(|(name, value)| [name, value])
        .flat_map(|text| [&word(text.len()), text.as_bytes()].concat())
        .collect();
    [
        &offer.key.0[..],
        &offer.api.0,
        &offer.catalog.unwrap_or_default().0,
        &offer.seller.0,
        &flags.to_le_bytes(),
        &offer.placed_at.0.to_le_bytes(),
        &offer.valid_from.0.to_le_bytes(),
        &offer.expires.unwrap_or_default().0.to_le_bytes(),
        &offer
            .price
            .unwrap_or_default()
            .limbs()
            .map(u64::to_le_bytes)
            .concat(),
        &offer.copies.unwrap_or(0).to_le_bytes(),
        &offer.remaining.unwrap_or(0).to_le_bytes(),
        &word(offer.uri.len()),
        &word(provider.len()),
        &word(offer.categories.len()),
        &word(labels.len()),
        offer.uri.as_bytes(),
        provider.as_bytes(),
        &labels,
    ]
    .concat()
}

fn word(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes()
}
