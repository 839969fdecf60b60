//! The macros of the SDK for policies. The crate `bourse` re-exports them and documents them.
//!
//! What lives here: reading an impl block or a type, and writing what makes it a component. What never does: anything
//! that runs in a component. The code that a macro writes calls the SDK, which is compiled and tested as usual.

mod params;
mod policy;
mod text;

use proc_macro::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error, ItemImpl, parse_macro_input};

/// Makes the crate a component whose hooks are the functions of this impl block: `quote`, `admit`, `filter` and
/// `authorize`. Natively it only checks them, so that plain `cargo test` can call them.
///
/// The name, version and summary that the policy describes itself with are those of the package, unless they are given
/// as `#[bourse::policy(name = "…", version = "…", summary = "…")]`; the first sentence of the block's own
/// documentation goes before the package's description.
///
/// The parameters are the type in `&PriceRequest<Params>` and its like, the same in all functions, and as public as the
/// policy; `&PriceRequest<()>` takes none. The last argument of a function may be left out, if it has no use for it.
#[proc_macro_attribute]
pub fn policy(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = parse_macro_input!(arguments as policy::Arguments);
    let block = parse_macro_input!(item as ItemImpl);
    let written = policy::expand(&arguments, &block).unwrap_or_else(|error| error.into_compile_error());
    quote!(#block #written).into()
}

/// Reads a policy's parameters from JSON and describes them in a schema.
///
/// On a struct: `Default`, `serde::Deserialize` (every field optional, unknown ones refused) and `bourse::Params`. On
/// an enum of unit variants: the same, as one of their names in snake case.
#[proc_macro_derive(Params, attributes(param))]
pub fn params(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    params::expand(&input)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}
