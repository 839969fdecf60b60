//! Policies in JavaScript: the engine of a browser in a component, with the script in its memory.

use crate::builder::{Builder, Step};
use crate::command::run;
use crate::error::BuildError;
use crate::handmade::WIT;
use crate::language::Language;
use crate::npm;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The package that makes the component.
const COMPILER: &str = "@bytecodealliance/componentize-js";

/// The script of the project.
const SCRIPT: &str = "policy.js";

/// Calls the package. Everything that would need WASI is off: a policy has no clock, no randomness and no output.
const CALL: &str = include_str!("../scripts/componentize.mjs");

impl Builder {
    /// Puts the script of the project `name` in `folder` into an engine.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if the package cannot be had, or the script is not a policy's.
    pub(crate) fn javascript(&self, folder: &Path, name: &str) -> Result<Vec<u8>, BuildError> {
        self.npm_package(folder, COMPILER)?;
        (self.tell)(&Step::Compile {
            name: name.to_owned(),
            language: Language::JavaScript,
        });
        let source = folder.join(SCRIPT);
        let script = fs::read_to_string(&source)
            .map_err(|error| BuildError::io(format!("read {}", source.display()), error))?;
        let output = npm::output(folder)?;
        let write = |name: &str, text: &str| {
            let path = output.join(name);
            fs::write(&path, text)
                .map(|()| path.clone())
                .map_err(|error| BuildError::io(format!("write {}", path.display()), error))
        };
        let wit = write("policy.wit", &format!("{WIT}\n{}", world(&script)))?;
        // In the project, so that node finds its packages.
        let call = write("componentize.mjs", CALL)?;
        let component = output.join(format!("{name}.js.wasm"));
        let mut node = Command::new("node");
        node.current_dir(folder)
            .arg(call)
            .arg(&source)
            .arg(wit)
            .arg(&component);
        run(
            node.stdout(std::io::stderr()),
            ": what is wrong with the script is above",
        )?;
        fs::read(&component).map_err(|error| BuildError::io(format!("read {}", component.display()), error))
    }
}

/// A world of exactly what the script imports and exports. The engine would keep imports of a larger one, and a policy
/// that imports what it does not use needs grants that it does not use.
fn world(script: &str) -> String {
    let imports = ["market", "state", "log"]
        .into_iter()
        .filter(|import| script.contains(&format!("bourse:policy/{import}@1.0.0")))
        .map(|import| format!("  import {import};\n"));
    let exports = ["pricing", "offers", "consent"]
        .into_iter()
        .filter(|hook| exports(script, hook))
        .map(|hook| format!("  export {hook};\n"));
    let lines: String = imports.chain(exports).collect();
    format!("/// What the script imports and exports.\nworld script {{\n{lines}  export describe;\n}}\n")
}

/// Whether the script says `export const NAME`, however it is spaced.
fn exports(script: &str, name: &str) -> bool {
    let words: Vec<&str> = script.split_whitespace().collect();
    words
        .windows(3)
        .any(|words| matches!(words, ["export", "const" | "let" | "var", found] if *found == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_world_has_what_the_script_names_and_no_more() {
        let script = "import { demand } from \"bourse:policy/market@1.0.0\";\nexport  const pricing = {};\n\
                      const consent = 1;\nexport const describe = {};";
        assert_eq!(
            world(script),
            "/// What the script imports and exports.\nworld script {\n  import market;\n  export pricing;\n  \
             export describe;\n}\n"
        );
    }
}
