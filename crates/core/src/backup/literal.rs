//! Python literals, as barman writes them into `backup.info` (`repr`, read back by `ast.literal_eval`).

use core::fmt;
use core::fmt::Write as _;

/// How deep a value may be nested; barman's go to three.
const DEEPEST: usize = 16;

/// A value of Python's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// `None`
    None,
    /// `True`, `False`
    Bool(bool),
    /// An integer or a float, with its digits as they were written.
    Number(String),
    /// `'text'`
    Text(String),
    /// `[a, b]`
    List(Vec<Literal>),
    /// `(a, b)`
    Tuple(Vec<Literal>),
    /// `{a: b}`, in the order in which it was written.
    Dict(Vec<(Literal, Literal)>),
}

/// The text is no literal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read {text:?} as a Python literal: it stops making sense at byte {at}")]
pub struct LiteralError {
    /// The text.
    pub text: String,
    /// Where reading stopped.
    pub at: usize,
}

impl Literal {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A whole number.
    #[must_use]
    pub fn integer(number: u64) -> Self {
        Self::Number(number.to_string())
    }

    /// Seconds with their microseconds, as `total_seconds()` prints them: `0.467561`, `12.0`.
    #[must_use]
    pub fn seconds(duration: core::time::Duration) -> Self {
        let fraction = format!("{:06}", duration.subsec_micros());
        let digits = fraction.trim_end_matches('0');
        Self::Number(format!("{}.{}", duration.as_secs(), if digits.is_empty() { "0" } else { digits }))
    }

    /// Reads one literal, with nothing but blanks around it.
    ///
    /// # Errors
    /// [`LiteralError`] says where it stops being one.
    pub fn parse(text: &str) -> Result<Self, LiteralError> {
        let mut reader = Reader { rest: text };
        let read = reader.value(0);
        reader.blanks();
        match read {
            Some(value) if reader.rest.is_empty() => Ok(value),
            _ => Err(LiteralError { text: text.to_owned(), at: text.len().saturating_sub(reader.rest.len()) }),
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The parts of a list or a tuple.
    #[must_use]
    pub fn items(&self) -> Option<&[Literal]> {
        match self {
            Self::List(items) | Self::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// The number, if it is a whole one that fits.
    #[must_use]
    pub fn as_integer(&self) -> Option<u64> {
        match self {
            Self::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }
}

/// `repr(text)`.
fn quote(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    f.write_char(quote)?;
    for c in text.chars() {
        let code = u32::from(c);
        match c {
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c if c == quote => write!(f, "\\{c}")?,
            ' ' => f.write_char(' ')?,
            c if !c.is_control() && !c.is_whitespace() => f.write_char(c)?,
            _ if code <= 0xFF => write!(f, "\\x{code:02x}")?,
            _ if code <= 0xFFFF => write!(f, "\\u{code:04x}")?,
            _ => write!(f, "\\U{code:08x}")?,
        }
    }
    f.write_char(quote)
}

fn list(items: &[Literal], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (number, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if number == 0 { "" } else { ", " })?;
    }
    Ok(())
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bool(true) => f.write_str("True"),
            Self::Bool(false) => f.write_str("False"),
            Self::Number(digits) => f.write_str(digits),
            Self::Text(text) => quote(text, f),
            Self::List(items) => {
                f.write_char('[')?;
                list(items, f)?;
                f.write_char(']')
            }
            Self::Tuple(items) => {
                f.write_char('(')?;
                list(items, f)?;
                f.write_str(if items.len() == 1 { ",)" } else { ")" })
            }
            Self::Dict(pairs) => {
                f.write_char('{')?;
                for (number, (key, value)) in pairs.iter().enumerate() {
                    write!(f, "{}{key}: {value}", if number == 0 { "" } else { ", " })?;
                }
                f.write_char('}')
            }
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, word: &str) -> bool {
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        Some(c)
    }

    fn value(&mut self, depth: usize) -> Option<Literal> {
        if depth > DEEPEST {
            return None;
        }
        self.blanks();
        for (word, value) in [("None", Literal::None), ("True", Literal::Bool(true)), ("False", Literal::Bool(false))] {
            if self.take(word) {
                return Some(value);
            }
        }
        match self.rest.chars().next()? {
            '[' => self.items("[", "]", depth).map(|(items, _)| Literal::List(items)),
            '(' => match self.items("(", ")", depth)? {
                // Brackets around one value, without a comma, only group it.
                (mut items, false) if items.len() == 1 => items.pop(),
                (items, _) => Some(Literal::Tuple(items)),
            },
            '{' => self.dict(depth),
            '\'' | '"' => self.text(),
            // Python 2 marked its texts.
            'u' | 'U' => {
                self.next();
                self.text()
            }
            _ => self.number(),
        }
    }

    /// What is between two brackets, and whether a comma followed the last.
    fn items(&mut self, open: &str, close: &str, depth: usize) -> Option<(Vec<Literal>, bool)> {
        let (mut items, mut comma) = (Vec::new(), false);
        self.take(open);
        loop {
            self.blanks();
            if self.take(close) {
                return Some((items, comma));
            }
            if !items.is_empty() && !comma {
                return None;
            }
            items.push(self.value(depth.saturating_add(1))?);
            self.blanks();
            comma = self.take(",");
        }
    }

    fn dict(&mut self, depth: usize) -> Option<Literal> {
        let (mut pairs, mut comma) = (Vec::new(), true);
        self.take("{");
        loop {
            self.blanks();
            if self.take("}") {
                return Some(Literal::Dict(pairs));
            }
            if !comma {
                return None;
            }
            let key = self.value(depth.saturating_add(1))?;
            self.blanks();
            if !self.take(":") {
                return None;
            }
            pairs.push((key, self.value(depth.saturating_add(1))?));
            self.blanks();
            comma = self.take(",");
        }
    }

    fn number(&mut self) -> Option<Literal> {
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.'))
            .unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at_checked(end)?;
        // Python 2 marked its long integers.
        let digits = digits.strip_suffix('L').unwrap_or(digits);
        let plain = digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
        if !plain || digits.parse::<f64>().is_err() {
            return None;
        }
        self.rest = rest;
        Some(Literal::Number(digits.to_owned()))
    }

    fn text(&mut self) -> Option<Literal> {
        let quote = self.next().filter(|c| matches!(c, '\'' | '"'))?;
        let mut text = String::new();
        loop {
            match self.next()? {
                c if c == quote => return Some(Literal::Text(text)),
                '\\' => self.escape(&mut text)?,
                c => text.push(c),
            }
        }
    }

    /// Python reference, "String and Bytes literals": an escape that is none stays as it is.
    fn escape(&mut self, text: &mut String) -> Option<()> {
        let c = match self.next()? {
            '\n' => return Some(()),
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            'x' => self.code(2, 16)?,
            'u' => self.code(4, 16)?,
            'U' => self.code(8, 16)?,
            c @ ('\\' | '\'' | '"') => c,
            c @ '0'..='7' => {
                let mut code = c.to_digit(8)?;
                for _ in 0..2 {
                    let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)) else { break };
                    self.next();
                    code = code * 8 + digit;
                }
                char::from_u32(code)?
            }
            other => {
                text.push('\\');
                other
            }
        };
        text.push(c);
        Some(())
    }

    fn code(&mut self, digits: usize, radix: u32) -> Option<char> {
        let (code, rest) = self.rest.split_at_checked(digits)?;
        let plain = code.bytes().all(|b| b.is_ascii_hexdigit());
        self.rest = rest;
        plain.then(|| u32::from_str_radix(code, radix).ok()).flatten().and_then(char::from_u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use proptest::prelude::*;

    #[test]
    fn writes_what_python_writes() {
        let text = |text: &str| Literal::text(text).to_string();
        assert_eq!(text("a\nb\t\\ \u{1}\u{a0}é\u{2028}"), "'a\\nb\\t\\\\ \\x01\\xa0é\\u2028'");
        assert_eq!(text("it's"), "\"it's\"");
        assert_eq!(text("it's \"it\""), "'it\\'s \"it\"'");
        let tablespace = Literal::Tuple(vec![Literal::text("ts1"), Literal::integer(16384), Literal::text("/ts")]);
        assert_eq!(Literal::List(vec![tablespace]).to_string(), "[('ts1', 16384, '/ts')]");
        assert_eq!(Literal::Tuple(vec![Literal::None]).to_string(), "(None,)");
        for (micros, printed) in [(467_561, "0.467561"), (12_000_000, "12.0"), (0, "0.0"), (1_500_000, "1.5")] {
            assert_eq!(Literal::seconds(Duration::from_micros(micros)).to_string(), printed);
        }
    }

    #[test]
    fn reads_what_python_wrote() {
        for (text, same) in [
            ("[]", "[]"),
            ("()", "()"),
            (" [ 'a' , 'b' ] ", "['a', 'b']"),
            ("['a',]", "['a']"),
            ("('a')", "'a'"),
            ("('a',)", "('a',)"),
            ("{'data': 0.325906, u'16384': 16384L, 'none': None}", "{'data': 0.325906, '16384': 16384, 'none': None}"),
            ("{}", "{}"),
            ("\"it's\"", "\"it's\""),
            ("'\\x41\\u0042\\U00000043\\104\\q'", "'ABCD\\\\q'"),
            ("-1.5e-05", "-1.5e-05"),
            ("[True, False]", "[True, False]"),
        ] {
            assert_eq!(Literal::parse(text).unwrap().to_string(), same, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for text in
            ["", "'", "'a", "[1", "[1 2]", "{1}", "{1: 2 3: 4}", "a", "1 2", "'\\x4'", "__import__('os')", "[,]", "--1"]
        {
            assert!(Literal::parse(text).is_err(), "{text}");
        }
        assert!(Literal::parse(&"[".repeat(100_000)).is_err());
    }

    fn literals() -> impl Strategy<Value = Literal> {
        let leaf = prop_oneof![
            Just(Literal::None),
            any::<bool>().prop_map(Literal::Bool),
            any::<u64>().prop_map(Literal::integer),
            "(?s).{0,20}".prop_map(Literal::Text),
        ];
        leaf.prop_recursive(4, 20, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Literal::List),
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Literal::Tuple),
                proptest::collection::vec((inner.clone(), inner), 0..3).prop_map(Literal::Dict),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_literal_survives_being_printed(literal in literals()) {
            prop_assert_eq!(Literal::parse(&literal.to_string()), Ok(literal));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(?s).*") {
            let _ = Literal::parse(&text);
        }
    }
}
