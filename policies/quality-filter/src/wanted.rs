//! Finding the few labels that a rule is about among all that an offer has.
//!
//! It is the sellers who choose how many labels a page of offers has, and how long their names are; so each is looked at
//! once, and mostly by one number.

use crate::{MAX_LABELS, Params};

/// The labels that a rule is about.
pub(crate) struct Wanted<'r> {
    /// Their names, each after its [`tag`]: those of the parameters in their order, then the one that orders the page.
    names: Vec<(u32, &'r [u8])>,
    /// A bit for each of the tags: most labels that nobody asks for have none of these bits, and are passed over.
    bits: u64,
}

/// Their values in one offer, in the same order.
pub(crate) type Values<'o> = [Option<&'o [u8]>; MAX_LABELS + 1];

impl<'r> Wanted<'r> {
    pub(crate) fn of(params: &'r Params) -> Self {
        let labels = params.labels.iter().map(|label| &label.name);
        let names = labels.chain(&params.best_by).map(|name| name.as_bytes());
        let names: Vec<_> = names.map(|name| (tag(name), name)).collect();
        let bits = names.iter().fold(0, |bits, (tag, _)| bits | bit(*tag));
        Self { names, bits }
    }

    /// The values among the `labels` of an offer.
    pub(crate) fn values<'o>(&self, labels: impl Iterator<Item = (&'o [u8], &'o [u8])>) -> Values<'o> {
        let mut values = Values::default();
        if self.names.is_empty() {
            return values;
        }
        for (name, value) in labels {
            let tagged = tag(name);
            if self.bits & bit(tagged) == 0 {
                continue;
            }
            for (slot, (tag, wanted)) in values.iter_mut().zip(&self.names) {
                if *tag == tagged && *wanted == name {
                    *slot = Some(value);
                }
            }
        }
        values
    }
}

/// A number in which names that differ mostly differ: of their length, their first and their last two bytes.
fn tag(name: &[u8]) -> u32 {
    let (first, before, last) = match name {
        [first, .., before, last] => (*first, *before, *last),
        [first, last] => (*first, 0, *last),
        [only] => (*only, 0, 0),
        [] => (0, 0, 0),
    };
    (name.len() as u32) ^ u32::from_be_bytes([first, before, last, 0])
}

/// One of 64 bits, by a tag: the highest ones of its product with 2^32 ÷ φ, on which all of its bits have a say.
fn bit(tag: u32) -> u64 {
    1 << (tag.wrapping_mul(0x9e37_79b9) >> 26)
}
