//! `quota` for buyers who come again and again, and for members with several delegates.

use super::*;
use bourse::testing::{BUYER, MockHost, NOW, NoHost, consent_request};
use bourse::{ApiId, ConsentGrant, DelegateType};
use std::time::Duration;
use tally::testing::post;

const MEMBER: Address = Address([0x66; 20]);

fn two() -> Params {
    Params {
        keys: 2,
        period_ms: 60_000,
        ..Params::default()
    }
}

fn asked(action: Action, ms: u64, params: &Params) -> ConsentRequest<Params> {
    ConsentRequest {
        action,
        now: NOW.after(Duration::from_millis(ms)),
        ..consent_request(params.clone())
    }
}

fn buy(host: &mut MockHost, request: &ConsentRequest<Params>) -> Result<(), String> {
    let answer = Quota::authorize(request, host).map_err(|refusal| refusal.code.into_owned());
    match answer {
        Ok(()) => host.post(),
        Err(_) => host.forget(),
    }
    answer
}

fn grant(member: Address, delegate: Address) -> ConsentGrant {
    ConsentGrant {
        member,
        delegate,
        delegate_type: DelegateType::Consumer,
        granted: true,
        ..ConsentGrant::default()
    }
}

#[test]
fn a_buyer_gets_its_keys_and_then_none_until_the_next_period() {
    let mut host = MockHost::default();
    let answers = [0, 1, 2, 59_999, 60_000, 60_001, 60_002].map(|ms| {
        let answer = buy(&mut host, &asked(Action::Buy, ms, &two()));
        answer.is_ok()
    });
    assert_eq!(answers, [true, true, false, false, true, true, false]);
}

#[test]
fn a_quote_is_refused_when_nothing_is_left_and_counts_nothing() {
    let mut host = MockHost::default();
    for _ in 0..9 {
        assert_eq!(buy(&mut host, &asked(Action::Quote, 0, &two())), Ok(()));
    }
    for _ in 0..2 {
        assert_eq!(buy(&mut host, &asked(Action::Buy, 0, &two())), Ok(()));
    }
    let refusal = Quota::authorize(&asked(Action::Quote, 1_500, &two()), &host).unwrap_err();
    assert_eq!(refusal.code, "quota_used_up");
    assert_eq!(
        refusal.text,
        "all 2 keys of this period are bought: the next one begins in 59 s"
    );
}

#[test]
fn placing_and_listing_are_never_counted_or_refused() {
    for action in [Action::Place, Action::Query] {
        Quota::authorize(&asked(action, 0, &two()), &NoHost).unwrap();
    }
    let listing = ConsentRequest {
        offer: None,
        ..asked(Action::Query, 0, &two())
    };
    Quota::authorize(&listing, &NoHost).unwrap();
}

#[test]
fn a_purchase_that_is_not_posted_is_not_counted() {
    let mut host = MockHost::default();
    for _ in 0..9 {
        Quota::authorize(&asked(Action::Buy, 0, &two()), &host).unwrap();
        host.forget();
    }
}

#[test]
fn purchases_that_overlap_all_count_even_beyond_the_quota() {
    let mut host = MockHost::default();
    let calls = [0, 1, 2].map(|ms| {
        let call = host.clone();
        Quota::authorize(&asked(Action::Buy, ms, &two()), &call).unwrap();
        call
    });
    for call in calls.iter().rev() {
        post(&mut host, call);
    }
    assert_eq!(
        buy(&mut host, &asked(Action::Buy, 3, &two())),
        Err("quota_used_up".to_owned())
    );
}

#[test]
fn the_scope_says_which_purchases_count_together() {
    for (scope, other_seller, other_api) in [
        (Scope::Market, false, false),
        (Scope::Seller, true, false),
        (Scope::Api, false, true),
    ] {
        let params = Params { scope, ..two() };
        let mut host = MockHost::default();
        for _ in 0..2 {
            buy(&mut host, &asked(Action::Buy, 0, &params)).unwrap();
        }
        let mut elsewhere = asked(Action::Buy, 1, &params);
        elsewhere.offer.as_mut().unwrap().seller = Address([0x99; 20]);
        assert_eq!(buy(&mut host, &elsewhere).is_ok(), other_seller, "{scope:?}");
        let mut about_other = asked(Action::Buy, 1, &params);
        about_other.offer.as_mut().unwrap().api = ApiId([0x99; 16]);
        assert_eq!(buy(&mut host, &about_other).is_ok(), other_api, "{scope:?}");
    }
}

#[test]
fn all_delegates_of_a_member_share_its_quota() {
    let params = Params {
        per: Per::Member,
        ..two()
    };
    let by = |delegate: Address| ConsentRequest {
        buyer: Some(delegate),
        buyer_grants: vec![grant(MEMBER, delegate)],
        ..asked(Action::Buy, 0, &params)
    };
    let mut host = MockHost::default();
    buy(&mut host, &by(BUYER)).unwrap();
    buy(&mut host, &by(Address([0x57; 20]))).unwrap();
    assert_eq!(
        buy(&mut host, &by(Address([0x58; 20]))),
        Err("quota_used_up".to_owned())
    );
}

#[test]
fn a_delegate_of_several_members_uses_up_what_each_of_them_has() {
    let params = Params {
        per: Per::Member,
        ..two()
    };
    let of = |members: &[u8]| ConsentRequest {
        buyer_grants: members
            .iter()
            .map(|member| grant(Address([*member; 20]), BUYER))
            .collect(),
        ..asked(Action::Buy, 0, &params)
    };
    let mut host = MockHost::default();
    for _ in 0..2 {
        buy(&mut host, &of(&[1, 2, 3, 4])).unwrap();
    }
    assert_eq!(buy(&mut host, &of(&[3])), Err("quota_used_up".to_owned()));
    assert_eq!(buy(&mut host, &of(&[5])), Ok(()));
    assert_eq!(
        buy(&mut host, &of(&[1, 2, 3, 4, 5])),
        Err("too_many_members".to_owned())
    );
}

#[test]
fn consents_that_are_withdrawn_to_sell_or_of_another_name_no_member() {
    let params = Params {
        per: Per::Member,
        ..two()
    };
    let useless = [
        ConsentGrant {
            granted: false,
            ..grant(MEMBER, BUYER)
        },
        ConsentGrant {
            delegate_type: DelegateType::Provider,
            ..grant(MEMBER, BUYER)
        },
        grant(MEMBER, Address([0x57; 20])),
    ];
    let request = ConsentRequest {
        buyer_grants: useless.to_vec(),
        ..asked(Action::Buy, 0, &params)
    };
    assert_eq!(
        buy(&mut MockHost::default(), &request),
        Err("member_unknown".to_owned())
    );
}

#[test]
fn an_unknown_buyer_may_ask_for_a_price_and_never_buys() {
    let unknown = |action| ConsentRequest {
        buyer: None,
        ..asked(action, 0, &two())
    };
    Quota::authorize(&unknown(Action::Quote), &NoHost).unwrap();
    let refusal = Quota::authorize(&unknown(Action::Buy), &NoHost).unwrap_err();
    assert_eq!(refusal.code, "buyer_unknown");
}

#[test]
fn a_state_without_room_refuses_new_buyers() {
    let params = Params {
        max_buyers: 1,
        ..two()
    };
    let mut host = MockHost::default();
    buy(&mut host, &asked(Action::Buy, 0, &params)).unwrap();
    let late = ConsentRequest {
        buyer: Some(Address([0x57; 20])),
        ..asked(Action::Buy, 0, &params)
    };
    assert_eq!(buy(&mut host, &late), Err("full".to_owned()));
    assert_eq!(buy(&mut host, &asked(Action::Buy, 0, &params)), Ok(()));
}

#[test]
fn senseless_parameters_are_refused_by_name() {
    trial::refused_by_name(
        &[
            (r#"{"keys":0}"#, "keys is 0"),
            (r#"{"period_ms":0}"#, "period_ms is 0"),
            (r#"{"max_buyers":0}"#, "max_buyers is 0"),
            (r#"{"scope":"key"}"#, "key"),
            (r#"{"per":"person"}"#, "person"),
            (r#"{"key":1}"#, "key"),
        ],
        |params| bourse::authorize::<Quota>(consent_request(params.to_owned()), &NoHost),
    );
}

#[test]
fn the_schema_names_every_parameter_with_its_default() {
    trial::described_with_defaults::<Params>(5);
}
