//! The host's side of a component's imports, and the state that one call carries.
//!
//! Every interface of the package can be linked, so that a policy compiles against the whole world; whether it may
//! be called is a matter of its rule's grants, checked when the rule is bound and here again.

use crate::failure::{Failure, cut};
use crate::grants::{Grants, Import};
use crate::imports::{Imports, MAX_CALLS, MAX_LINE, MAX_WINDOW_MS};
use crate::lend::Lent;
use crate::limits::Cap;
use crate::record::{Answer, Args, ImportCall};
use crate::state::{Edit, Overlay, StateChange, check_key};
use crate::watch::Watch;
use crate::wire;
use bourse_market::{Figures, Subject};
use std::borrow::Cow;
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

/// The guest gave an import what no policy may.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Rejected(pub(crate) Failure);

/// Where answers to imports come from.
pub(crate) enum Answers {
    /// Nowhere: nothing is granted.
    None,
    /// The caller.
    Live(Lent),
    /// A record.
    Tape(std::vec::IntoIter<ImportCall>),
}

/// What one call may ask and for how long.
pub(crate) struct Session {
    pub(crate) grants: Grants,
    pub(crate) answers: Answers,
    /// Without a watch the clock never stops the call.
    pub(crate) watch: Option<Watch>,
}

/// What a call asked of the host.
#[derive(Default)]
pub(crate) struct Trace {
    pub(crate) calls: Vec<ImportCall>,
    pub(crate) changes: Vec<StateChange>,
    /// Where it was when it trapped, outermost function first; only on an engine with backtraces.
    pub(crate) stack: Vec<String>,
}

/// The data of one instance's store.
pub(crate) struct HostState {
    pub(crate) cap: Cap,
    session: Session,
    calls: Vec<ImportCall>,
    overlay: Overlay,
    pub(crate) stack: Vec<String>,
}

impl HostState {
    /// State for the first call of an instance.
    pub(crate) fn new(memory: usize, session: Session) -> Self {
        Self {
            cap: Cap::new(memory),
            session,
            calls: Vec::new(),
            overlay: Overlay::default(),
            stack: Vec::new(),
        }
    }

    /// Begins a further call.
    pub(crate) fn begin(&mut self, memory: usize, session: Session) {
        self.cap.limit(memory);
        self.session = session;
        self.calls.clear();
        self.overlay.take();
    }

    /// Ends a call: what it did, and no way back to who asked.
    pub(crate) fn end(&mut self) -> Trace {
        self.session.answers = Answers::None;
        self.session.watch = None;
        Trace {
            calls: core::mem::take(&mut self.calls),
            changes: self.overlay.take(),
            stack: core::mem::take(&mut self.stack),
        }
    }

    /// An epoch has passed: whether the call has run too long.
    pub(crate) fn tick(&mut self) -> bool {
        self.session.watch.as_mut().is_some_and(Watch::tick)
    }

    fn admit(&self, import: Import) -> wasmtime::Result<()> {
        if !self.session.grants.has(import) {
            return Err(Denied(import).into());
        }
        if self.calls.len() >= MAX_CALLS {
            return Err(CallsExceeded(MAX_CALLS as u32).into());
        }
        Ok(())
    }

    /// Answers a call from where this session's answers come from, and keeps it for the record.
    fn answer(
        &mut self,
        import: Import,
        name: &'static str,
        args: Args,
        live: impl FnOnce(&dyn Imports) -> Answer,
    ) -> wasmtime::Result<Answer> {
        let answers = &mut self.session.answers;
        let ask = || match answers {
            Answers::None => Err(Denied(import).into()),
            Answers::Live(lent) => lent.call(live).ok_or_else(|| Denied(import).into()),
            Answers::Tape(tape) => match tape.next() {
                Some(call) if call.name == name && call.args == args => Ok(call.answer),
                _ => Err(wasmtime::Error::from(Diverged(name))),
            },
        };
        // Epochs interrupt guests, not hosts: what the answer takes is watched here.
        let (answer, late) = match &mut self.session.watch {
            Some(watch) => watch.import(ask),
            None => (ask(), false),
        };
        let answer = answer?;
        if self.calls.is_empty() {
            // Most policies that ask, ask once.
            self.calls.reserve_exact(1);
        }
        self.calls.push(ImportCall {
            name: Cow::Borrowed(name),
            args,
            answer: answer.clone(),
        });
        if late { Err(Late.into()) } else { Ok(answer) }
    }

    fn demand(&mut self, subject: Subject, window_ms: u32) -> wasmtime::Result<Figures> {
        const NAME: &str = "market.demand";
        self.admit(Import::Market)?;
        let args = Args::Demand {
            subject: subject.into(),
            window_ms,
        };
        let answer = self.answer(Import::Market, NAME, args, |imports| {
            Answer::Figures(imports.demand(subject, window_ms.min(MAX_WINDOW_MS)).into())
        })?;
        match answer {
            Answer::Figures(figures) => Ok(figures.into()),
            _ => Err(Diverged(NAME).into()),
        }
    }

    fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        const NAME: &str = "state.get";
        self.admit(Import::State)?;
        check_key(&key).map_err(Rejected)?;
        let own = self.overlay.value(&key).map(|value| value.cloned());
        let args = Args::Get { key: key.clone() };
        let answer = self.answer(Import::State, NAME, args, |imports| {
            let value = own.unwrap_or_else(|| imports.state(&key));
            Answer::Value(value.map(Into::into))
        })?;
        match answer {
            Answer::Value(value) => Ok(value.map(|bytes| bytes.0.to_vec())),
            _ => Err(Diverged(NAME).into()),
        }
    }

    fn counter(&mut self, key: String) -> wasmtime::Result<i64> {
        const NAME: &str = "state.counter";
        self.admit(Import::State)?;
        check_key(&key).map_err(Rejected)?;
        let overlay = core::mem::take(&mut self.overlay);
        let args = Args::Counter { key: key.clone() };
        let answer = self.answer(Import::State, NAME, args, |imports| {
            Answer::Count(overlay.counter(&key, imports.counter(&key)))
        });
        self.overlay = overlay;
        match answer? {
            Answer::Count(count) => Ok(count),
            _ => Err(Diverged(NAME).into()),
        }
    }

    /// `state.set` and `state.add`.
    fn change(&mut self, name: &'static str, key: String, edit: Edit) -> wasmtime::Result<()> {
        self.admit(Import::State)?;
        check_key(&key).map_err(Rejected)?;
        self.overlay.check(&edit).map_err(Rejected)?;
        let args = match &edit {
            Edit::Set(value) => Args::Set {
                key: key.clone(),
                value: value.clone().map(Into::into),
            },
            Edit::Add(delta) => Args::Add {
                key: key.clone(),
                delta: *delta,
            },
        };
        self.answer(Import::State, name, args, |_| Answer::Done)?;
        self.overlay.push(key, edit);
        Ok(())
    }

    fn line(&mut self, level: wire::Level, text: String) -> wasmtime::Result<()> {
        self.admit(Import::Log)?;
        let (level, text) = (level.into(), cut(text, MAX_LINE));
        let args = Args::Line {
            level,
            text: text.clone(),
        };
        self.answer(Import::Log, "log.line", args, |imports| {
            imports.log(level, &text);
            Answer::Done
        })?;
        Ok(())
    }
}

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

    let mut state = linker.instance(Import::State.interface())?;
    state.func_wrap("get", |mut store: Context<'_>, (key,): (String,)| {
        Ok((store.data_mut().get(key)?,))
    })?;
    state.func_wrap(
        "set",
        |mut store: Context<'_>, (key, value): (String, Option<Vec<u8>>)| {
            store.data_mut().change("state.set", key, Edit::Set(value))
        },
    )?;
    state.func_wrap("counter", |mut store: Context<'_>, (key,): (String,)| {
        Ok((store.data_mut().counter(key)?,))
    })?;
    state.func_wrap("add", |mut store: Context<'_>, (key, delta): (String, i64)| {
        store.data_mut().change("state.add", key, Edit::Add(delta))
    })?;

    let mut log = linker.instance(Import::Log.interface())?;
    log.func_wrap(
        "line",
        |mut store: Context<'_>, (level, text): (wire::Level, String)| store.data_mut().line(level, text),
    )?;
    Ok(linker)
}
