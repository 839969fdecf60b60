//! Modules whose ABI was written by hand, or by no tool of the component model: what is missing to make them components.

use crate::component::encode;
use crate::error::BuildError;
use std::path::Path;
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{ExportKind, ExportSection};
use wasmparser::{ExternalKind, Parser, Payload};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The package that policies are written against.
pub(crate) const WIT: &str = include_str!("../../wit/policy.wit");

/// Every function that a policy may export: its interface, and its name in the interface.
const FUNCTIONS: [(&str, &str); 5] = [
    ("describe", "describe"),
    ("pricing", "quote"),
    ("offers", "admit"),
    ("offers", "filter"),
    ("consent", "authorize"),
];

/// What a language that cannot write the name `cabi_post_...#quote` calls it: `quote_done`.
const AFTER: &str = "_done";

/// Says in the core module `bytes` which world of the package it implements, judging by its exports, and makes it a
/// component. `path` is its name in errors.
///
/// # Errors
///
/// [`BuildError::NoComponent`] if it is damaged, or does not implement a world.
pub(crate) fn componentize(path: &Path, bytes: &[u8]) -> Result<Vec<u8>, BuildError> {
    let wrong = |reason: String| BuildError::NoComponent {
        path: path.to_path_buf(),
        reason,
    };
    let exports = exports(bytes).map_err(|error| wrong(error.to_string()))?;
    let world = world(&exports).map_err(wrong)?;
    let mut resolve = Resolve::default();
    let package = resolve
        .push_source("policy.wit", WIT)
        .map_err(|error| wrong(format!("{error:#}")))?;
    let world = resolve
        .select_world(&[package], Some(&world))
        .map_err(|error| wrong(format!("{error:#}")))?;
    let mut module = bytes.to_vec();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
        .map_err(|error| wrong(format!("{error:#}")))?;
    encode(&module).map_err(wrong)
}

/// Gives the exports `describe`, `quote`, `quote_done` and so on of a core module the names that they have in a
/// component. Others stay as they are.
///
/// # Errors
///
/// [`BuildError::NoComponent`] if the module is damaged.
pub(crate) fn rename(path: &Path, bytes: &[u8]) -> Result<Vec<u8>, BuildError> {
    let mut module = wasm_encoder::Module::new();
    Renaming
        .parse_core_module(&mut module, Parser::new(0), bytes)
        .map_err(|error| BuildError::NoComponent {
            path: path.to_path_buf(),
            reason: error.to_string(),
        })?;
    Ok(module.finish())
}

/// Copies a module but for the names of its exports.
struct Renaming;

impl Reencode for Renaming {
    type Error = std::convert::Infallible;

    fn parse_export(
        &mut self,
        exports: &mut ExportSection,
        export: wasmparser::Export<'_>,
    ) -> Result<(), reencode::Error> {
        let kind: ExportKind = self.export_kind(export.kind)?;
        let index = self.external_index(export.kind, export.index)?;
        let name = match export.kind {
            ExternalKind::Func => full_name(export.name),
            _ => None,
        };
        exports.export(name.as_deref().unwrap_or(export.name), kind, index);
        Ok(())
    }
}

/// `bourse:policy/pricing@1.0.0#quote` for `quote`; none for what is no function of a policy.
fn full_name(name: &str) -> Option<String> {
    let (prefix, name) = match name.strip_suffix(AFTER) {
        Some(name) => ("cabi_post_", name),
        None => ("", name),
    };
    let (interface, function) = FUNCTIONS.iter().find(|(_, function)| *function == name)?;
    Some(format!("{prefix}bourse:policy/{interface}@1.0.0#{function}"))
}

/// The names of a core module's exported functions.
fn exports(bytes: &[u8]) -> wasmparser::Result<Vec<String>> {
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::ExportSection(section) = payload? {
            for export in section {
                names.push(export?.name.to_owned());
            }
        }
    }
    Ok(names)
}

/// The world with the hooks that the exports are of.
fn world(exports: &[String]) -> Result<String, String> {
    let hooks: Vec<&str> = ["pricing", "offers", "consent"]
        .into_iter()
        .filter(|hook| {
            let start = format!("bourse:policy/{hook}@1.0.0#");
            exports.iter().any(|export| export.starts_with(&start))
        })
        .collect();
    match hooks.as_slice() {
        [] => Err(
            "it exports no function of a hook: expected bourse:policy/pricing@1.0.0#quote or another"
                .to_owned(),
        ),
        [_, _, _] => Ok("full-policy".to_owned()),
        some => Ok(format!("{}-policy", some.join("-"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A policy of one hook, as a compiler leaves it that knows no other names.
    fn module(hook: &str) -> Vec<u8> {
        wat::parse_str(format!(
            r#"(module
              (memory (export "memory") 1)
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
              (func (export "describe") (result i32) (i32.const 0))
              {hook})"#
        ))
        .unwrap()
    }

    fn build(module: &[u8]) -> Result<Vec<u8>, String> {
        let path = Path::new("ladder.core.wasm");
        rename(path, module)
            .and_then(|renamed| componentize(path, &renamed))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_module_becomes_a_component_of_what_its_exports_say() {
        const COMPONENT: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];
        let quote = r#"(func (export "quote") (param i32) (result i32) (i32.const 0))
                       (func (export "quote_done") (param i32))"#;
        let component = build(&module(quote)).unwrap();
        assert!(component.starts_with(&COMPONENT));
        let hook = b"bourse:policy/pricing@1.0.0";
        assert!(component.windows(hook.len()).any(|bytes| bytes == hook));
    }

    #[test]
    fn what_keeps_a_module_from_being_a_policy_is_said() {
        let nothing = build(&module("")).unwrap_err();
        assert!(
            nothing.starts_with("ladder.core.wasm is no component: it exports no function of a hook"),
            "{nothing}"
        );
        let wrong = build(&module(r#"(func (export "quote") (param i64))"#)).unwrap_err();
        assert!(wrong.contains("quote"), "{wrong}");
        assert!(build(b"no module").unwrap_err().contains("is no component"));
    }

    #[test]
    fn plain_names_become_those_of_the_package_and_others_stay() {
        let check = |name: &str, expected: Option<&str>| assert_eq!(full_name(name).as_deref(), expected);
        check("quote", Some("bourse:policy/pricing@1.0.0#quote"));
        check("quote_done", Some("cabi_post_bourse:policy/pricing@1.0.0#quote"));
        check("authorize", Some("bourse:policy/consent@1.0.0#authorize"));
        check("describe", Some("bourse:policy/describe@1.0.0#describe"));
        check("cabi_realloc", None);
        check("memory", None);
    }

    #[test]
    fn the_world_is_that_of_the_exported_hooks() {
        let check = |hooks: &[&str]| {
            let exports: Vec<String> = hooks
                .iter()
                .map(|hook| format!("bourse:policy/{hook}@1.0.0#f"))
                .collect();
            world(&exports)
        };
        assert_eq!(check(&["describe", "pricing"]).unwrap(), "pricing-policy");
        assert_eq!(check(&["consent", "offers"]).unwrap(), "offers-consent-policy");
        assert_eq!(check(&["consent", "offers", "pricing"]).unwrap(), "full-policy");
        assert!(
            check(&["describe"])
                .unwrap_err()
                .contains("no function of a hook")
        );
    }
}
