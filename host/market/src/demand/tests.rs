use super::*;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_700_000_000 * SECOND;

fn at(seconds: u64) -> Nanos {
    Nanos(START + seconds * SECOND)
}

fn sale(seconds: u64, key: u8, price: u128) -> Sale {
    Sale {
        at: at(seconds),
        key: KeyId([key; 16]),
        api: ApiId([1; 16]),
        seller: Address([2; 20]),
        buyer: Address([3; 20]),
        price: Amount::from_units(price),
    }
}

fn quote(demand: &mut Demand, seconds: u64, key: u8) {
    demand.record_quote(
        at(seconds),
        KeyId([key; 16]),
        ApiId([1; 16]),
        Address([2; 20]),
        None,
    );
}

fn key(key: u8) -> Subject {
    Subject::Key(KeyId([key; 16]))
}

#[test]
fn a_sale_counts_for_its_key_api_seller_and_buyer() {
    let mut demand = Demand::new();
    demand.record_sale(&sale(0, 7, 5));
    demand.record_sale(&sale(1, 8, 6));
    let sales = |subject| demand.figures(subject, at(2), 60_000).sales;
    assert_eq!([sales(key(7)), sales(key(8)), sales(key(9))], [1, 1, 0]);
    assert_eq!(sales(Subject::Api(ApiId([1; 16]))), 2);
    assert_eq!(sales(Subject::Seller(Address([2; 20]))), 2);
    assert_eq!(sales(Subject::Buyer(Address([3; 20]))), 2);
}

#[test]
fn a_quote_counts_for_its_buyer_only_if_it_is_proven() {
    let mut demand = Demand::new();
    quote(&mut demand, 0, 7);
    let buyer = Subject::Buyer(Address([3; 20]));
    assert_eq!(demand.figures(buyer, at(0), 60_000).quotes, 0);
    demand.record_quote(
        at(0),
        KeyId([7; 16]),
        ApiId([1; 16]),
        Address([2; 20]),
        Some(Address([3; 20])),
    );
    assert_eq!(demand.figures(buyer, at(0), 60_000).quotes, 1);
    assert_eq!(demand.figures(key(7), at(0), 60_000).quotes, 2);
    assert_eq!(demand.figures(key(7), at(0), 60_000).sales, 0);
}

#[test]
fn what_leaves_the_window_is_forgotten_but_for_the_last_price() {
    let mut demand = Demand::new();
    demand.record_sale(&sale(0, 7, 5));
    demand.record_sale(&sale(30, 7, 6));
    let inside = demand.figures(key(7), at(60), 60_000);
    assert_eq!((inside.sales, inside.volume), (2, Amount::from_units(11)));
    let later = demand.figures(key(7), at(62), 60_000);
    assert_eq!((later.sales, later.volume), (1, Amount::from_units(6)));
    let much_later = demand.figures(key(7), at(10_000_000), 60_000);
    assert_eq!(
        (much_later.sales, much_later.last_price),
        (0, Some(Amount::from_units(6)))
    );
    assert_eq!(much_later.last_at, Some(at(30)));
}

#[test]
fn a_day_is_the_longest_window() {
    let mut demand = Demand::new();
    demand.record_sale(&sale(0, 7, 5));
    assert_eq!(demand.figures(key(7), at(86_400), 86_400_000).sales, 1);
    assert_eq!(demand.figures(key(7), at(86_400 + 721), u32::MAX).sales, 0);
}

#[test]
fn a_sale_that_comes_late_counts_in_its_own_bucket() {
    let mut demand = Demand::new();
    demand.record_sale(&sale(50, 7, 5));
    demand.record_sale(&sale(10, 7, 9));
    let recent = demand.figures(key(7), at(55), 10_000);
    assert_eq!(
        (recent.sales, recent.last_price),
        (1, Some(Amount::from_units(5)))
    );
    assert_eq!(demand.figures(key(7), at(55), 60_000).sales, 2);
}

#[test]
fn what_lies_ahead_of_now_is_not_counted() {
    let mut demand = Demand::new();
    demand.record_sale(&sale(50, 7, 5));
    assert_eq!(demand.figures(key(7), at(40), 60_000).sales, 0);
}

#[test]
fn a_clock_that_is_set_back_starts_over_instead_of_counting_nothing() {
    let mut demand = Demand::new();
    demand.record_sale(&sale(100_000, 7, 5));
    demand.record_sale(&sale(10, 7, 6));
    let figures = demand.figures(key(7), at(11), 60_000);
    assert_eq!(
        (figures.sales, figures.last_price),
        (1, Some(Amount::from_units(6)))
    );
}

#[test]
fn volume_stops_at_the_largest_amount() {
    let mut demand = Demand::new();
    for second in 0..2 {
        demand.record_sale(&Sale {
            price: Amount::MAX,
            ..sale(second, 7, 0)
        });
    }
    assert_eq!(demand.figures(key(7), at(2), 60_000).volume, Amount::MAX);
}

#[test]
fn the_ends_of_time_do_no_harm() {
    let mut demand = Demand::new();
    for moment in [0, 1, START, u64::MAX] {
        demand.record_sale(&Sale {
            at: Nanos(moment),
            ..sale(0, 7, 5)
        });
        demand.figures(key(7), Nanos(moment), u32::MAX);
        demand.figures(key(7), Nanos(moment), 0);
    }
    assert_eq!(demand.figures(key(7), Nanos(u64::MAX), 0).sales, 1);
}

#[test]
fn inventing_keys_to_ask_for_never_drives_out_a_sale() {
    let mut demand = Demand::bounded(Bounds {
        sold: 4,
        quoted: 8,
        cells: 1000,
    });
    demand.record_sale(&sale(0, 7, 5));
    for second in 0..200u64 {
        let key = KeyId(u128::from(second).wrapping_add(1 << 64).to_be_bytes());
        demand.record_quote(at(second), key, ApiId([9; 16]), Address([9; 20]), None);
    }
    assert_eq!(demand.figures(key(7), at(200), 600_000).sales, 1);
    assert!(demand.subjects() <= 12, "{} subjects", demand.subjects());
}

#[test]
fn the_idlest_goes_first_and_a_sale_lifts_out_of_the_merely_asked_for() {
    let mut demand = Demand::bounded(Bounds {
        sold: 100,
        quoted: 5,
        cells: 10_000,
    });
    // Each quote touches its key, and again the API and the seller: five places are three keys'.
    for (second, key) in [(0, 1), (2, 2), (4, 3), (6, 1), (8, 4)] {
        quote(&mut demand, second, key);
    }
    let quotes = |demand: &Demand, subject| demand.figures(subject, at(9), 60_000).quotes;
    assert_eq!(quotes(&demand, key(2)), 0, "asked for longest ago");
    assert_eq!(quotes(&demand, key(1)), 2);
    demand.record_sale(&sale(9, 3, 5));
    for (second, key) in [(10, 5), (12, 6), (14, 7), (16, 8), (18, 9), (20, 10)] {
        quote(&mut demand, second, key);
    }
    assert_eq!(quotes(&demand, key(3)), 1, "a key that sold stays");
    assert_eq!(quotes(&demand, key(1)), 0);
}

#[test]
fn buckets_are_bounded_over_all_subjects() {
    let mut demand = Demand::bounded(Bounds {
        sold: 1000,
        quoted: 1000,
        cells: 700,
    });
    for second in 0..3000u64 {
        demand.record_sale(&Sale {
            key: KeyId(u128::from(second % 40).to_be_bytes()),
            ..sale(second * 7, 0, 1)
        });
        assert!(demand.cells <= 700);
        assert_eq!(
            demand.cells,
            demand.subjects.values().map(Track::cells).sum::<usize>()
        );
        assert_eq!(demand.subjects.len(), demand.quoted.len() + demand.sold.len());
    }
}

proptest! {
    /// Against a plain list of sales: nothing inside the window is missed, and what is counted beyond it lies within
    /// one bucket.
    #[test]
    fn figures_agree_with_a_list_of_all_sales(
        mut gaps in prop::collection::vec((0u64..400_000, 0u128..50), 1..120),
        window in 0u32..4_000_000,
        wait in 0u64..100_000,
    ) {
        let mut demand = Demand::new();
        let mut now = START;
        let mut sales = Vec::new();
        for (gap, price) in gaps.drain(..) {
            now += gap * 1_000_000;
            demand.record_sale(&Sale { at: Nanos(now), ..sale(0, 7, price) });
            sales.push((now, price));
        }
        let last = now;
        now += wait * 1_000_000;
        let figures = demand.figures(key(7), Nanos(now), window);
        let bucket: u64 = match window { 0..=120_000 => 1, 120_001..=1_200_000 => 10, _ => 90 };
        let from = now - u64::from(window) * 1_000_000;
        let count = |from: u64| sales.iter().filter(|(at, _)| *at >= from).count() as u64;
        prop_assert!(figures.sales >= count(from));
        prop_assert!(figures.sales <= count(from - bucket * SECOND));
        prop_assert_eq!(figures.last_at, Some(Nanos(last)));
        let lower: u128 = sales.iter().filter(|(at, _)| *at >= from).map(|(_, price)| price).sum();
        prop_assert!(figures.volume >= Amount::from_units(lower));
    }
}
