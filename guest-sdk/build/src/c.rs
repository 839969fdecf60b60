//! Policies in C: clang, no C library, and the header `bourse.h` in the project.

use crate::builder::{Builder, Step};
use crate::command::run;
use crate::error::BuildError;
use crate::language::Language;
use crate::toolchain::Clang;
use crate::{handmade, npm};
use std::fs;
use std::path::Path;

/// The source of the project.
const SOURCE: &str = "policy.c";

/// What says the policy's name in the source.
const NAME: &str = "#define POLICY_NAME ";

/// Bytes of a guest's stack: the host clears them before each call.
const STACK: usize = 16 * 1024;

/// The policy's name, which `policy.c` defines.
///
/// # Errors
///
/// [`BuildError::Manifest`] if it does not.
pub(crate) fn name(folder: &Path) -> Result<String, BuildError> {
    let path = folder.join(SOURCE);
    let text = fs::read_to_string(&path)
        .map_err(|source| BuildError::io(format!("read {}", path.display()), source))?;
    let name = text.lines().find_map(|line| {
        let quoted = line.strip_prefix(NAME)?.trim();
        quoted.strip_prefix('"')?.strip_suffix('"')
    });
    name.map(str::to_owned).ok_or_else(|| BuildError::Manifest {
        path,
        reason: format!("it has no line `{NAME}\"...\"`"),
    })
}

impl Builder {
    /// Compiles the project `name` in `folder`, and makes the module a component.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if there is no compiler, the code does not compile, or is not a policy's.
    pub(crate) fn c(&self, folder: &Path, name: &str) -> Result<Vec<u8>, BuildError> {
        let clang = Clang::find(&self.cache, &self.tell)?;
        (self.tell)(&Step::Compile {
            name: name.to_owned(),
            language: Language::C,
        });
        let module = npm::output(folder)?.join(format!("{name}.core.wasm"));
        let mut command = clang.command();
        command.current_dir(folder);
        command.args(["-std=c11", "-Wall", "-Wextra", "-Os"]);
        // The stack at the front, so that an overflow traps instead of reaching the statics.
        let strip = if self.names {
            "--strip-debug"
        } else {
            "--strip-all"
        };
        for option in ["--no-entry", strip, "--stack-first", "--fatal-warnings"] {
            command.arg(format!("-Wl,{option}"));
        }
        command.arg(format!("-Wl,-z,stack-size={STACK}"));
        run(
            command.arg("-o").arg(&module).arg(SOURCE),
            ": the compiler's messages are above",
        )?;
        let bytes = fs::read(&module)
            .map_err(|source| BuildError::io(format!("read {}", module.display()), source))?;
        handmade::componentize(&module, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_says_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| fs::write(folder.path().join(SOURCE), text).unwrap();
        write("#include \"bourse.h\"\n#define POLICY_NAME \"ladder\"\n");
        assert_eq!(name(folder.path()).unwrap(), "ladder");
        write("int x;\n");
        let error = name(folder.path()).unwrap_err().to_string();
        assert!(
            error.ends_with("policy.c: it has no line `#define POLICY_NAME \"...\"`"),
            "{error}"
        );
    }
}
