//! The functions of the package that a component exports, each with its type.
//!
//! The sandbox compares a function's type with ours field by field, which takes about as long as a small policy. It is
//! done once, when a component is loaded; what passed is a [`Typed`], and nothing else can be called.

#![allow(
    unsafe_code,
    reason = "a type that was compared once need not be compared in every call"
)]

use crate::hook::Hook;
use crate::host::HostState;
use crate::load::LoadError;
use crate::wire;
use core::marker::PhantomData;
use wasmtime::Store;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, Instance, Lift, Lower, TypedFunc,
};

/// A function of the package.
pub(crate) trait Function {
    /// The interface that has it.
    const INTERFACE: &'static str;
    /// Its name.
    const NAME: &'static str;
    /// What it takes.
    type Params<'a>: ComponentNamedList + Lower;
    /// What it returns.
    type Results: ComponentNamedList + Lift + 'static;
}

macro_rules! functions {
    ($($name:ident = $interface:expr, $function:literal: $params:ty => $results:ty;)*) => {
        $(
            #[doc = concat!("`", $function, "`.")]
            pub(crate) enum $name {}

            impl Function for $name {
                const INTERFACE: &'static str = $interface;
                const NAME: &'static str = $function;
                type Params<'a> = $params;
                type Results = ($results,);
            }
        )*
    };
}

functions! {
    Describe = "bourse:policy/describe@1.0.0", "describe": () => wire::Description;
    Quote = Hook::Pricing.interface(), "quote":
        (wire::PriceRequest<'a>,) => Result<wire::Price, wire::Refusal>;
    Admit = Hook::Offers.interface(), "admit":
        (wire::Context<'a>, wire::Offer<'a>) => Result<(), wire::Refusal>;
    Filter = Hook::Offers.interface(), "filter":
        (wire::Context<'a>, u16, u32, &'a [u8]) => wire::Verdict;
    Authorize = Hook::Consent.interface(), "authorize":
        (wire::ConsentRequest<'a>,) => Result<(), wire::Refusal>;
}

/// Where a function is, its type not yet known.
pub(crate) struct Found<F> {
    index: ComponentExportIndex,
    function: PhantomData<fn() -> F>,
}

/// Where a function of the right type is.
pub(crate) struct Typed<F> {
    // Private, and only `Found::check` makes one: `Typed::of` relies on it.
    index: ComponentExportIndex,
    function: PhantomData<fn() -> F>,
}

impl<F: Function> Found<F> {
    /// Looks for the function in a component.
    pub(crate) fn find(component: &Component) -> Result<Self, LoadError> {
        let interface = component.get_export_index(None, F::INTERFACE);
        let index = interface.and_then(|interface| component.get_export_index(Some(&interface), F::NAME));
        index
            .map(|index| Self {
                index,
                function: PhantomData,
            })
            .ok_or(LoadError::MissingFunction {
                interface: F::INTERFACE,
                function: F::NAME,
            })
    }

    /// Compares the function's type with ours, on an instance of the component.
    pub(crate) fn check(
        self,
        store: &mut Store<HostState>,
        instance: Instance,
    ) -> Result<Typed<F>, LoadError> {
        instance
            .get_typed_func::<F::Params<'_>, F::Results>(store, &self.index)
            .map_err(|error| LoadError::WrongType {
                interface: F::INTERFACE.to_owned(),
                reason: format!("{error:#}"),
            })?;
        Ok(Typed {
            index: self.index,
            function: PhantomData,
        })
    }
}

impl<F: Function> Typed<F> {
    /// The function of an instance; none of an instance of another component.
    pub(crate) fn of<'a>(
        &self,
        store: &mut Store<HostState>,
        instance: Instance,
    ) -> Option<TypedFunc<F::Params<'a>, F::Results>> {
        // An index is of one component, and this finds nothing in an instance of another.
        let function = instance.get_func(store, self.index)?;
        // SAFETY: `check` found the function at this index of this component to have exactly these parameters and
        // results; a component's types are the same for all its instances, and lifetimes are no part of them.
        Some(unsafe { TypedFunc::new_unchecked(function) })
    }
}
