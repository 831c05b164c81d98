//! The invisible groups in which the fragments of a `macro_rules` arrive.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// Opens the groups that hold a whole item, a member or a body, which are looked at by their tokens. Types and
/// expressions stay in theirs: `&$t` is one reference, whatever `$t` is.
pub(crate) fn open(item: TokenStream) -> TokenStream {
    let mut opened: Vec<TokenTree> = open_here(item).into_iter().collect();
    // The members of an item stand between its last braces. What is inside a member is nothing to us.
    if let Some(TokenTree::Group(members)) = opened.last_mut()
        && members.delimiter() == Delimiter::Brace
    {
        let mut inner = Group::new(Delimiter::Brace, open_here(members.stream()));
        inner.set_span(members.span());
        *members = inner;
    }
    opened.into_iter().collect()
}

fn open_here(tokens: TokenStream) -> TokenStream {
    let mut opened = TokenStream::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::None && is_whole(&group) => {
                opened.extend(open_here(group.stream()));
            }
            token => opened.extend([token]),
        }
    }
    opened
}

/// Whether it ends as an item does, or begins with an attribute.
fn is_whole(group: &Group) -> bool {
    let tokens: Vec<_> = group.stream().into_iter().collect();
    let [first, .., last] = tokens.as_slice() else {
        return matches!(tokens.as_slice(), [TokenTree::Group(only)] if is_end_group(only));
    };
    let begins = matches!(first, TokenTree::Punct(pound) if pound.as_char() == '#');
    let ends = match last {
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Group(group) => is_end_group(group),
        _ => false,
    };
    begins || ends
}

fn is_end_group(group: &Group) -> bool {
    match group.delimiter() {
        Delimiter::Brace => true,
        Delimiter::None => is_whole(group),
        _ => false,
    }
}
