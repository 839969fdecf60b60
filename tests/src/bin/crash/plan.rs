//! What a seed decides of one kill.

use std::time::Duration;

/// Dice that fall the same way for the same seed (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `sides`.
    pub(crate) fn below(&mut self, sides: u64) -> u64 {
        self.next() % sides
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let place = self.below(from.len() as u64);
        from[usize::try_from(place).unwrap()]
    }

    /// A time up to `most`.
    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(most.as_micros()).unwrap() + 1))
    }
}

/// When a host under load dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kill {
    /// By -9, after so long.
    After(Duration),
    /// By -9, once its sellers were asked so many times.
    Asked(usize),
    /// By its own hand, the so manieth time that it comes by this place.
    At(&'static str, u64),
}

/// When the host that follows dies as well, before it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relapse {
    /// By -9, after so long.
    After(Duration),
    /// By its own hand.
    At(&'static str, u64),
}

/// The places of a host under load.
const PLACES: [&str; 12] = [
    "reserve-committed",
    "sell-answered",
    "post-unwritten",
    "post-committed",
    "delivery-unwritten",
    "delivery-committed",
    "receipt-unsent",
    "void-committed",
    "before-commit",
    "offer-committed",
    "channel-committed",
    "grant-committed",
];

/// One kill, and what follows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) kill: Kill,
    pub(crate) relapse: Option<Relapse>,
}

impl Plan {
    /// The larger part at any moment, the rest at places that matter; one start in four is killed too.
    pub(crate) fn of(dice: &mut Dice) -> Self {
        let kill = match dice.below(10) {
            0..6 => Kill::After(Duration::from_millis(100) + dice.up_to(Duration::from_millis(700))),
            6 => Kill::Asked(usize::try_from(10 + dice.below(60)).unwrap()),
            _ => Kill::At(dice.pick(&PLACES), 1 + dice.below(30)),
        };
        let relapse = match dice.below(8) {
            0 => Some(Relapse::After(dice.up_to(Duration::from_millis(300)))),
            1 => Some(Relapse::At("recovered-one", 1)),
            _ => None,
        };
        Self { kill, relapse }
    }
}

impl Relapse {
    /// How the very first start of a market dies.
    pub(crate) fn of_genesis(dice: &mut Dice) -> Self {
        match dice.below(4) {
            0 => Self::At("genesis-committed", 1),
            1 => Self::At("before-commit", 1),
            _ => Self::After(dice.up_to(Duration::from_millis(200))),
        }
    }
}
