//! From bytes to a [`Revision`]: the check that the host, the command line and the tests all run.
//!
//! In order: name, size, kind of file, compilation, imports, exports, a first call of `describe` under limits, the
//! types of the hooks. Nothing of the component runs before its imports are known to be the package's own.

use crate::cache::CodeCache;
use crate::engine::Engine;
use crate::failure::{Failure, Phase, classify, cut};
use crate::functions::{Admit, Authorize, Describe, Filter, Found, Function, Quote, Typed};
use crate::grants::{Grants, Import};
use crate::guest::{self, run};
use crate::hook::Hook;
use crate::host::{Answers, HostState, Session};
use crate::limits::Limits;
use crate::revision::{Description, Functions, Inner, Revision};
use crate::warm::Pool;
use bourse_market::RevisionId;
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use wasmtime::Store;
use wasmtime::component::{Component, Instance, InstancePre};

/// Bytes of a policy's name.
pub const MAX_NAME: usize = 64;

/// Bytes of a version.
const MAX_VERSION: usize = 64;

/// Bytes of a summary; what is longer is cut.
const MAX_SUMMARY: usize = 1024;

/// Bytes of a parameter schema; what is longer is cut.
const MAX_SCHEMA: usize = 16 << 10;

/// The interface that holds only types. Importing it asks for nothing.
const TYPES: &str = "bourse:policy/types@1.0.0";

/// Why a file is not a policy.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The name cannot name a policy.
    #[error(
        "`{name}` cannot name a policy: 1 to {MAX_NAME} of the characters a-z, 0-9, _ and -, such as surge.wasm"
    )]
    Name {
        /// The file's stem.
        name: String,
    },
    /// The component is too large.
    #[error("the component has {size} bytes or more, the limit is {max}")]
    TooLarge {
        /// Its size, or as much of it as was read.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// Not WebAssembly at all.
    #[error("this is not a WebAssembly file: it starts with {start}, a component with 0061736d0d000100")]
    NotWasm {
        /// Its first bytes in hex.
        start: String,
    },
    /// A core module.
    #[error(
        "this is a core WebAssembly module; a policy is a component for the WIT package bourse:policy@1.0.0. `bourse \
         policy build` makes one"
    )]
    CoreModule,
    /// Damaged, or built with features that the sandbox does not have.
    #[error("the component is damaged or uses what the sandbox does not allow: {reason}")]
    Invalid {
        /// What the compiler says.
        reason: String,
    },
    /// It imports what is not of the package.
    #[error("it imports `{import}`, which no policy may: {hint}")]
    UnknownImport {
        /// The import.
        import: String,
        /// What to do.
        hint: &'static str,
    },
    /// An import or export is not of the type that the package says.
    #[error("`{interface}` is not as bourse:policy@1.0.0 defines it: {reason}")]
    WrongType {
        /// The interface.
        interface: String,
        /// What differs.
        reason: String,
    },
    /// It exports no hook.
    #[error("it exports no hook: expected one of bourse:policy/{{pricing,offers,consent}}@1.0.0")]
    NoHook,
    /// It lacks a function of an interface.
    #[error("it does not export `{function}` of `{interface}`")]
    MissingFunction {
        /// The interface.
        interface: &'static str,
        /// The function.
        function: &'static str,
    },
    /// Its first call failed.
    #[error("the call of `describe` failed: {failure}")]
    Describe {
        /// How.
        failure: Failure,
    },
    /// It says another name than its file.
    #[error(
        "the file is named `{file}`, but the policy describes itself as `{described}`: rename one of them"
    )]
    NameMismatch {
        /// The file's stem.
        file: String,
        /// What `describe` says.
        described: String,
    },
    /// It says no version, or an endless one.
    #[error("its version has {len} bytes: expected 1 to {MAX_VERSION}")]
    Version {
        /// Bytes of what `describe` says.
        len: usize,
    },
}

impl LoadError {
    /// The stable code, for metrics and tests.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "read",
            Self::Name { .. } => "name",
            Self::TooLarge { .. } => "too_large",
            Self::NotWasm { .. } => "not_wasm",
            Self::CoreModule => "core_module",
            Self::Invalid { .. } => "invalid",
            Self::UnknownImport { .. } => "unknown_import",
            Self::WrongType { .. } => "wrong_type",
            Self::NoHook => "no_hook",
            Self::MissingFunction { .. } => "missing_function",
            Self::Describe { .. } => "describe",
            Self::NameMismatch { .. } => "name_mismatch",
            Self::Version { .. } => "version",
        }
    }
}

impl Engine {
    /// Checks and compiles the component of the policy `name`, and asks it to describe itself.
    ///
    /// Takes tens of milliseconds: compile once, call often.
    ///
    /// # Errors
    ///
    /// [`LoadError`] if it is not a policy of that name.
    pub fn load(&self, name: &str, bytes: &[u8]) -> Result<Revision, LoadError> {
        self.load_with(name, bytes, None)
    }

    /// As [`Engine::load`], without compiling what `cache` holds; what it lacks is compiled and added.
    ///
    /// # Errors
    ///
    /// [`LoadError`] if it is not a policy of that name.
    pub fn load_with(
        &self,
        name: &str,
        bytes: &[u8],
        cache: Option<&CodeCache>,
    ) -> Result<Revision, LoadError> {
        check_name(name)?;
        let max = self.options().component;
        if bytes.len() > max {
            return Err(LoadError::TooLarge {
                size: bytes.len(),
                max,
            });
        }
        check_kind(bytes)?;
        let id = RevisionId(Sha256::digest(bytes).into());
        let cached = cache.and_then(|cache| cache.get(self, id, bytes));
        let to_cache = cache.filter(|_| cached.is_none());
        let component = cached.map_or_else(|| self.compile(bytes), Ok)?;
        let imports = imports(self, &component)?;
        let exports = Exports::find(&component)?;
        let pre = self
            .linker()
            .instantiate_pre(&component)
            .map_err(|error| LoadError::WrongType {
                interface: "the imports".to_owned(),
                reason: format!("{error:#}"),
            })?;
        let hooks = exports.hooks.clone();
        let (describes, functions) = check_types(self, &pre, exports)?;
        let description = describe(self, &pre, &describes, name)?;
        if let Some(cache) = to_cache {
            cache.put(id, &component);
        }
        Ok(Revision {
            inner: Arc::new(Inner {
                engine: self.clone(),
                pre,
                functions,
                warm: Pool::default(),
                id,
                size: bytes.len(),
                hooks,
                imports,
                description,
            }),
        })
    }

    /// The one step that a cache of compiled code can stand in for.
    fn compile(&self, bytes: &[u8]) -> Result<Component, LoadError> {
        Component::from_binary(self.wasm(), bytes).map_err(|error| LoadError::Invalid {
            reason: format!("{error:#}"),
        })
    }
}

pub(crate) fn check_name(name: &str) -> Result<(), LoadError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(LoadError::Name {
        name: cut(name.to_owned(), MAX_NAME),
    })
}

fn check_kind(bytes: &[u8]) -> Result<(), LoadError> {
    // Magic, a version, and the layer: 0 for core modules, 1 for components.
    match bytes.first_chunk::<8>() {
        Some([0, b'a', b's', b'm', _, _, 1, 0]) => Ok(()),
        Some([0, b'a', b's', b'm', _, _, 0, 0]) => Err(LoadError::CoreModule),
        _ => {
            let start = bytes.get(..8).unwrap_or(bytes);
            Err(LoadError::NotWasm {
                start: if start.is_empty() {
                    "nothing".to_owned()
                } else {
                    hex::encode(start)
                },
            })
        }
    }
}

/// The imports to be granted; anything that is not of the package is refused.
fn imports(engine: &Engine, component: &Component) -> Result<Vec<Import>, LoadError> {
    let ty = component.component_type();
    let mut found = Vec::new();
    for (name, _) in ty.imports(engine.wasm()) {
        if name == TYPES {
            continue;
        }
        let Some(import) = Import::ALL.into_iter().find(|import| import.interface() == name) else {
            return Err(LoadError::UnknownImport {
                import: name.to_owned(),
                hint: hint(name),
            });
        };
        found.push(import);
    }
    found.sort_unstable();
    Ok(found)
}

fn hint(import: &str) -> &'static str {
    if import.starts_with("wasi:") {
        "policies have no WASI: no clock, no randomness, no files. Build for wasm32-unknown-unknown"
    } else {
        "the imports of bourse:policy@1.0.0 are market, state and log"
    }
}

/// The functions that a component exports.
struct Exports {
    describe: Found<Describe>,
    quote: Option<Found<Quote>>,
    admit: Option<Found<Admit>>,
    filter: Option<Found<Filter>>,
    authorize: Option<Found<Authorize>>,
    hooks: Vec<Hook>,
}

impl Exports {
    fn find(component: &Component) -> Result<Self, LoadError> {
        let describe = Found::find(component)?;
        let hooks: Vec<Hook> = Hook::ALL
            .into_iter()
            .filter(|hook| component.get_export_index(None, hook.interface()).is_some())
            .collect();
        if hooks.is_empty() {
            return Err(LoadError::NoHook);
        }
        Ok(Self {
            describe,
            quote: of(component, &hooks, Hook::Pricing)?,
            admit: of(component, &hooks, Hook::Offers)?,
            filter: of(component, &hooks, Hook::Offers)?,
            authorize: of(component, &hooks, Hook::Consent)?,
            hooks,
        })
    }
}

/// A function of `hook`, if that is among the exported `hooks`.
fn of<F: Function>(component: &Component, hooks: &[Hook], hook: Hook) -> Result<Option<Found<F>>, LoadError> {
    hooks.contains(&hook).then(|| Found::find(component)).transpose()
}

/// The session and the limits of calls at load: nothing is granted, and memory may be as much as any call's. What a
/// policy may really have is its rule's to say, and the engine of a scripting language starts with more than most.
fn bare(engine: &Engine) -> (Session, Limits) {
    let limits = Limits {
        memory: engine.options().memory,
        ..Limits::default()
    };
    (
        Session {
            grants: Grants::NONE,
            answers: Answers::None,
            watch: Some(engine.watch(Instant::now(), limits.deadline)),
        },
        limits,
    )
}

/// Checks the type of every exported function on one instance, so that no call can meet a wrong one.
fn check_types(
    engine: &Engine,
    pre: &InstancePre<HostState>,
    exports: Exports,
) -> Result<(Typed<Describe>, Functions), LoadError> {
    let (session, limits) = bare(engine);
    let mut store = guest::store(pre, HostState::new(limits.memory, session), &limits);
    let store = &mut store;
    let instance = pre
        .instantiate(&mut *store)
        .map_err(|error| LoadError::Describe {
            failure: classify(&error, Phase::Start, guest::budget(&limits)),
        })?;
    let describe = exports.describe.check(store, instance)?;
    let functions = Functions {
        quote: checked(exports.quote, store, instance)?,
        admit: checked(exports.admit, store, instance)?,
        filter: checked(exports.filter, store, instance)?,
        authorize: checked(exports.authorize, store, instance)?,
    };
    Ok((describe, functions))
}

fn checked<F: Function>(
    found: Option<Found<F>>,
    store: &mut Store<HostState>,
    instance: Instance,
) -> Result<Option<Typed<F>>, LoadError> {
    found.map(|found| found.check(store, instance)).transpose()
}

/// The first call, which also shows that an instance can be made.
fn describe(
    engine: &Engine,
    pre: &InstancePre<HostState>,
    function: &Typed<Describe>,
    name: &str,
) -> Result<Description, LoadError> {
    let (session, limits) = bare(engine);
    let ran = run(pre, function, (), session, &limits);
    let (said,) = ran.answer.map_err(|failure| LoadError::Describe { failure })?;
    if said.name != name {
        return Err(LoadError::NameMismatch {
            file: name.to_owned(),
            described: cut(said.name, MAX_NAME),
        });
    }
    if !(1..=MAX_VERSION).contains(&said.version.len()) {
        return Err(LoadError::Version {
            len: said.version.len(),
        });
    }
    Ok(Description {
        name: said.name,
        version: said.version,
        summary: cut(said.summary, MAX_SUMMARY),
        params_schema: cut(said.params_schema, MAX_SCHEMA),
    })
}
