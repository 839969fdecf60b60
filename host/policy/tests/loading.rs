//! From a file to a revision.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at its first surprise"
)]

mod support;

use bourse_policy::testing::Guest;
use bourse_policy::{Engine, EngineOptions, Grants, Hook, Limits, NoImports, load_folder};
use support::{engine, load, offer, request};

#[test]
fn a_revision_says_what_it_is() {
    let bytes = Guest::named("plain")
        .version("2.1")
        .texts("Plain.", "{\"type\":\"object\"}")
        .build();
    let revision = load("plain", &bytes);
    assert_eq!(revision.name(), "plain");
    assert_eq!(revision.size(), bytes.len());
    assert_eq!(revision.hooks(), [Hook::Pricing]);
    assert!(revision.has_pricing() && !revision.has(Hook::Offers));
    assert!(revision.imports().is_empty());
    let description = revision.description();
    assert_eq!(
        (description.version.as_str(), description.summary.as_str()),
        ("2.1", "Plain.")
    );
    assert_eq!(description.params_schema, "{\"type\":\"object\"}");
    assert_eq!(revision.id(), load("plain", &bytes).id());
    assert_ne!(
        revision.id(),
        load("plain", &Guest::named("plain").version("2.2").build()).id()
    );
}

#[test]
fn long_texts_of_a_description_are_cut() {
    let bytes = Guest::named("plain")
        .texts(&"é".repeat(1000), &"x".repeat(40_000))
        .build();
    let revision = load("plain", &bytes);
    assert_eq!(revision.description().summary.len(), 1024);
    assert_eq!(revision.description().params_schema.len(), 16 << 10);
}

#[test]
fn a_name_is_a_plain_word() {
    let bytes = Guest::named("plain").build();
    for name in ["", "Plain", "a b", "../plain", "é", &"x".repeat(65)] {
        assert_eq!(engine().load(name, &bytes).unwrap_err().code(), "name", "{name}");
    }
}

#[test]
fn the_size_limit_is_the_engines() {
    let engine = Engine::new(EngineOptions {
        component: 100,
        ..EngineOptions::default()
    })
    .unwrap();
    let error = engine.load("plain", &Guest::named("plain").build()).unwrap_err();
    assert_eq!(error.code(), "too_large");
}

#[test]
fn a_hook_of_the_wrong_type_is_refused() {
    // A `pricing` that looks right by name and takes nothing at all.
    let text = r#"(component
        (core module $m
          (memory (export "m") 1)
          (func (export "f") (result i32) (i32.const 0)))
        (core instance $i (instantiate $m))
        (func $quote (result u32) (canon lift (core func $i "f")))
        (func $describe (result string) (canon lift (core func $i "f") (memory (core memory $i "m"))))
        (instance $pricing (export "quote" (func $quote)))
        (instance $describing (export "describe" (func $describe)))
        (export "bourse:policy/pricing@1.0.0" (instance $pricing))
        (export "bourse:policy/describe@1.0.0" (instance $describing)))"#;
    let error = engine().load("odd", &wat::parse_str(text).unwrap()).unwrap_err();
    assert_eq!(error.code(), "wrong_type", "{error}");
}

#[test]
fn an_import_of_the_wrong_type_is_refused() {
    let text = r#"(component
        (import "bourse:policy/market@1.0.0" (instance (export "demand" (func (param "s" string)))))
        (core module $m
          (memory (export "m") 1)
          (func (export "f") (result i32) (i32.const 0)))
        (core instance $i (instantiate $m))
        (func $quote (result u32) (canon lift (core func $i "f")))
        (func $describe (result string) (canon lift (core func $i "f") (memory (core memory $i "m"))))
        (instance $pricing (export "quote" (func $quote)))
        (instance $describing (export "describe" (func $describe)))
        (export "bourse:policy/pricing@1.0.0" (instance $pricing))
        (export "bourse:policy/describe@1.0.0" (instance $describing)))"#;
    let error = engine().load("odd", &wat::parse_str(text).unwrap()).unwrap_err();
    assert_eq!(error.code(), "wrong_type", "{error}");
    assert!(error.to_string().contains("market"), "{error}");
}

#[test]
fn a_bad_file_of_a_folder_does_not_keep_the_others_from_loading() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    write("alpha.wasm", &Guest::named("alpha").build());
    write("beta.wasm", b"garbage");
    write("gamma.wasm", &Guest::named("delta").build());
    write("huge.wasm", &vec![0; 3 << 20]);
    write("omega.wasm", &Guest::named("omega").build());
    write("readme.txt", b"not a policy");
    std::fs::create_dir(dir.path().join("nested.wasm")).unwrap();

    let loaded: Vec<(String, Result<String, &'static str>)> = load_folder(engine(), dir.path())
        .into_iter()
        .map(|(path, result)| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (
                name,
                result
                    .map(|revision| revision.name().to_owned())
                    .map_err(|error| error.code()),
            )
        })
        .collect();
    let expected: [(&str, Result<&str, &str>); 6] = [
        ("alpha.wasm", Ok("alpha")),
        ("beta.wasm", Err("not_wasm")),
        ("gamma.wasm", Err("name_mismatch")),
        ("huge.wasm", Err("too_large")),
        ("nested.wasm", Err("read")),
        ("omega.wasm", Ok("omega")),
    ];
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(name, result)| (name.to_owned(), result.map(str::to_owned)))
        .collect();
    assert_eq!(loaded, expected);
}

#[test]
fn a_folder_that_is_not_there_is_one_error_under_its_path() {
    let dir = std::path::Path::new("/nonexistent/policies");
    let mut loaded = load_folder(engine(), dir);
    let (path, result) = loaded.pop().unwrap();
    assert!(loaded.is_empty());
    assert_eq!(path, dir);
    assert!(result.unwrap_err().to_string().contains("/nonexistent/policies"));
}

#[test]
fn a_revision_outlives_the_engine_it_was_loaded_with_and_keeps_its_deadline() {
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let bytes = Guest::named("loop")
        .quote("(loop $on (br $on)) unreachable")
        .build();
    let revision = engine.load("loop", &bytes).unwrap();
    drop(engine);
    let limits = Limits {
        fuel: u64::MAX,
        ..Limits::default()
    };
    let decision = revision.price(&request(&offer()), &NoImports, Grants::NONE, &limits);
    assert_eq!(decision.record.outcome, "deadline");
}

#[test]
fn a_component_may_export_every_hook_as_the_package_defines_them() {
    let export = |name: &str, params: &str| {
        format!("(func (export \"bourse:policy/{name}\") (param {params}) (result i32) unreachable)")
    };
    let items = [
        export("pricing@1.0.0#quote", "i32"),
        export("offers@1.0.0#admit", "i32"),
        export(
            "offers@1.0.0#filter",
            "i64 i64 i64 i32 i32 i64 i64 i32 i32 i32 i32 i32 i32 i32",
        ),
        export("consent@1.0.0#authorize", "i32"),
    ];
    let bytes = Guest::named("whole")
        .world("{ include bourse:policy/full-policy@1.0.0; }")
        .items(&items.concat())
        .build();
    let revision = load("whole", &bytes);
    assert_eq!(revision.hooks(), Hook::ALL);
}

#[test]
fn a_policy_without_pricing_loads_and_cannot_be_asked_for_a_price() {
    let items =
        "(func (export \"bourse:policy/consent@1.0.0#authorize\") (param i32) (result i32) unreachable)";
    let bytes = Guest::named("porter")
        .world("{ include bourse:policy/consent-policy@1.0.0; }")
        .items(items)
        .build();
    let revision = load("porter", &bytes);
    assert_eq!(revision.hooks(), [Hook::Consent]);
    let decision = revision.price(&request(&offer()), &NoImports, Grants::NONE, &Limits::default());
    assert_eq!(decision.record.outcome, "missing_hook");
}
