//! Whether the simulator can be believed: it repeats itself, it finds what is planted, and it finds nothing else.

use bourse_market::plant::Bug;
use bourse_sim::faults::{Fault, Trouble};
use bourse_sim::hooks::InForce;
use bourse_sim::{Run, run};

fn play(seed: u64, plant: Option<Bug>) -> Result<bourse_sim::Summary, bourse_sim::Failure> {
    run(Run {
        seed,
        operations: 200,
        plant,
        trouble: None,
    })
}

/// Seeds until one fails; none if all of them pass.
fn found(plant: Bug) -> Option<u64> {
    (1..=20).find(|seed| play(*seed, Some(plant)).is_err())
}

#[test]
fn a_seed_takes_the_same_steps_each_time() {
    // Of a failing run there is the whole trace to compare, whichever policies are in force.
    let mut seen = Vec::new();
    for seed in 1..=40 {
        let in_force = InForce::of(seed);
        let Err(one) = play(seed, Some(Bug::W20)) else {
            continue;
        };
        if one.trace.len() > 30 && !seen.contains(&in_force) {
            let two = play(seed, Some(Bug::W20)).unwrap_err();
            assert_eq!(one.trace, two.trace);
            seen.push(in_force);
        }
    }
    assert_eq!(seen.len(), 4, "there is something to compare: {seen:?}");
    for seed in 1..=3 {
        let [one, two] = [0, 1].map(|_| play(seed, None).unwrap());
        assert_eq!(one, two);
    }
}

#[test]
fn a_start_that_fails_is_one_crash_however_busy_the_machine_is() {
    // In this seed the disk fails while a start resolves what it found under way.
    let [one, two] = [0, 1].map(|_| play(4, None).unwrap());
    assert_eq!(one, two);
}

#[test]
fn w_20_a_failed_sale_that_leaves_money_in_the_wrong_place_is_found() {
    assert!(found(Bug::W20).is_some());
}

#[test]
fn w_22_a_receipt_with_the_balance_of_the_moment_is_found() {
    assert!(found(Bug::W22).is_some());
}

#[test]
fn w_24_sales_that_are_not_put_in_order_are_found() {
    assert!(found(Bug::W24).is_some());
}

#[test]
fn seeds_pass_and_see_sales_crashes_purchases_under_way_netted_ones_and_keys_in_escrow() {
    let (mut sales, mut crashes, mut recovered, mut netted, mut closed) = (0, 0, 0, 0, 0);
    let (mut escrowed, mut settled, mut hidden, mut withheld) = (0, 0, 0, 0);
    for seed in 1..=40 {
        let summary =
            play(seed, None).unwrap_or_else(|failure| panic!("seed {seed}: {:#?}", failure.violations));
        sales += summary.sales;
        crashes += summary.crashes;
        recovered += summary.recovered;
        netted += summary.netted;
        closed += summary.closed;
        escrowed += summary.escrowed;
        settled += summary.settled;
        hidden += summary.hidden;
        withheld += summary.withheld;
    }
    assert!(
        sales > 200 && crashes > 20 && recovered > 5 && netted > 2 && closed > 5,
        "{sales} {crashes} {recovered} {netted} {closed}"
    );
    assert!(escrowed > 50 && settled > 2, "{escrowed} {settled}");
    assert!(hidden > 20 && withheld > 20, "{hidden} {withheld}");
}

#[test]
fn each_kind_of_fault_has_its_opportunities_and_does_no_harm_at_the_first() {
    for fault in Fault::all() {
        let mut struck = 0;
        for seed in 1..=3 {
            let what = Run {
                seed,
                operations: 100,
                plant: None,
                trouble: Some(Trouble { fault, nth: 1 }),
            };
            let summary = run(what).unwrap_or_else(|failure| panic!("{fault:?}: {:#?}", failure.violations));
            struck += u64::from(summary.struck);
        }
        assert!(struck > 0, "{fault:?} never struck");
    }
}
