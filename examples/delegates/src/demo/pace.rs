//! When the demo's buyer buys what: a rush on one product, then a lull in which prices come down again.

use super::product::PRODUCTS;
use std::time::Duration;

/// Sales in a rush: two of three are of the product everybody wants.
const RUSH: usize = 36;
/// Sales in a lull, of all products in turn.
const LULL: usize = 16;
/// How much slower a lull is.
const CALM: u32 = 12;

/// One purchase to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    /// Which product, an index into [`PRODUCTS`].
    pub(super) product: usize,
    /// How long to wait before.
    pub(super) pause: Duration,
}

/// The rhythm.
#[derive(Debug)]
pub(super) struct Pace {
    beat: Duration,
    turn: usize,
}

impl Pace {
    pub(super) fn new(beat: Duration) -> Self {
        Self { beat, turn: 0 }
    }

    pub(super) fn next_turn(&mut self) -> Turn {
        let (round, turn) = (self.turn / (RUSH + LULL), self.turn % (RUSH + LULL));
        self.turn = self.turn.wrapping_add(1);
        let wanted = round % PRODUCTS.len();
        if turn < RUSH {
            let product = if turn % 3 < 2 {
                wanted
            } else {
                turn / 3 % PRODUCTS.len()
            };
            Turn {
                product,
                pause: self.beat,
            }
        } else {
            Turn {
                product: turn % PRODUCTS.len(),
                pause: self.beat * CALM,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::product::WINDOW;
    use std::collections::BTreeSet;

    #[test]
    fn a_rush_wants_one_product_most_and_a_lull_outlasts_much_of_the_window() {
        let mut pace = Pace::new(Duration::from_millis(125));
        let rush: Vec<Turn> = (0..RUSH).map(|_| pace.next_turn()).collect();
        assert!(rush.iter().filter(|turn| turn.product == 0).count() >= 24);

        let lull: Duration = (0..LULL).map(|_| pace.next_turn().pause).sum();
        assert!(lull > WINDOW);
        assert_eq!(pace.next_turn().product, 1, "the next rush is on something else");
    }

    #[test]
    fn every_product_is_sold_in_a_round() {
        let mut pace = Pace::new(Duration::ZERO);
        let sold: BTreeSet<usize> = (0..RUSH + LULL).map(|_| pace.next_turn().product).collect();
        assert_eq!(sold.len(), PRODUCTS.len());
    }
}
