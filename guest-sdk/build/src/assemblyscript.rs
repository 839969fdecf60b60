//! Policies in AssemblyScript: `asc` from npm, and the names that the language cannot write.

use crate::builder::{Builder, Step};
use crate::command::run;
use crate::error::BuildError;
use crate::language::Language;
use crate::{handmade, npm};
use std::fs;
use std::path::Path;
use std::process::Command;

impl Builder {
    /// Compiles the project `name` in `folder` with its own `asc` and `asconfig.json`, and makes the module a
    /// component.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if the compiler cannot be had, the code does not compile, or is not a policy's.
    pub(crate) fn assemblyscript(&self, folder: &Path, name: &str) -> Result<Vec<u8>, BuildError> {
        let compiler = self.npm_package(folder, "assemblyscript")?.join("bin/asc.js");
        (self.tell)(&Step::Compile {
            name: name.to_owned(),
            language: Language::AssemblyScript,
        });
        let module = npm::output(folder)?.join(format!("{name}.core.wasm"));
        let mut asc = Command::new("node");
        asc.current_dir(folder).arg(compiler);
        asc.args(["--config", "asconfig.json", "--outFile"])
            .arg(&module)
            .stdout(std::io::stderr());
        if self.names {
            asc.arg("--debug");
        }
        run(&mut asc, ": the compiler's messages are above")?;
        let bytes = fs::read(&module)
            .map_err(|source| BuildError::io(format!("read {}", module.display()), source))?;
        handmade::componentize(&module, &handmade::rename(&module, &bytes)?)
    }
}
