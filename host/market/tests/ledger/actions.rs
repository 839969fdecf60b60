//! What happens in the random lives of a market: each thing that anybody may try, right or wrong.

use proptest::prelude::*;

/// How a request to buy departs from the right one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Twist {
    /// Not at all.
    None,
    Seq(i8),
    Balance(i8),
    /// Offers more than the price, and signs for the price.
    Generous(u8),
    /// Offers more than the price, and signs for what it offers.
    Outdated(u8),
    Stingy(u8),
    Signer(u8),
    Named(u8),
    PayingSeq(i8),
    PayingBalance(i8),
    PayingChannel(u8),
    Fee(u8),
    Lenient,
    Late,
    Unpriced,
    Largest,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Action {
    Fund {
        who: u8,
        amount: u8,
    },
    FundLargest {
        who: u8,
    },
    OpenMore {
        paying: bool,
        who: u8,
        deposit: u8,
        by: u8,
    },
    Revoke {
        key: u8,
        session: u8,
    },
    Reserve {
        buyer: u8,
        key: u8,
        price: u8,
        twist: Twist,
    },
    Again {
        nth: u8,
    },
    Adopted {
        buyer: u8,
        key: u8,
        prices: (u8, u8),
        state: u8,
    },
    Recover {
        nth: u8,
        ahead: u8,
    },
    Post {
        nth: u8,
        recovered: u8,
        signer: Option<u8>,
        decided: bool,
    },
    Void {
        nth: u8,
        ambiguous: bool,
    },
    Release {
        seller: u8,
        by_operator: bool,
    },
    ReleasePair {
        key: u8,
    },
    /// Closes a channel: by this much beside the posted pair, and by anybody's signature.
    Close {
        nth: u8,
        off: (i8, i8),
        signer: Option<u8>,
    },
    Genesis,
}

fn twist() -> impl Strategy<Value = Twist> {
    prop_oneof![
        12 => Just(Twist::None),
        1 => any::<i8>().prop_map(Twist::Seq),
        1 => any::<i8>().prop_map(Twist::Balance),
        1 => any::<u8>().prop_map(Twist::Generous),
        1 => any::<u8>().prop_map(Twist::Outdated),
        1 => any::<u8>().prop_map(Twist::Stingy),
        1 => any::<u8>().prop_map(Twist::Signer),
        1 => any::<u8>().prop_map(Twist::Named),
        1 => any::<i8>().prop_map(Twist::PayingSeq),
        1 => any::<i8>().prop_map(Twist::PayingBalance),
        1 => any::<u8>().prop_map(Twist::PayingChannel),
        3 => (0..9u8).prop_map(Twist::Fee),
        2 => Just(Twist::Lenient),
        1 => Just(Twist::Late),
        1 => Just(Twist::Unpriced),
        1 => Just(Twist::Largest),
    ]
}

pub(crate) fn action() -> impl Strategy<Value = Action> {
    let reserve = (any::<u8>(), any::<u8>(), 0..40u8, twist());
    prop_oneof![
        2 => (any::<u8>(), any::<u8>()).prop_map(|(who, amount)| Action::Fund { who, amount }),
        1 => any::<u8>().prop_map(|who| Action::FundLargest { who }),
        2 => (any::<bool>(), any::<u8>(), any::<u8>(), any::<u8>())
            .prop_map(|(paying, who, deposit, by)| Action::OpenMore { paying, who, deposit, by }),
        1 => (any::<u8>(), 0..12u8).prop_map(|(key, session)| Action::Revoke { key, session }),
        24 => reserve.prop_map(|(buyer, key, price, twist)| Action::Reserve { buyer, key, price, twist }),
        6 => any::<u8>().prop_map(|nth| Action::Again { nth }),
        20 => (any::<u8>(), prop_oneof![8 => Just(1), 6 => 4..7u8, 1 => 0..4u8])
            .prop_map(|(nth, ahead)| Action::Recover { nth, ahead }),
        16 => (any::<u8>(), any::<u8>(), prop::option::weighted(0.1, any::<u8>()), prop::bool::weighted(0.9))
            .prop_map(|(nth, recovered, signer, decided)| Action::Post { nth, recovered, signer, decided }),
        6 => (any::<u8>(), any::<bool>()).prop_map(|(nth, ambiguous)| Action::Void { nth, ambiguous }),
        6 => (any::<u8>(), any::<u8>(), (0..40u8, 0..40u8), 0..2u8)
            .prop_map(|(buyer, key, prices, state)| Action::Adopted { buyer, key, prices, state }),
        4 => (any::<u8>(), any::<bool>())
            .prop_map(|(seller, by_operator)| Action::Release { seller, by_operator }),
        4 => any::<u8>().prop_map(|key| Action::ReleasePair { key }),
        4 => (any::<u8>(), prop_oneof![2 => Just((0, 0)), 1 => any::<(i8, i8)>()], prop::option::weighted(0.2, any::<u8>()))
            .prop_map(|(nth, off, signer)| Action::Close { nth, off, signer }),
        1 => Just(Action::Genesis),
    ]
}
