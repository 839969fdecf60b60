//! A market of buyers who each have a price in mind, against the policy itself, in whole numbers and ticks of a tenth
//! of a second. Tests and the plot share it.

use super::{AuctionFloor, Params};
use bourse::testing::{MockHost, NOW, request};
use bourse::{Amount, PriceRequest};
use std::collections::VecDeque;
use std::time::Duration;
use tally::testing::post;

/// Milliseconds of a tick.
pub const TICK_MS: u64 = 100;

/// A price in millionths of a token.
pub type Micros = u64;

/// How many keys buyers take at a price: thousandths of a key a second.
pub type Rate = u64;

/// The rate of 1 a second at the price `at`, falling with the price to the power of `elasticity`.
pub fn elastic(at: Micros, elasticity: u32) -> impl Fn(u64, Micros) -> Rate {
    move |_, price| {
        let rate = (0..elasticity).fold(1_000u128, |rate, _| {
            (rate * u128::from(at))
                .checked_div(u128::from(price.max(1)))
                .unwrap_or(0)
        });
        u64::try_from(rate.min(1_000_000)).unwrap_or(0)
    }
}

/// The rate of 1 a second at the price `at`, falling along a straight line to nobody at twice that.
pub fn linear(at: Micros) -> impl Fn(u64, Micros) -> Rate {
    move |_, price| (2_000u64).saturating_sub(price.saturating_mul(1_000).checked_div(at).unwrap_or(0))
}

/// A market under way.
pub struct Simulation {
    host: MockHost,
    params: Params,
    cap: Amount,
    /// How long a purchase takes from its quote to its posting.
    lag_ms: u64,
    now_ms: u64,
    /// Purchases on their way, by when they are posted.
    flights: VecDeque<(u64, MockHost)>,
    /// Thousandths of a key that buyers want and have not asked for yet, in tenths.
    wanted: u64,
    /// Arrivals at random with this seed, else evenly.
    random: Option<u64>,
    /// Keys sold.
    pub sales: u64,
}

impl Simulation {
    /// An empty market.
    pub fn new(params: Params, lag_ms: u64) -> Self {
        Self {
            host: MockHost::default(),
            params,
            cap: Amount::MAX,
            lag_ms,
            now_ms: 0,
            flights: VecDeque::new(),
            wanted: 0,
            random: None,
            sales: 0,
        }
    }

    /// The same with a cap.
    #[must_use]
    pub fn capped(self, cap: Amount) -> Self {
        Self { cap, ..self }
    }

    /// The same with buyers who come at random.
    #[must_use]
    pub fn random(self, seed: u64) -> Self {
        Self {
            random: Some(seed),
            ..self
        }
    }

    fn quote(&self, host: &MockHost) -> Micros {
        let asked = PriceRequest {
            now: NOW.after(Duration::from_millis(self.now_ms)),
            cap: self.cap,
            ..request(self.params.clone())
        };
        let amount = AuctionFloor::quote(&asked, host).map_or(Amount::ZERO, |price| price.amount);
        match amount.checked_div(1_000_000_000_000).map(Amount::limbs) {
            Some([micros, 0, 0, 0]) => micros,
            _ => Micros::MAX,
        }
    }

    /// The price now, which nobody buys.
    pub fn price(&self) -> Micros {
        self.quote(&self.host.clone())
    }

    /// Lets `seconds` pass with buyers who take `demand(second, price)`, and gives the price of each second.
    pub fn run(&mut self, seconds: u64, demand: impl Fn(u64, Micros) -> Rate) -> Vec<Micros> {
        let mut prices = Vec::new();
        for tick in 0..seconds * 1_000 / TICK_MS {
            while self.flights.front().is_some_and(|(due, _)| *due <= self.now_ms) {
                if let Some((_, call)) = self.flights.pop_front() {
                    post(&mut self.host, &call);
                }
            }
            let price = self.price();
            if tick % 10 == 0 {
                prices.push(price);
            }
            for _ in 0..self.arrivals(demand(self.now_ms / 1_000, price)) {
                let call = self.host.clone();
                self.quote(&call);
                self.flights.push_back((self.now_ms + self.lag_ms, call));
                self.sales += 1;
            }
            self.now_ms += TICK_MS;
        }
        prices
    }

    /// Buyers of this tick.
    fn arrivals(&mut self, rate: Rate) -> u64 {
        // Thousandths of a key a second are ten-thousandths a tick.
        let whole = 10_000;
        match &mut self.random {
            None => {
                self.wanted += rate;
                let arrived = self.wanted / whole;
                self.wanted %= whole;
                arrived
            }
            Some(seed) => {
                // The multiplier of Knuth's MMIX; the high bits are good enough for buyers.
                *seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                rate / whole + u64::from((*seed >> 33) % whole < rate % whole)
            }
        }
    }
}
