//! An enum of unit variants: one of its names in snake case.

use crate::text::{json, snake_case};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{DataEnum, DeriveInput, Error, Fields, Result, Variant};

pub(crate) fn expand(input: &DeriveInput, data: &DataEnum) -> Result<TokenStream> {
    let choice = &input.ident;
    let mut default = None;
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            let text = "a choice of parameters is one of several names: its variants have no fields";
            return Err(Error::new_spanned(variant, text));
        }
        if is_default(variant)? && default.replace(variant).is_some() {
            return Err(Error::new_spanned(variant, "there is a default already"));
        }
    }
    let variants: Vec<_> = data.variants.iter().map(|variant| &variant.ident).collect();
    if variants.is_empty() {
        return Err(Error::new_spanned(
            choice,
            "an enum of parameters has at least one variant",
        ));
    }
    let names: Vec<String> = variants
        .iter()
        .map(|variant| snake_case(&variant.to_string()))
        .collect();
    let quoted: Vec<String> = names.iter().map(|name| json(name)).collect();
    let schema = format!("\"enum\":[{}]", quoted.join(","));
    let indices = 0..variants.len();
    let (default_text, default) = match default {
        Some(Variant { ident, .. }) => (
            quote!(::core::option::Option::Some(Self::#ident.__param_text())),
            quote! {
                impl ::core::default::Default for #choice {
                    fn default() -> Self {
                        Self::#ident
                    }
                }
            },
        ),
        None => (quote!(::core::option::Option::None), TokenStream::new()),
    };
    Ok(quote! {
        impl #choice {
            /// The variant as JSON, for schemas.
            #[doc(hidden)]
            #[allow(dead_code, reason = "for the schemas of structs")]
            pub const fn __param_text(&self) -> ::bourse::params::Text {
                match self {
                    #(Self::#variants => ::bourse::params::Text::Str(#quoted),)*
                }
            }
        }

        #default

        impl<'de> ::bourse::__private::Deserialize<'de> for #choice {
            fn deserialize<D: ::bourse::__private::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                let names: &'static [&'static str] = &[#(#names),*];
                let index = ::bourse::__private::choice(names, deserializer)?;
                match index {
                    #(#indices => ::core::result::Result::Ok(Self::#variants),)*
                    _ => ::core::result::Result::Err(::bourse::__private::no_such_choice()),
                }
            }
        }

        impl ::bourse::params::Parameter for #choice {
            const TYPE: ::bourse::params::Text = ::bourse::params::Text::Str(#schema);
            const DEFAULT: ::core::option::Option<::bourse::params::Text> = #default_text;
        }
    })
}

/// Whether the variant has `#[param(default)]`.
fn is_default(variant: &Variant) -> Result<bool> {
    let mut found = false;
    for attribute in &variant.attrs {
        if attribute.path().is_ident("param") {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("default") {
                    found = true;
                    return Ok(());
                }
                Err(meta.error("expected #[param(default)] on the variant that holds where nothing is set"))
            })?;
        }
    }
    Ok(found)
}
