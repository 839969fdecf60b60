//! The host's side of a component's imports, and the state that one call carries.
//!
//! Every interface of the package can be linked, so that a policy compiles against the whole world; whether it may
//! be called is a matter of its rule's grants, checked when the rule is bound and here again.

use crate::grants::{Grants, Import};
use crate::imports::{MAX_CALLS, MAX_WINDOW_MS};
use crate::lend::Lent;
use crate::limits::Cap;
use crate::record::{Answer, Args, ImportCall};
use crate::watch::Watch;
use crate::wire;
use bourse_market::{Figures, Subject};
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

/// The guest called what its rule does not grant.
#[derive(Debug, thiserror::Error)]
#[error("import `{0}` is not granted")]
pub(crate) struct Denied(pub(crate) Import);

/// The guest called imports too often.
#[derive(Debug, thiserror::Error)]
#[error("more than {0} import calls")]
pub(crate) struct CallsExceeded(pub(crate) u32);

/// The deadline passed while the host answered.
#[derive(Debug, thiserror::Error)]
#[error("the deadline passed in an import")]
pub(crate) struct Late;

/// A replayed guest asked what the record does not hold.
#[derive(Debug, thiserror::Error)]
#[error("import `{0}` was not called so in the record")]
pub(crate) struct Diverged(pub(crate) &'static str);

/// Where answers to imports come from.
pub(crate) enum Answers {
    /// Nowhere: nothing is granted.
    None,
    /// The caller.
    Live(Lent),
    /// A record.
    Tape(std::vec::IntoIter<ImportCall>),
}

/// The data of one call's store.
pub(crate) struct HostState {
    pub(crate) cap: Cap,
    grants: Grants,
    answers: Answers,
    calls: Vec<ImportCall>,
    watch: Option<Watch>,
}

impl HostState {
    /// State for one call; without a watch the clock never stops it.
    pub(crate) fn new(memory: usize, grants: Grants, answers: Answers, watch: Option<Watch>) -> Self {
        Self {
            cap: Cap::new(memory),
            grants,
            answers,
            calls: Vec::new(),
            watch,
        }
    }

    /// An epoch has passed: whether the call has run too long.
    pub(crate) fn tick(&mut self) -> bool {
        self.watch.as_mut().is_some_and(Watch::tick)
    }

    /// The import calls that were made.
    pub(crate) fn take_calls(&mut self) -> Vec<ImportCall> {
        core::mem::take(&mut self.calls)
    }

    fn admit(&self, import: Import) -> wasmtime::Result<()> {
        if !self.grants.has(import) || !import.available() {
            return Err(Denied(import).into());
        }
        if self.calls.len() >= MAX_CALLS {
            return Err(CallsExceeded(MAX_CALLS as u32).into());
        }
        Ok(())
    }

    fn demand(&mut self, subject: Subject, window_ms: u32) -> wasmtime::Result<Figures> {
        self.admit(Import::Market)?;
        let args = Args::Demand {
            subject: subject.into(),
            window_ms,
        };
        let mut ask = || match &mut self.answers {
            Answers::None => Err(Denied(Import::Market).into()),
            Answers::Live(lent) => lent
                .call(|imports| imports.demand(subject, window_ms.min(MAX_WINDOW_MS)))
                .ok_or_else(|| Denied(Import::Market).into()),
            Answers::Tape(tape) => match tape.next() {
                Some(ImportCall {
                    name,
                    args: recorded,
                    answer: Answer::Figures(figures),
                }) if name == DEMAND && recorded == args => Ok(figures.into()),
                _ => Err(wasmtime::Error::from(Diverged(DEMAND))),
            },
        };
        // Epochs interrupt guests, not hosts: what the answer takes is watched here.
        let (figures, late) = match &mut self.watch {
            Some(watch) => watch.import(ask),
            None => (ask(), false),
        };
        let figures: Figures = figures?;
        self.calls.push(ImportCall {
            name: DEMAND.to_owned(),
            args,
            answer: Answer::Figures(figures.into()),
        });
        if late { Err(Late.into()) } else { Ok(figures) }
    }
}

/// What records call the function `demand` of the import `market`.
const DEMAND: &str = "market.demand";

/// Links every import of the package.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<HostState>> {
    type Context<'a> = StoreContextMut<'a, HostState>;
    let mut linker = Linker::new(engine);

    let mut market = linker.instance(Import::Market.interface())?;
    market.func_wrap(
        "demand",
        |mut store: Context<'_>, (subject, window_ms): (wire::Subject, u32)| {
            let figures = store.data_mut().demand(subject.into(), window_ms)?;
            Ok((wire::Figures::from(figures),))
        },
    )?;

    let denied = |import: Import| wasmtime::Error::from(Denied(import));
    let mut state = linker.instance(Import::State.interface())?;
    state.func_wrap("get", move |_: Context<'_>, (_key,): (String,)| {
        Err::<(Option<Vec<u8>>,), _>(denied(Import::State))
    })?;
    state.func_wrap(
        "set",
        move |_: Context<'_>, (_key, _value): (String, Option<Vec<u8>>)| Err::<(), _>(denied(Import::State)),
    )?;
    state.func_wrap("counter", move |_: Context<'_>, (_key,): (String,)| {
        Err::<(i64,), _>(denied(Import::State))
    })?;
    state.func_wrap("add", move |_: Context<'_>, (_key, _delta): (String, i64)| {
        Err::<(), _>(denied(Import::State))
    })?;

    let mut log = linker.instance(Import::Log.interface())?;
    log.func_wrap(
        "line",
        move |_: Context<'_>, (_level, _text): (wire::Level, String)| Err::<(), _>(denied(Import::Log)),
    )?;
    Ok(linker)
}
