//! `#[derive(bourse::Params)]`: from a type to the reader and the schema of parameters.

mod choice;
mod field;
mod object;

use proc_macro2::TokenStream;
use syn::{Data, DeriveInput, Error, Fields, Result};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    if !input.generics.params.is_empty() {
        let text = "parameters are read from JSON by their one type: no generic parameters";
        return Err(Error::new_spanned(&input.generics, text));
    }
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => object::expand(input, fields),
            _ => Err(Error::new_spanned(
                &input.ident,
                "parameters are a JSON object: expected a struct with named fields",
            )),
        },
        Data::Enum(data) => choice::expand(input, data),
        Data::Union(_) => Err(Error::new_spanned(
            &input.ident,
            "expected a struct with named fields or an enum",
        )),
    }
}
