//! The answer of a filter.

/// Which offers of a [`Batch`](crate::Batch) a buyer may see, and in which order.
///
/// It speaks of offers by their index, which is their place in the batch. It cannot add any.
///
/// ```
/// use bourse::Verdict;
///
/// let mut verdict = Verdict::none(5);
/// verdict.keep(1);
/// verdict.keep(4);
/// verdict.order([4, 1]);
/// assert_eq!(verdict.shown(), [4, 1]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    count: usize,
    /// Bit i, from the least significant of byte 0 on, is offer i.
    keep: Vec<u8>,
    order: Vec<u32>,
}

impl Verdict {
    /// Every one of `count` offers may be seen, in the host's order.
    pub fn all(count: usize) -> Self {
        let mut keep = vec![0xff; count.div_ceil(8)];
        if let Some(last) = keep.last_mut() {
            // Bits past the end stay clear.
            *last >>= (8 - count % 8) % 8;
        }
        Self {
            count,
            keep,
            order: Vec::new(),
        }
    }

    /// None of `count` offers may be seen.
    pub fn none(count: usize) -> Self {
        Self {
            count,
            keep: vec![0; count.div_ceil(8)],
            order: Vec::new(),
        }
    }

    /// Shows the offer at `index`. An index past the end is ignored: there is no such offer.
    pub fn keep(&mut self, index: usize) {
        if index < self.count
            && let Some(byte) = self.keep.get_mut(index / 8)
        {
            *byte |= 1 << (index % 8);
        }
    }

    /// Hides the offer at `index`.
    pub fn hide(&mut self, index: usize) {
        if let Some(byte) = self.keep.get_mut(index / 8) {
            *byte &= !(1 << (index % 8));
        }
    }

    /// Whether the offer at `index` is shown.
    pub fn keeps(&self, index: usize) -> bool {
        self.keep
            .get(index / 8)
            .is_some_and(|byte| byte & (1 << (index % 8)) != 0)
    }

    /// How many offers are shown.
    pub fn kept(&self) -> usize {
        self.keep.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// Shows the named offers first, in this order; the other kept ones follow in the host's order. Indices of hidden
    /// offers and repeated ones are left out.
    pub fn order(&mut self, best_first: impl IntoIterator<Item = usize>) {
        self.order = best_first
            .into_iter()
            .filter_map(|index| u32::try_from(index).ok())
            .collect();
    }

    /// The bitmap, for who keeps bits past the end clear.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.keep
    }

    /// The kept offers as the buyer sees them.
    pub fn shown(&self) -> Vec<usize> {
        let (left, order) = self.clone().into_parts();
        let rest = Self {
            keep: left,
            count: self.count,
            order: Vec::new(),
        };
        let first: Vec<usize> = order.into_iter().map(|index| index as usize).collect();
        let others = (0..self.count).filter(|index| rest.keeps(*index) && !first.contains(index));
        first.iter().copied().chain(others).collect()
    }

    /// The bitmap and the order, as the component answers them.
    pub fn into_parts(mut self) -> (Vec<u8>, Vec<u32>) {
        let mut order = std::mem::take(&mut self.order);
        if !order.is_empty() {
            let mut left = self.clone();
            order.retain(|index| {
                let index = *index as usize;
                let first = left.keeps(index);
                left.hide(index);
                first
            });
        }
        (self.keep, order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_has_a_bit_for_each_offer_and_none_more() {
        for count in 0..40 {
            let all = Verdict::all(count);
            assert_eq!(all.kept(), count);
            assert_eq!(all.keep.len(), count.div_ceil(8));
            let mut one_by_one = Verdict::none(count);
            (0..count + 9).for_each(|index| one_by_one.keep(index));
            assert_eq!(one_by_one, all);
            assert!(!all.keeps(count));
        }
    }

    #[test]
    fn an_order_names_kept_offers_once_and_the_rest_follows() {
        let mut verdict = Verdict::all(6);
        verdict.hide(2);
        verdict.order([5, 2, 5, 99, 0]);
        assert_eq!(verdict.shown(), [5, 0, 1, 3, 4]);
        assert_eq!(verdict.into_parts(), (vec![0b11_1011], vec![5, 0]));
    }
}
