//! One way to build a project, whatever its language.

use crate::error::BuildError;
use crate::language::Language;
use crate::toolchain::Toolchain;
use std::path::{Path, PathBuf};

/// What a build is about to do. The first three happen once on a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Downloads the pinned compiler.
    Download {
        /// The folder it goes to.
        folder: PathBuf,
    },
    /// Unpacks the pinned compiler.
    Unpack,
    /// Builds the standard library with the pinned compiler.
    BuildStd,
    /// Fetches what the project depends on.
    Fetch,
    /// Compiles the project. From here on its compiler writes to standard error.
    Compile {
        /// The policy's name.
        name: String,
        /// Its language.
        language: Language,
    },
}

/// How to build.
pub struct Builder {
    pub(crate) cache: PathBuf,
    pub(crate) checkout: Option<PathBuf>,
    pub(crate) locked: bool,
    pub(crate) quiet: bool,
    pub(crate) names: bool,
    pub(crate) tell: Box<dyn Fn(&Step) + Send + Sync>,
}

/// A component, built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The policy's name.
    pub name: String,
    /// The language it was written in.
    pub language: Language,
    /// The component.
    pub component: Vec<u8>,
}

/// What a folder says it is, before anything is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The policy's name.
    pub name: String,
    /// The language it is written in.
    pub language: Language,
}

impl Project {
    /// The project in `folder`.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoProject`] if there is none, [`BuildError::Manifest`] if it has no name.
    pub fn of(folder: &Path) -> Result<Self, BuildError> {
        let language = Language::of(folder)?;
        let name = match language {
            Language::Rust => crate::rust::name(folder)?,
            Language::AssemblyScript | Language::JavaScript => crate::npm::name(folder)?,
            Language::C => crate::c::name(folder)?,
        };
        Ok(Self { name, language })
    }
}

impl Builder {
    /// A builder that keeps compilers in `cache`, which it creates.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            cache: cache.into(),
            checkout: None,
            locked: false,
            quiet: true,
            names: false,
            tell: Box::new(|_| {}),
        }
    }

    /// Where Bourse's own sources lie, if policies are built from there: components then hold no path of it.
    #[must_use]
    pub fn checkout(mut self, root: impl Into<PathBuf>) -> Self {
        self.checkout = Some(root.into());
        self
    }

    /// Whether a project's lock file must already fit its manifest, so that the same bytes come out everywhere. A
    /// project without lock file is built all the same.
    #[must_use]
    pub fn locked(mut self, locked: bool) -> Self {
        self.locked = locked;
        self
    }

    /// Whether compilers print nothing but warnings and errors, as they do by default.
    #[must_use]
    pub fn quiet(mut self, quiet: bool) -> Self {
        self.quiet = quiet;
        self
    }

    /// Whether functions keep their names, for a profile: the same code, but larger and under another hash. JavaScript
    /// has no functions of its own that a profile could name.
    #[must_use]
    pub fn names(mut self, names: bool) -> Self {
        self.names = names;
        self
    }

    /// Whom to tell of each step.
    #[must_use]
    pub fn tell(mut self, listener: impl Fn(&Step) + Send + Sync + 'static) -> Self {
        self.tell = Box::new(listener);
        self
    }

    /// The pinned compiler, unpacked if it was not.
    ///
    /// # Errors
    ///
    /// [`BuildError::Unobtainable`] where its packages cannot be had; any other error if they do not give a compiler.
    pub fn pinned(&self) -> Result<Toolchain, BuildError> {
        Toolchain::pinned(&self.cache, &self.tell)
    }

    /// Rustup's compiler where it has the target for the project in `folder`, else the pinned one.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoTarget`] if neither can be had, [`BuildError::Missing`] without any Rust.
    pub fn toolchain(&self, folder: &Path) -> Result<Toolchain, BuildError> {
        if let Some(toolchain) = Toolchain::installed(folder)? {
            return Ok(toolchain);
        }
        self.pinned().map_err(|error| match error {
            BuildError::Unobtainable { reason } => BuildError::NoTarget { reason },
            other => other,
        })
    }

    /// Builds the project in `folder`.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if there is no project, no compiler, or the compiler fails.
    pub fn build(&self, folder: &Path) -> Result<Built, BuildError> {
        let folder = folder
            .canonicalize()
            .map_err(|source| BuildError::io(format!("find the folder {}", folder.display()), source))?;
        let Project { name, language } = Project::of(&folder)?;
        let component = match language {
            Language::Rust => {
                let toolchain = self.toolchain(&folder)?;
                self.rust(&toolchain, &folder, &name)?
            }
            Language::AssemblyScript => self.assemblyscript(&folder, &name)?,
            Language::C => self.c(&folder, &name)?,
            Language::JavaScript => self.javascript(&folder, &name)?,
        };
        Ok(Built {
            name,
            language,
            component,
        })
    }
}
