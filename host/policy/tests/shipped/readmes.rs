//! The rules in the READMEs of the shipped policies: they are for copying, so they must work.

use super::support::{Scripted, admit_request, batch, consent_request, filter_request};
use super::{SHIPPED, dynamic, granted, wide};
use bourse_policy::{AdmitRequest, ConsentRequest, Declined, FilterRequest, Hook, Limits, PriceRequest};
use std::path::Path;

/// The text of the README's first block of TOML.
fn rule(name: &str) -> toml::Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../policies")
        .join(name)
        .join("README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (_, block) = text.split_once("```toml\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let document: toml::Table = block.parse().unwrap();
    let [rule] = document["policies"]["rule"].as_array().unwrap().as_slice() else {
        panic!("{name}: expected one rule");
    };
    rule.as_table().unwrap().clone()
}

#[test]
fn the_rule_of_each_readme_is_about_its_policy_and_works() {
    for revision in SHIPPED.iter() {
        let name = revision.name();
        let rule = rule(name);
        assert_eq!(rule["policy"].as_str(), Some(name));
        let words: Vec<&str> = match rule.get("grants") {
            Some(grants) => grants
                .as_array()
                .unwrap()
                .iter()
                .filter_map(toml::Value::as_str)
                .collect(),
            None => Vec::new(),
        };
        let needed: Vec<&str> = revision.imports().iter().map(|import| import.as_str()).collect();
        assert_eq!(words, needed, "{name}");

        let params = serde_json::to_string(&rule["params"]).unwrap();
        let params = params.as_str();
        let (offer, imports, grants) = (dynamic(), Scripted::default(), granted(revision));
        let limits = Limits::for_batch(1);
        let [hook] = revision.hooks() else {
            panic!("{name}: expected one hook");
        };
        assert_eq!(rule["hook"].as_str(), Some(hook.to_string().as_str()), "{name}");
        let declined: Vec<Option<Declined>> = match hook {
            Hook::Pricing => {
                let request = PriceRequest {
                    params,
                    ..wide(&offer, 1_000_000)
                };
                vec![revision.price(&request, &imports, grants, &limits).outcome.err()]
            }
            Hook::Offers => {
                let admit = AdmitRequest {
                    params,
                    ..admit_request(&offer)
                };
                let batch = batch(std::slice::from_ref(&offer));
                let filter = FilterRequest {
                    params,
                    ..filter_request(&batch)
                };
                vec![
                    revision.admit(&admit, &imports, grants, &limits).outcome.err(),
                    revision.filter(&filter, &imports, grants, &limits).outcome.err(),
                ]
            }
            Hook::Consent => {
                let request = ConsentRequest {
                    params,
                    ..consent_request(Some(&offer), &[])
                };
                vec![
                    revision
                        .authorize(&request, &imports, grants, &limits)
                        .outcome
                        .err(),
                ]
            }
        };
        for declined in declined.into_iter().flatten() {
            match declined {
                Declined::Refused { code, text } => assert_ne!(code, "bad_params", "{name}: {text}"),
                Declined::Failed(failure) => panic!("{name}: {failure}"),
            }
        }
    }
}
