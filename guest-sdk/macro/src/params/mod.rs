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

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_str;

    #[test]
    fn what_cannot_be_a_parameter_is_refused_in_words_that_say_what_can() {
        for (item, words) in [
            ("struct P(u8);", "expected a struct with named fields"),
            ("struct P<T> { a: T }", "no generic parameters"),
            (
                "union P { a: u8 }",
                "expected a struct with named fields or an enum",
            ),
            ("enum P { A(u8) }", "its variants have no fields"),
            ("enum P {}", "at least one variant"),
            (
                "enum P { #[param(default)] A, #[param(default)] B }",
                "there is a default already",
            ),
            ("enum P { #[param(first)] A }", "expected #[param(default)]"),
            ("struct P { #[param(step = 1)] a: u8 }", "expected `default = …`"),
            (
                "struct P { #[param(min = 1)] a: bool }",
                "bounds are for numbers and amounts",
            ),
            (
                "struct P { #[param(default = \"0,5\")] a: Amount }",
                "at most 18 digits after the point",
            ),
            (
                "struct P { #[param(default = 0.5)] a: Amount }",
                "as text: \"0.5\"",
            ),
            (
                "struct P { #[param(default = 5)] a: String }",
                "expected a text in quotes",
            ),
            (
                "struct P { #[param(default = [1])] a: Vec<u8> }",
                "a list has no default but the empty one",
            ),
            (
                "struct P { #[param(required, default = 1)] a: u8 }",
                "a required field has no default",
            ),
            ("struct P { #[param(required)] a: Option<u8> }", "is no Option"),
        ] {
            let error = parse_str(item)
                .and_then(|input| expand(&input))
                .unwrap_err()
                .to_string();
            assert!(error.contains(words), "{item}: {error}");
        }
        let many: String = (0..65).map(|index| format!("f{index}: u8,")).collect();
        let error = expand(&parse_str(&format!("struct P {{ {many} }}")).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "65 parameters: expected at most 64");
    }
}
