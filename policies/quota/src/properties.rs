//! What holds for any quota and any purchases.

use super::*;
use bourse::testing::{MockHost, NOW, consent_request};
use proptest::prelude::*;
use std::time::Duration;

proptest! {
    /// One purchase at a time: within any period that was begun, no buyer gets more than its keys.
    #[test]
    fn no_period_sells_more_than_the_quota(
        keys in 1u64..6,
        steps in prop::collection::vec((0u64..30_000, 0u8..3), 1..80),
    ) {
        let params = Params { keys, period_ms: 60_000, ..Params::default() };
        let mut host = MockHost::default();
        let mut now_ms = 0;
        let mut bought: Vec<Vec<u64>> = vec![Vec::new(); 3];
        for (wait, buyer) in steps {
            now_ms += wait;
            let request = ConsentRequest {
                action: Action::Buy,
                now: NOW.after(Duration::from_millis(now_ms)),
                buyer: Some(Address([buyer; 20])),
                ..consent_request(params.clone())
            };
            let mine = &mut bought[usize::from(buyer)];
            let answer = Quota::authorize(&request, &host);
            host.post();
            // The period began with the first purchase that no earlier period holds.
            let begun = mine.iter().fold(None, |begun: Option<u64>, at| match begun {
                Some(begun) if *at < begun + 60_000 => Some(begun),
                _ => Some(*at),
            });
            let within = mine
                .iter()
                .filter(|at| begun.is_some_and(|begun| **at >= begun && now_ms < begun + 60_000))
                .count() as u64;
            prop_assert_eq!(answer.is_ok(), within < keys, "at {} with {:?}", now_ms, mine);
            if answer.is_ok() {
                mine.push(now_ms);
            }
        }
    }

    #[test]
    fn a_call_never_makes_more_changes_than_are_allowed(members in prop::collection::vec(any::<u8>(), 0..9)) {
        let grants = members.iter().map(|member| bourse::ConsentGrant {
            member: Address([*member; 20]),
            delegate: bourse::testing::BUYER,
            delegate_type: bourse::DelegateType::Both,
            granted: true,
            ..bourse::ConsentGrant::default()
        });
        let request = ConsentRequest {
            action: Action::Buy,
            buyer_grants: grants.collect(),
            ..consent_request(Params { per: Per::Member, ..Params::default() })
        };
        let host = MockHost::default();
        let _ = Quota::authorize(&request, &host);
        prop_assert!(host.changes().len() <= bourse::MAX_CHANGES);
    }
}
