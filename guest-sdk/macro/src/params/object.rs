//! A struct: a JSON object whose fields are all optional, but for those that are said to be required.

use crate::params::field::{Field, Kind, Value};
use crate::text::{documentation, json};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{DeriveInput, Error, FieldsNamed, Ident, Result};

/// Fields that one object may have: as many as the bits that remember which have been read.
const MAX_FIELDS: usize = 64;

pub(crate) fn expand(input: &DeriveInput, fields: &FieldsNamed) -> Result<TokenStream> {
    let fields: Vec<Field<'_>> = fields.named.iter().map(Field::read).collect::<Result<_>>()?;
    if fields.len() > MAX_FIELDS {
        let text = format!("{} parameters: expected at most {MAX_FIELDS}", fields.len());
        return Err(Error::new_spanned(&input.ident, text));
    }
    let (default, reader, schema) = (
        default(&input.ident, &fields),
        reader(&input.ident, &fields),
        schema(input, &fields),
    );
    Ok(quote!(#default #reader #schema))
}

/// What holds where nothing is set.
fn otherwise(field: &Field<'_>) -> TokenStream {
    match &field.default {
        Some(Value { value, .. }) if field.optional => quote!(::core::option::Option::Some(#value)),
        Some(Value { value, .. }) => value.clone(),
        None => quote!(::core::default::Default::default()),
    }
}

fn default(object: &Ident, fields: &[Field<'_>]) -> TokenStream {
    if fields.iter().any(|field| field.required) {
        return TokenStream::new();
    }
    let idents = fields.iter().map(|field| field.ident);
    let values = fields.iter().map(otherwise);
    quote! {
        impl ::core::default::Default for #object {
            fn default() -> Self {
                Self { #(#idents: #values),* }
            }
        }
    }
}

fn reader(object: &Ident, fields: &[Field<'_>]) -> TokenStream {
    let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    let variables: Vec<Ident> = (0..fields.len())
        .map(|index| format_ident!("field_{index}"))
        .collect();
    let starts = fields.iter().zip(&variables).map(|(field, variable)| {
        let ty = field.ty;
        if field.required {
            quote!(let mut #variable: ::core::option::Option<#ty> = ::core::option::Option::None;)
        } else {
            let otherwise = otherwise(field);
            quote!(let mut #variable: #ty = #otherwise;)
        }
    });
    let reads = fields
        .iter()
        .zip(&variables)
        .enumerate()
        .map(|(index, (field, variable))| {
            let (ty, check) = (field.ty, check(field));
            let store = if field.required {
                quote!(#variable = ::core::option::Option::Some(value))
            } else {
                quote!(#variable = value)
            };
            quote! {
                #index => {
                    let value: #ty = map.next_value()?;
                    #check
                    #store;
                }
            }
        });
    let ends = fields.iter().zip(&variables).map(|(field, variable)| {
        let (ident, name) = (field.ident, &field.name);
        if field.required {
            quote! {
                #ident: match #variable {
                    ::core::option::Option::Some(value) => value,
                    ::core::option::Option::None => {
                        return ::core::result::Result::Err(::bourse::__private::missing(#name));
                    }
                }
            }
        } else {
            quote!(#ident: #variable)
        }
    });
    let expected = format!("an object, the {object} of the policy");
    quote! {
        impl<'de> ::bourse::__private::Deserialize<'de> for #object {
            fn deserialize<D: ::bourse::__private::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                const NAMES: &[&str] = &[#(#names),*];
                struct Fields;
                impl<'de> ::bourse::__private::Visitor<'de> for Fields {
                    type Value = #object;

                    fn expecting(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                        f.write_str(#expected)
                    }

                    #[allow(unused_mut, reason = "an object without fields")]
                    fn visit_map<A: ::bourse::__private::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> ::core::result::Result<#object, A::Error> {
                        let mut seen = ::bourse::__private::Seen::new(NAMES);
                        #(#starts)*
                        while let ::core::option::Option::Some(index) = map.next_key_seed(&mut seen)? {
                            match index {
                                #(#reads)*
                                _ => {}
                            }
                        }
                        ::core::result::Result::Ok(#object { #(#ends),* })
                    }
                }
                deserializer.deserialize_struct(stringify!(#object), NAMES, Fields)
            }
        }
    }
}

/// Refuses a value that is out of the bounds.
fn check(field: &Field<'_>) -> TokenStream {
    let name = &field.name;
    let unit = if field.kind == Kind::Amount { " tokens" } else { "" };
    let (outside, range) = match (&field.min, &field.max) {
        (None, None) => return TokenStream::new(),
        (Some(min), None) => {
            let (value, text) = (&min.value, &min.text);
            (
                quote!(*value < #value),
                quote!(::bourse::params::Range::AtLeast(#text, #unit)),
            )
        }
        (None, Some(max)) => {
            let (value, text) = (&max.value, &max.text);
            (
                quote!(*value > #value),
                quote!(::bourse::params::Range::AtMost(#text, #unit)),
            )
        }
        (Some(min), Some(max)) => {
            let (least, most) = (&min.value, &max.value);
            let (low, high) = (&min.text, &max.text);
            (
                quote!(*value < #least || *value > #most),
                quote!(::bourse::params::Range::Between(#low, #high, #unit)),
            )
        }
    };
    let inspect = quote! {
        if #outside {
            const RANGE: ::bourse::params::Range = #range;
            return ::core::result::Result::Err(::bourse::__private::out_of_range(#name, value, &RANGE));
        }
    };
    if field.optional {
        quote!(if let ::core::option::Option::Some(value) = &value { #inspect })
    } else {
        quote!({ let value = &value; #inspect })
    }
}

fn schema(input: &DeriveInput, fields: &[Field<'_>]) -> TokenStream {
    let object = &input.ident;
    let mut parts = vec![text(
        "\"type\":\"object\",\"additionalProperties\":false,\"properties\":{",
    )];
    for (index, field) in fields.iter().enumerate() {
        parts.extend(property(field, index == 0));
    }
    parts.push(text("}"));
    let required: Vec<String> = fields
        .iter()
        .filter(|field| field.required)
        .map(|field| json(&field.name))
        .collect();
    let unset = if required.is_empty() {
        quote!(::core::option::Option::Some(
            <Self as ::core::default::Default>::default()
        ))
    } else {
        parts.push(text(&format!(",\"required\":[{}]", required.join(","))));
        quote!(::core::option::Option::None)
    };
    let default = if required.is_empty() {
        let empty = text("{}");
        quote!(::core::option::Option::Some(#empty))
    } else {
        quote!(::core::option::Option::None)
    };
    let mut head = String::from("{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",");
    let documented = documentation(&input.attrs);
    if !documented.is_empty() {
        head.push_str(&format!("\"description\":{},", json(&documented)));
    }
    quote! {
        impl ::bourse::params::Parameter for #object {
            const TYPE: ::bourse::params::Text = ::bourse::params::Text::Join(&[#(#parts),*]);
            const DEFAULT: ::core::option::Option<::bourse::params::Text> = #default;
        }

        impl ::bourse::Params for #object {
            const SCHEMA: &'static str = {
                const WHOLE: ::bourse::params::Text = ::bourse::params::Text::Join(&[
                    ::bourse::params::Text::Str(#head),
                    <#object as ::bourse::params::Parameter>::TYPE,
                    ::bourse::params::Text::Str("}"),
                ]);
                const BYTES: [u8; WHOLE.len()] = WHOLE.bytes();
                ::bourse::params::utf8(&BYTES)
            };

            fn unset() -> ::core::option::Option<Self> {
                #unset
            }
        }
    }
}

/// One field in the schema: `"name":{…}`.
fn property(field: &Field<'_>, first: bool) -> Vec<TokenStream> {
    let ty = field.inner;
    let comma = if first { "" } else { "," };
    let mut open = format!("{comma}{}:{{", json(&field.name));
    if !field.description.is_empty() {
        open.push_str(&format!("\"description\":{},", json(&field.description)));
    }
    let mut parts = vec![text(&open)];
    if field.optional {
        parts.push(text("\"anyOf\":[{"));
    }
    parts.push(quote!(<#ty as ::bourse::params::Parameter>::TYPE));
    for (bound, name, of_type) in [
        (&field.min, "minimum", quote!(MIN)),
        (&field.max, "maximum", quote!(MAX)),
    ] {
        // Validators compare numbers alone: the bounds of an amount, which may be a text, are notes for people.
        let prefix = if field.kind == Kind::Amount { "x-" } else { "" };
        let name = format!(",\"{prefix}{name}\":");
        parts.push(match bound {
            Some(Value { text: bound, .. }) => {
                quote!(::bourse::params::Text::Join(&[::bourse::params::Text::Str(#name), #bound]))
            }
            None => {
                quote!(::bourse::params::Text::Maybe(#name, &<#ty as ::bourse::params::Parameter>::#of_type))
            }
        });
    }
    if field.optional {
        parts.push(text("},{\"type\":\"null\"}]"));
    }
    parts.push(match &field.default {
        Some(Value { text: default, .. }) => {
            quote!(::bourse::params::Text::Join(&[::bourse::params::Text::Str(",\"default\":"), #default]))
        }
        None if field.required => text(""),
        None if field.optional => text(",\"default\":null"),
        None => quote!(::bourse::params::Text::Maybe(
            ",\"default\":",
            &<#ty as ::bourse::params::Parameter>::DEFAULT
        )),
    });
    parts.push(text("}"));
    parts
}

fn text(text: &str) -> TokenStream {
    quote!(::bourse::params::Text::Str(#text))
}
