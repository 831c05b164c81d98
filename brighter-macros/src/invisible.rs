//! Opens the invisible groups around the fragments of a `macro_rules`.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// Opens the groups around a whole item, a member or a body, which are read token by token. Types and expressions stay
/// in their groups: `&$t` is one reference, whatever `$t` is.
pub(crate) fn open(item: TokenStream) -> TokenStream {
    let mut opened: Vec<TokenTree> = open_here(item).into_iter().collect();
    // The members of an item are between its last braces. The content of a member does not matter here.
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

/// Returns whether the group ends like an item, or begins with an attribute.
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
