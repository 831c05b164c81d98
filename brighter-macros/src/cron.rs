//! `cron!`: a cron expression that the compiler checks.

use brighter_cron::Cron;
use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Ident, LitStr, Path, Token, Visibility};

use crate::path::Private;

const FORMS: &str =
    "write `cron!(\"30 2 * * MON-FRI\")`, or `cron!(pub const NIGHTLY = \"30 2 * * MON-FRI\");`";

/// The input of the macro.
struct CronInput {
    constant: Option<Constant>,
    expression: LitStr,
    private: Private,
}

/// The head of a constant.
struct Constant {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    name: Ident,
}

impl Parse for CronInput {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let constant = if input.peek(LitStr) {
            None
        } else {
            Some(Constant::parse(input).map_err(with_forms)?)
        };
        let expression: LitStr = input.parse().map_err(with_forms)?;
        let mut private = Private::USUAL;
        if input.parse::<Option<Token![,]>>()?.is_some() && input.peek(Token![crate]) {
            input.parse::<Token![crate]>()?;
            input.parse::<Token![=]>()?;
            private = Private::below(input.call(Path::parse_mod_style)?);
        }
        input.parse::<Option<Token![;]>>()?;
        if !input.is_empty() {
            return Err(with_forms(input.error("unexpected tokens")));
        }
        Ok(Self {
            constant,
            expression,
            private,
        })
    }
}

impl Constant {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        input.parse::<Token![const]>()?;
        let name = input.parse()?;
        input.parse::<Token![=]>()?;
        Ok(Self {
            attributes,
            visibility,
            name,
        })
    }
}

fn with_forms(error: syn::Error) -> syn::Error {
    syn::Error::new(error.span(), format!("no cron expression; {FORMS}"))
}

/// Returns the expression or the constant. A mistake stands inside of what is returned, which has to be one expression.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let written = match syn::parse2::<CronInput>(input) {
        Ok(written) => written,
        Err(error) => return error.to_compile_error(),
    };
    let CronInput {
        constant,
        expression,
        private,
    } = written;
    let text = expression.value();
    let (words, mistake) = match Cron::parse(text.as_str()) {
        Ok(cron) => (format!("{} (`{text}`)", cron.words()), None),
        Err(error) => {
            let error = syn::Error::new(expression.span(), error).to_compile_error();
            (String::new(), Some(quote!(#error;)))
        }
    };
    let value = quote!(#private::Cron::checked(#expression));
    match constant {
        Some(Constant {
            attributes,
            visibility,
            name,
        }) => quote! {
            #[doc = #words]
            #(#attributes)*
            #visibility const #name: #private::Cron = { #mistake #value };
        },
        None => quote! {
            {
                #mistake
                #[doc = #words]
                const CRON: #private::Cron = #value;
                CRON
            }
        },
    }
}
