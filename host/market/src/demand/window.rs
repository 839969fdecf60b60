//! One subject's buckets.

use super::{Demand, Figures};
use crate::{Amount, Nanos};
use std::collections::VecDeque;

/// Buckets of one width, and the longest window they answer.
struct Tier {
    bucket_ms: u64,
    window_ms: u32,
}

/// Each answers windows from about a tenth of its longest one on: above the first tier, rounding up adds less than a
/// tenth.
const TIERS: [Tier; 4] = [
    Tier {
        bucket_ms: 1_000,
        window_ms: 120_000,
    },
    Tier {
        bucket_ms: 10_000,
        window_ms: 1_200_000,
    },
    Tier {
        bucket_ms: 90_000,
        window_ms: 10_800_000,
    },
    Tier {
        bucket_ms: 720_000,
        window_ms: Demand::MAX_WINDOW_MS,
    },
];

/// Nothing comes that late, for purchases resolve within seconds: what seems to tells of a clock that was set back.
const CLOCK_SET_BACK_MS: u64 = 120_000;

/// Buckets a tier keeps: 120 for its longest window, and the one that has just begun.
const KEPT: u64 = 121;

/// What happened in one bucket. Buckets in which nothing did are not kept.
#[derive(Debug, Clone, Copy)]
struct Cell {
    index: u64,
    sales: u32,
    quotes: u32,
    volume: Amount,
}

/// The windows of one subject.
#[derive(Debug, Default)]
pub(super) struct Track {
    tiers: [VecDeque<Cell>; TIERS.len()],
    last_sale: Option<(Nanos, Amount)>,
    /// Its place among the idle; none until it has one.
    pub(super) touched: Option<u64>,
    pub(super) touched_at: Nanos,
}

impl Track {
    pub(super) fn has_sold(&self) -> bool {
        self.last_sale.is_some()
    }

    pub(super) fn cells(&self) -> usize {
        self.tiers.iter().map(VecDeque::len).sum()
    }

    /// Counts a sale at its price, or a quote.
    pub(super) fn record(&mut self, at: Nanos, sale: Option<Amount>) {
        for (tier, cells) in TIERS.iter().zip(&mut self.tiers) {
            let Some(cell) = cell_at(cells, tier.index(at)) else {
                continue;
            };
            match sale {
                Some(price) => {
                    cell.sales = cell.sales.saturating_add(1);
                    cell.volume = cell.volume.saturating_add(price);
                }
                None => cell.quotes = cell.quotes.saturating_add(1),
            }
        }
        if let Some(price) = sale
            && self
                .last_sale
                .is_none_or(|(last, _)| last <= at || last > at.plus_millis(CLOCK_SET_BACK_MS))
        {
            self.last_sale = Some((at, price));
        }
    }

    pub(super) fn figures(&self, now: Nanos, window_ms: u32) -> Figures {
        let window_ms = window_ms.min(Demand::MAX_WINDOW_MS);
        let mut figures = Figures {
            last_price: self.last_sale.map(|(_, price)| price),
            last_at: self.last_sale.map(|(at, _)| at),
            ..Figures::default()
        };
        let tier = TIERS
            .iter()
            .zip(&self.tiers)
            .find(|(tier, _)| window_ms <= tier.window_ms);
        if let Some((tier, cells)) = tier {
            let first = tier.first(now, window_ms);
            let last = tier.index(now);
            // Newest first: a short window never walks through a long past.
            let inside = cells.iter().rev().skip_while(|cell| cell.index > last);
            for cell in inside.take_while(|cell| cell.index >= first) {
                figures.sales = figures.sales.saturating_add(u64::from(cell.sales));
                figures.quotes = figures.quotes.saturating_add(u64::from(cell.quotes));
                figures.volume = figures.volume.saturating_add(cell.volume);
            }
        }
        figures
    }
}

impl Tier {
    fn index(&self, at: Nanos) -> u64 {
        at.0 / (self.bucket_ms * 1_000_000)
    }

    /// The first bucket of the window that ends at `now`.
    fn first(&self, now: Nanos, window_ms: u32) -> u64 {
        self.index(Nanos(now.0.saturating_sub(u64::from(window_ms) * 1_000_000)))
    }
}

/// Where the window of `window_ms` milliseconds before `now` begins, once it is rounded up to whole buckets.
pub(super) fn begins(now: Nanos, window_ms: u32) -> Nanos {
    let window_ms = window_ms.min(Demand::MAX_WINDOW_MS);
    let tier = TIERS.iter().find(|tier| window_ms <= tier.window_ms);
    tier.map_or(now, |tier| {
        Nanos(tier.first(now, window_ms) * tier.bucket_ms * 1_000_000)
    })
}

/// The bucket with this index, made if it is missing. Buckets stay ordered, and span what is kept at most.
fn cell_at(cells: &mut VecDeque<Cell>, index: u64) -> Option<&mut Cell> {
    // Too far ahead: the clock was set back. Were they kept, nothing would count until it comes there again.
    while cells
        .back()
        .is_some_and(|cell| cell.index.saturating_sub(index) >= KEPT)
    {
        cells.pop_back();
    }
    let newest = cells.back().map_or(index, |cell| cell.index.max(index));
    while cells
        .front()
        .is_some_and(|cell| newest.saturating_sub(cell.index) >= KEPT)
    {
        cells.pop_front();
    }
    // Nearly always the last one or the one after it.
    let place = match cells.back() {
        Some(back) if back.index == index => cells.len().saturating_sub(1),
        Some(back) if back.index > index => cells.partition_point(|cell| cell.index < index),
        _ => cells.len(),
    };
    if cells.get(place).is_none_or(|cell| cell.index != index) {
        cells.insert(
            place,
            Cell {
                index,
                sales: 0,
                quotes: 0,
                volume: Amount::ZERO,
            },
        );
    }
    cells.get_mut(place)
}
