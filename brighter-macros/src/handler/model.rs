//! The item of `#[handler]`.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Generics, Path, Signature, Token, Type, Visibility, braced};

use crate::condition::Condition;

/// The type of `#[handler(Request)]`.
pub(super) type HandlerType = syn::DeriveInput;

/// The argument of a handler's method.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// The parameter `request: &R`.
    Request,
    /// The parameter `batch: Batch<'_, R>`.
    Batch,
}

/// An impl `impl Handler<R> for H { … }`. The bodies of its methods are kept unparsed: they may be half typed, and do
/// not matter here.
pub(super) struct HandlerImpl {
    pub(super) attributes: Vec<Attribute>,
    pub(super) unsafety: Option<Token![unsafe]>,
    pub(super) impl_token: Token![impl],
    pub(super) generics: Generics,
    pub(super) trait_: Path,
    pub(super) for_token: Token![for],
    pub(super) self_type: Type,
    pub(super) inner: Vec<Attribute>,
    pub(super) members: Vec<Member>,
}

/// The trait that the impl is one of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `Handler`
    Plain,
    /// `TransactionalHandler`: its `handle` has a transaction.
    Transactional,
    /// There is a mistake in the parameters, which has been reported.
    Wrong,
}

pub(super) struct Member {
    pub(super) attributes: Vec<Attribute>,
    pub(super) content: Content,
}

pub(super) enum Content {
    Method(Box<HandlerMethod>),
    /// The member `type Error = …;`.
    Error(TokenStream),
    Other(TokenStream),
}

pub(super) struct HandlerMethod {
    pub(super) visibility: Visibility,
    pub(super) signature: Signature,
    pub(super) body: TokenStream,
}

impl HandlerImpl {
    /// Returns each `handle` with its attributes. With `cfg` there may be several, and the compiler keeps one of them.
    pub(super) fn handles(&self) -> impl Iterator<Item = (&Vec<Attribute>, &HandlerMethod)> {
        self.members.iter().filter_map(|member| match &member.content {
            Content::Method(method) if method.is_handle() => Some((&member.attributes, &**method)),
            _ => None,
        })
    }

    pub(super) fn handles_mut(&mut self) -> impl Iterator<Item = &mut HandlerMethod> {
        let members = self.members.iter_mut();
        members.filter_map(|member| match &mut member.content {
            Content::Method(method) if method.is_handle() => Some(&mut **method),
            _ => None,
        })
    }

    /// Returns the condition of each `type Error`.
    pub(super) fn errors(&self) -> Vec<Condition> {
        let members = self.members.iter();
        let errors = members.filter(|member| matches!(member.content, Content::Error(_)));
        errors.map(|error| Condition::of(&error.attributes)).collect()
    }

    /// Adds a member under this condition.
    pub(super) fn add(&mut self, condition: &Condition, content: Content) {
        let attributes = condition.attributes();
        self.members.insert(0, Member { attributes, content });
    }
}

impl Member {
    pub(super) fn is_handle(&self) -> bool {
        matches!(&self.content, Content::Method(method) if method.is_handle())
    }
}

impl HandlerMethod {
    fn is_handle(&self) -> bool {
        self.signature.ident.unraw() == "handle"
    }
}

impl Parse for HandlerImpl {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let unsafety = input.parse()?;
        let impl_token = input.parse()?;
        let mut generics: Generics = input.parse()?;
        let trait_: Path = input.parse()?;
        let Some(for_token) = input.parse()? else {
            return Err(syn::Error::new_spanned(
                trait_,
                "`#[handler]` stands above an impl of `Handler`; write `impl Handler<…> for …`",
            ));
        };
        let self_type = input.parse()?;
        generics.where_clause = input.parse()?;
        let content;
        braced!(content in input);
        let inner = content.call(Attribute::parse_inner)?;
        let mut members = Vec::new();
        while !content.is_empty() {
            members.push(content.parse()?);
        }
        Ok(Self {
            attributes,
            unsafety,
            impl_token,
            generics,
            trait_,
            for_token,
            self_type,
            inner,
            members,
        })
    }
}

impl Parse for Member {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let tokens = until_end(input)?;
        let content = match syn::parse2(tokens.clone()) {
            Ok(method) => Content::Method(Box::new(method)),
            Err(_) if is_error(&tokens) => Content::Error(tokens),
            Err(_) => Content::Other(tokens),
        };
        Ok(Self { attributes, content })
    }
}

impl Parse for HandlerMethod {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        Ok(Self {
            visibility: input.parse()?,
            signature: input.parse()?,
            body: input.parse::<Group>()?.into_token_stream(),
        })
    }
}

/// Returns the tokens of a member, which ends with a `;` or with braces.
fn until_end(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let mut tokens = TokenStream::new();
    let mut ended = false;
    while !ended && !input.is_empty() {
        ended = input.peek(Token![;]) || input.peek(syn::token::Brace);
        tokens.extend([input.parse::<TokenTree>()?]);
    }
    Ok(tokens)
}

fn is_error(member: &TokenStream) -> bool {
    let mut words = member.clone().into_iter().map(|token| token.to_string());
    words.next().is_some_and(|word| word == "type") && words.next().is_some_and(|word| word == "Error")
}

impl ToTokens for Member {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        for attribute in &self.attributes {
            attribute.to_tokens(tokens);
        }
        match &self.content {
            Content::Method(method) => {
                method.visibility.to_tokens(tokens);
                method.signature.to_tokens(tokens);
                method.body.to_tokens(tokens);
            }
            Content::Error(content) | Content::Other(content) => content.to_tokens(tokens),
        }
    }
}
