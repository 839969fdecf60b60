//! The plot of the README.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use bourse::testing::{MockHost, NOW, consent_request};
use bourse::{Action, ConsentRequest};
use plot::{Axis, Line, lines, stands};
use quota::{Params, Quota};
use std::time::Duration;

#[test]
fn the_plot_shows_what_the_policy_does() {
    let params = Params {
        keys: 20,
        period_ms: 3_600_000,
        ..Params::default()
    };
    let mut host = MockHost::default();
    let (mut asked, mut bought) = (0, 0);
    let (mut wants, mut gets) = (Vec::new(), Vec::new());
    for minute in 0..300u32 {
        // A key every two minutes, and in the third hour one in ten.
        let every = if (120..180).contains(&minute) { 10 } else { 2 };
        if minute % every == 0 {
            let request = ConsentRequest {
                action: Action::Buy,
                now: NOW.after(Duration::from_secs(60) * minute),
                ..consent_request(params.clone())
            };
            asked += 1;
            if Quota::authorize(&request, &host).is_ok() {
                bought += 1;
            }
            host.post();
        }
        wants.push((i64::from(minute), asked));
        gets.push((i64::from(minute), bought));
    }
    let picture = lines(
        "quota: 20 keys an hour, for a buyer who asks for 30 and once for 6",
        &Axis::new("minutes", 0..300),
        &Axis::new("keys in all", 0..160),
        &[Line::steps("asked for", wants), Line::steps("bought", gets)],
    );
    stands(env!("CARGO_MANIFEST_DIR"), "behaviour.svg", &picture);
}
