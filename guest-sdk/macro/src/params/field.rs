//! One field of a struct: its type as far as it can be seen, its default and its bounds.

use crate::text::{documentation, json};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Error, Expr, ExprLit, ExprUnary, Field as Parsed, GenericArgument, Ident, Lit, PathArguments, Result,
    Type, UnOp,
};

/// What a macro can see of a type: its last name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Amount,
    Float,
    Bool,
    Text,
    /// An enum or a struct that derives `Params` too, a list, or what else implements `Parameter`.
    Other,
}

impl Kind {
    fn of(name: &str) -> Self {
        match name {
            "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" => Self::Integer,
            "Amount" => Self::Amount,
            "f32" | "f64" => Self::Float,
            "bool" => Self::Bool,
            "String" => Self::Text,
            _ => Self::Other,
        }
    }
}

/// A value of an attribute, as Rust and as JSON.
pub(crate) struct Value {
    /// An expression of the field's type, without the `Option`.
    pub(crate) value: TokenStream,
    /// A constant expression of `bourse::params::Text`.
    pub(crate) text: TokenStream,
}

pub(crate) struct Field<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) name: String,
    /// The whole type.
    pub(crate) ty: &'a Type,
    /// The type within an `Option`, else the whole.
    pub(crate) inner: &'a Type,
    pub(crate) optional: bool,
    pub(crate) kind: Kind,
    pub(crate) description: String,
    pub(crate) required: bool,
    pub(crate) default: Option<Value>,
    pub(crate) min: Option<Value>,
    pub(crate) max: Option<Value>,
}

impl<'a> Field<'a> {
    pub(crate) fn read(field: &'a Parsed) -> Result<Self> {
        let ident = field
            .ident
            .as_ref()
            .ok_or_else(|| Error::new_spanned(field, "expected a named field"))?;
        let within = within_option(&field.ty);
        let inner = within.unwrap_or(&field.ty);
        let kind = last_name(inner).map_or(Kind::Other, |name| Kind::of(&name.to_string()));
        let mut read = Self {
            ident,
            name: ident.to_string().trim_start_matches("r#").to_owned(),
            ty: &field.ty,
            inner,
            optional: within.is_some(),
            kind,
            description: documentation(&field.attrs),
            required: false,
            default: None,
            min: None,
            max: None,
        };
        for attribute in field
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("param"))
        {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("required") {
                    read.required = true;
                    return Ok(());
                }
                let slot = ["default", "min", "max"]
                    .into_iter()
                    .find(|name| meta.path.is_ident(name));
                let Some(slot) = slot else {
                    return Err(meta.error("expected `default = …`, `min = …`, `max = …` or `required`"));
                };
                let value: Expr = meta.value()?.parse()?;
                let bound = slot != "default";
                if bound && !matches!(kind, Kind::Integer | Kind::Amount | Kind::Float) {
                    return Err(meta.error("bounds are for numbers and amounts"));
                }
                let value = value_of(kind, inner, &value)?;
                match slot {
                    "default" => read.default = Some(value),
                    "min" => read.min = Some(value),
                    _ => read.max = Some(value),
                }
                Ok(())
            })?;
        }
        if read.required && (read.default.is_some() || read.optional) {
            let text = "a required field has no default and is no Option";
            return Err(Error::new_spanned(field, text));
        }
        Ok(read)
    }
}

/// `T` of `Option<T>`.
fn within_option(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Option")?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) => {
            arguments.args.iter().find_map(|argument| match argument {
                GenericArgument::Type(inner) => Some(inner),
                _ => None,
            })
        }
        _ => None,
    }
}

fn last_name(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|last| &last.ident),
        _ => None,
    }
}

/// Reads a value of an attribute for a field of `kind`.
fn value_of(kind: Kind, ty: &Type, value: &Expr) -> Result<Value> {
    let wrong = |text: &str| Err(Error::new_spanned(value, text));
    match kind {
        Kind::Integer => Ok(Value {
            value: quote!({ const VALUE: #ty = #value; VALUE }),
            text: quote!({ const VALUE: #ty = #value; ::bourse::params::Text::Int(VALUE as i128) }),
        }),
        Kind::Amount => {
            let text = match value {
                Expr::Lit(ExprLit {
                    lit: Lit::Str(text), ..
                }) => text.value(),
                Expr::Lit(ExprLit {
                    lit: Lit::Int(number),
                    ..
                }) => number.base10_digits().to_owned(),
                _ => return wrong("expected an amount in tokens, as text: \"0.5\""),
            };
            if !is_amount(&text) {
                return wrong(
                    "expected an amount in tokens, with at most 18 digits after the point: \"0.5\"",
                );
            }
            let quoted = json(&text);
            Ok(Value {
                value: quote!({
                    const VALUE: ::bourse::Amount = ::bourse::amount!(#text);
                    VALUE
                }),
                text: quote!(::bourse::params::Text::Str(#quoted)),
            })
        }
        Kind::Float => {
            let text = match value {
                Expr::Lit(ExprLit {
                    lit: Lit::Float(number),
                    ..
                }) => number.base10_digits().to_owned(),
                Expr::Lit(ExprLit {
                    lit: Lit::Int(number),
                    ..
                }) => number.base10_digits().to_owned(),
                Expr::Unary(ExprUnary {
                    op: UnOp::Neg(_),
                    expr,
                    ..
                }) => match &**expr {
                    Expr::Lit(ExprLit {
                        lit: Lit::Float(number),
                        ..
                    }) => format!("-{}", number.base10_digits()),
                    _ => return wrong("expected a number, such as -0.5"),
                },
                _ => return wrong("expected a number, such as 0.5"),
            };
            Ok(Value {
                value: quote!({ const VALUE: #ty = #value as #ty; VALUE }),
                text: quote!(::bourse::params::Text::Str(#text)),
            })
        }
        Kind::Bool => Ok(Value {
            value: quote!(#value),
            text: quote!(::bourse::params::Text::Str(if #value { "true" } else { "false" })),
        }),
        Kind::Text => match value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text), ..
            }) => {
                let quoted = json(&text.value());
                Ok(Value {
                    value: quote!(::std::string::String::from(#text)),
                    text: quote!(::bourse::params::Text::Str(#quoted)),
                })
            }
            _ => wrong("expected a text in quotes"),
        },
        Kind::Other => match value {
            Expr::Path(_) => Ok(Value {
                value: quote!(#value),
                text: quote!({ const VALUE: #ty = #value; VALUE.__param_text() }),
            }),
            _ => wrong(
                "expected a variant, such as Scope::Api; a list has no default but the empty one, and a struct those \
                 of its fields",
            ),
        },
    }
}

fn is_amount(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && digits(fraction) && fraction.len() <= 18
}
