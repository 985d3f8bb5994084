//! What a piece of Rust reads: the names behind a dot and in patterns, the constants it uses, the texts in it. Comments,
//! and what is compiled for tests only, do not count. By name, not by type: enough to find what nobody reads at all.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use std::collections::BTreeSet;

/// Names and texts.
#[derive(Debug, Default)]
pub struct Reads {
    /// Fields and methods: `x.name`, and `name` of a pattern `X { name, .. }`.
    pub fields: BTreeSet<String>,
    /// Every name.
    pub names: BTreeSet<String>,
    /// Every literal as it is written.
    pub literals: BTreeSet<String>,
}

impl Reads {
    /// Those of one file.
    ///
    /// # Errors
    /// If it is not Rust.
    pub fn of(code: &str) -> anyhow::Result<Self> {
        let mut found = Self::default();
        let tokens = code.parse().map_err(|error: proc_macro2::LexError| anyhow::anyhow!("{error}"))?;
        found.walk(tokens);
        Ok(found)
    }

    /// Of several files together.
    pub fn extend(&mut self, other: &Reads) {
        self.fields.extend(other.fields.iter().cloned());
        self.names.extend(other.names.iter().cloned());
        self.literals.extend(other.literals.iter().cloned());
    }

    fn walk(&mut self, tokens: TokenStream) {
        let mut tokens = tokens.into_iter();
        // How many dots stand right before the present token: one is a field, two are a range or a rest.
        let mut dots = 0_usize;
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '.' => {
                    dots = dots.saturating_add(1);
                    continue;
                }
                TokenTree::Punct(punct) if punct.as_char() == '#' => match tokens.next() {
                    Some(TokenTree::Group(group)) if is_for_tests(&group) => skip_item(&mut tokens),
                    Some(TokenTree::Group(group)) => self.walk(group.stream()),
                    _ => {}
                },
                TokenTree::Group(group) => {
                    self.fields.extend(pattern(&group));
                    self.walk(group.stream());
                }
                TokenTree::Ident(name) => {
                    if dots == 1 {
                        self.fields.insert(name.to_string());
                    }
                    self.names.insert(name.to_string());
                }
                TokenTree::Literal(literal) => {
                    self.literals.insert(literal.to_string());
                }
                TokenTree::Punct(_) => {}
            }
            dots = 0;
        }
    }
}

fn is_for_tests(attribute: &Group) -> bool {
    attribute.stream().to_string().split_whitespace().collect::<String>() == "cfg(test)"
}

/// Up to the end of an item: its body, or its semicolon.
fn skip_item(tokens: &mut impl Iterator<Item = TokenTree>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return,
            TokenTree::Punct(punct) if punct.as_char() == ';' => return,
            _ => {}
        }
    }
}

/// The fields of `{ name, other: place, .. }`: braces that end in two dots are a pattern, and nothing else.
fn pattern(group: &Group) -> Vec<String> {
    let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
    let is_dot = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == '.');
    if group.delimiter() != Delimiter::Brace || !matches!(tokens.as_slice(), [.., a, b] if is_dot(a) && is_dot(b)) {
        return Vec::new();
    }
    let parts = tokens.split(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ','));
    let name = |part: &[TokenTree]| match part.first() {
        Some(TokenTree::Ident(name)) => Some(name.to_string()),
        _ => None,
    };
    parts.filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::Reads;

    #[test]
    fn fields_and_patterns_are_read_and_comments_texts_and_tests_are_not() {
        let code = r#"
            // spec.comment
            fn a(spec: &Spec) -> u8 { let Spec { one, two: x, .. } = spec; Other { three: 3, ..Other::default() };
                let _ = 0..four; "spec.text"; labels::FIVE; spec.six().seven }
            #[cfg(test)]
            mod tests { fn b(spec: &Spec) { spec.tested; } }
            #[cfg(test)]
            #[path = "x.rs"]
            mod more;
            fn c(spec: &Spec) { spec . eight }
        "#;
        let reads = Reads::of(code).unwrap();
        assert_eq!(reads.fields.iter().collect::<Vec<_>>(), ["eight", "one", "seven", "six", "two"]);
        assert!(reads.names.contains("FIVE") && !reads.names.contains("tested"));
        assert!(reads.literals.contains("\"spec.text\""));
    }
}
