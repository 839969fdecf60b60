//! `#[bourse::policy]`: from an impl block to the traits of its hooks and the exports of a component.

use crate::text::{documentation, first_sentence};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{
    Error, Expr, FnArg, GenericArgument, Ident, ImplItem, ImplItemFn, ItemImpl, MetaNameValue, PathArguments,
    Result, Token, Type,
};

/// What stands in the brackets of the attribute.
#[derive(Default)]
pub(crate) struct Arguments {
    name: Option<Expr>,
    version: Option<Expr>,
    summary: Option<Expr>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut arguments = Self::default();
        for pair in Punctuated::<MetaNameValue, Token![,]>::parse_terminated(input)? {
            let known = [
                ("name", &mut arguments.name),
                ("version", &mut arguments.version),
                ("summary", &mut arguments.summary),
            ];
            match known.into_iter().find(|(name, _)| pair.path.is_ident(name)) {
                Some((_, slot)) => *slot = Some(pair.value),
                None => {
                    let text = "expected `name`, `version` or `summary`, such as #[bourse::policy(name = \"surge\")]";
                    return Err(Error::new_spanned(pair.path, text));
                }
            }
        }
        Ok(arguments)
    }
}

/// The functions that make a hook.
#[derive(Default)]
struct Found<'a> {
    quote: Option<&'a ImplItemFn>,
    admit: Option<&'a ImplItemFn>,
    filter: Option<&'a ImplItemFn>,
    authorize: Option<&'a ImplItemFn>,
}

impl<'a> Found<'a> {
    fn among(block: &'a ItemImpl) -> Self {
        let mut found = Self::default();
        for item in &block.items {
            if let ImplItem::Fn(function) = item {
                match function.sig.ident.to_string().as_str() {
                    "quote" => found.quote = Some(function),
                    "admit" => found.admit = Some(function),
                    "filter" => found.filter = Some(function),
                    "authorize" => found.authorize = Some(function),
                    _ => {}
                }
            }
        }
        found
    }

    fn first(&self) -> Option<&'a ImplItemFn> {
        self.quote.or(self.admit).or(self.filter).or(self.authorize)
    }
}

pub(crate) fn expand(arguments: &Arguments, block: &ItemImpl) -> Result<TokenStream> {
    if let Some((_, path, _)) = &block.trait_ {
        let text =
            "expected an impl block of the type itself, such as `impl Surge { … }`, not one of a trait";
        return Err(Error::new_spanned(path, text));
    }
    if !block.generics.params.is_empty() {
        let text = "a component is made of one type, so a policy has no generic parameters";
        return Err(Error::new_spanned(&block.generics, text));
    }
    let found = Found::among(block);
    let Some(first) = found.first() else {
        let text =
            "no hook: expected one or more of the functions `quote`, `admit`, `filter` and `authorize`";
        return Err(Error::new_spanned(&block.self_ty, text));
    };
    let policy = &block.self_ty;
    let params = params_of(first)?;
    let described = described(arguments, block);
    let (mut hooks, mut exports) = (Vec::new(), vec![format_ident!("export_describe")]);
    if let Some(function) = found.quote {
        let call = call(policy, function, &["request", "host"])?;
        hooks.push(quote! {
            impl ::bourse::Pricing for #policy {
                fn quote(
                    request: &::bourse::PriceRequest<#params>,
                    host: &impl ::bourse::Host,
                ) -> ::core::result::Result<::bourse::Price, ::bourse::Refusal> {
                    #call
                }
            }
        });
        exports.push(format_ident!("export_pricing"));
    }
    if found.admit.is_some() || found.filter.is_some() {
        hooks.push(offers(policy, &params, &found)?);
        exports.push(format_ident!("export_offers"));
    }
    if let Some(function) = found.authorize {
        let call = call(policy, function, &["request", "host"])?;
        hooks.push(quote! {
            impl ::bourse::Consent for #policy {
                fn authorize(
                    request: &::bourse::ConsentRequest<#params>,
                    host: &impl ::bourse::Host,
                ) -> ::core::result::Result<(), ::bourse::Refusal> {
                    #call
                }
            }
        });
        exports.push(format_ident!("export_consent"));
    }
    Ok(quote! {
        impl ::bourse::Policy for #policy {
            #described
            type Params = #params;
        }
        #(#hooks)*
        #(
            #[cfg(target_arch = "wasm32")]
            ::bourse::__private::#exports!(#policy);
        )*
    })
}

/// The hook that has two functions, either of which may be left out.
fn offers(policy: &Type, params: &Type, found: &Found<'_>) -> Result<TokenStream> {
    let admit = match found.admit {
        Some(function) => call(policy, function, &["request", "host"])?,
        None => quote!(::core::result::Result::Ok(())),
    };
    let filter = match found.filter {
        Some(function) => call(policy, function, &["request", "offers", "host"])?,
        None => quote!(::bourse::Verdict::all(offers.len())),
    };
    Ok(quote! {
        impl ::bourse::Offers for #policy {
            #[allow(unused_variables, reason = "a function that is left out, or takes fewer arguments")]
            fn admit(
                request: &::bourse::AdmitRequest<#params>,
                host: &impl ::bourse::Host,
            ) -> ::core::result::Result<(), ::bourse::Refusal> {
                #admit
            }

            #[allow(unused_variables, reason = "a function that is left out, or takes fewer arguments")]
            fn filter(
                request: &::bourse::FilterRequest<#params>,
                offers: &::bourse::Batch<'_>,
                host: &impl ::bourse::Host,
            ) -> ::bourse::Verdict {
                #filter
            }
        }
    })
}

fn described(arguments: &Arguments, block: &ItemImpl) -> TokenStream {
    let or = |given: &Option<Expr>, otherwise: TokenStream| match given {
        Some(given) => quote!(#given),
        None => otherwise,
    };
    let name = or(&arguments.name, quote!(::core::env!("CARGO_PKG_NAME")));
    let version = or(&arguments.version, quote!(::core::env!("CARGO_PKG_VERSION")));
    let documented = documentation(&block.attrs);
    let summary = match first_sentence(&documented) {
        "" => quote!(::core::env!("CARGO_PKG_DESCRIPTION")),
        sentence => quote!(#sentence),
    };
    let summary = or(&arguments.summary, summary);
    quote! {
        const NAME: &'static str = #name;
        const VERSION: &'static str = #version;
        const SUMMARY: &'static str = #summary;
    }
}

/// `Params` of `request: &PriceRequest<Params>`; `()` where the request names none.
fn params_of(function: &ImplItemFn) -> Result<Type> {
    let first = function.sig.inputs.first();
    let Some(FnArg::Typed(argument)) = first else {
        let text = "expected the request first, such as `request: &PriceRequest<Params>`";
        return Err(Error::new_spanned(&function.sig, text));
    };
    let request = match &*argument.ty {
        Type::Reference(reference) => match &*reference.elem {
            Type::Path(path) => path.path.segments.last(),
            _ => None,
        },
        _ => None,
    };
    let Some(request) = request else {
        let text = "expected a reference to the request, such as `&PriceRequest<Params>`";
        return Err(Error::new_spanned(&argument.ty, text));
    };
    let params = match &request.arguments {
        PathArguments::AngleBracketed(arguments) => {
            arguments.args.iter().find_map(|argument| match argument {
                GenericArgument::Type(params) => Some(params.clone()),
                _ => None,
            })
        }
        _ => None,
    };
    let text = "expected the type of the parameters, such as `&PriceRequest<Params>`, or `&PriceRequest<()>` for none";
    params.ok_or_else(|| Error::new_spanned(request, text))
}

/// Calls the policy's function with as many of the hook's arguments as it takes.
fn call(policy: &Type, function: &ImplItemFn, arguments: &[&str]) -> Result<TokenStream> {
    let signature = &function.sig;
    let taken = signature.inputs.len();
    if taken == 0 || taken > arguments.len() {
        let text = format!(
            "`{}` takes {taken} arguments: expected {}, of which the last may be left out",
            signature.ident,
            arguments.join(", ")
        );
        return Err(Error::new_spanned(&signature.inputs, text));
    }
    if let Some(keyword) = &signature.asyncness {
        return Err(Error::new_spanned(
            keyword,
            "a hook answers at once: nothing in a policy is async",
        ));
    }
    let name = &signature.ident;
    let arguments: Vec<Ident> = arguments
        .iter()
        .take(taken)
        .map(|name| format_ident!("{name}"))
        .collect();
    Ok(quote!(<#policy>::#name(#(#arguments),*)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_str;

    fn expanded(block: &str) -> Result<String> {
        expand(&Arguments::default(), &parse_str(block)?).map(|tokens| tokens.to_string())
    }

    #[test]
    fn what_cannot_be_a_policy_is_refused_in_words_that_say_what_can() {
        for (block, words) in [
            (
                "impl P { fn price() {} }",
                "no hook: expected one or more of the functions",
            ),
            (
                "impl Trait for P { fn quote(r: &R<()>) {} }",
                "not one of a trait",
            ),
            ("impl<T> P<T> { fn quote(r: &R<()>) {} }", "no generic parameters"),
            ("impl P { fn quote() {} }", "expected the request first"),
            ("impl P { fn quote(&self) {} }", "expected the request first"),
            (
                "impl P { fn quote(r: PriceRequest<()>) {} }",
                "expected a reference to the request",
            ),
            (
                "impl P { fn quote(r: &PriceRequest) {} }",
                "expected the type of the parameters",
            ),
            (
                "impl P { fn quote(r: &PriceRequest<()>, a: u8, b: u8) {} }",
                "`quote` takes 3 arguments",
            ),
            (
                "impl P { async fn quote(r: &PriceRequest<()>) {} }",
                "answers at once",
            ),
        ] {
            let error = expanded(block).unwrap_err().to_string();
            assert!(error.contains(words), "{block}: {error}");
        }
        let error = parse_str::<Arguments>("title = \"x\"").err().unwrap().to_string();
        assert!(
            error.contains("expected `name`, `version` or `summary`"),
            "{error}"
        );
    }

    #[test]
    fn a_component_exports_the_hooks_that_are_there_and_no_others() {
        let exports = |block: &str| -> Vec<&str> {
            let written = expanded(block).unwrap();
            [
                "export_describe",
                "export_pricing",
                "export_offers",
                "export_consent",
            ]
            .into_iter()
            .filter(|export| written.contains(export))
            .collect()
        };
        assert_eq!(
            exports("impl P { fn filter(r: &FilterRequest<()>, o: &Batch<'_>) -> Verdict {} }"),
            ["export_describe", "export_offers"]
        );
        assert_eq!(
            exports("impl P { fn quote(r: &R<A>) {} fn authorize(r: &R<A>, h: &impl State) {} }"),
            ["export_describe", "export_pricing", "export_consent"]
        );
    }

    #[test]
    fn a_policy_is_described_by_its_package_unless_it_says_otherwise() {
        let block = "/// Halves it. And so on.\nimpl P { fn quote(r: &R<()>) {} }";
        let written = expanded(block).unwrap();
        assert!(
            written.contains("SUMMARY : & 'static str = \"Halves it.\""),
            "{written}"
        );
        assert!(written.contains("\"CARGO_PKG_VERSION\""), "{written}");
        let arguments = parse_str("name = \"half\", summary = \"Half.\"").unwrap();
        let written = expand(&arguments, &parse_str(block).unwrap())
            .unwrap()
            .to_string();
        assert!(written.contains("NAME : & 'static str = \"half\""), "{written}");
        assert!(
            written.contains("\"Half.\"") && !written.contains("Halves"),
            "{written}"
        );
        let bare = expanded("impl P { fn quote(r: &R<()>) {} }").unwrap();
        assert!(bare.contains("\"CARGO_PKG_DESCRIPTION\""), "{bare}");
    }
}
