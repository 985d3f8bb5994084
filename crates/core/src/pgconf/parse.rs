//! Reads a configuration file as postgres does (`guc-file.l`), one line at a time.
//!
//! Directives (`include 'file'`) come out like parameters: it is the caller's to know that they are none.

use super::quote::read_conf_value;

/// A line that sets something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// As written; postgres compares names without case.
    pub name: String,
    /// Without its quotes.
    pub value: String,
}

/// A line that postgres would not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read line {line} of a configuration file: expected NAME = 'VALUE'")]
pub struct ConfError {
    /// From 1.
    pub line: usize,
}

/// The settings in their order; of those with one name the last counts.
///
/// # Errors
/// [`ConfError`] names the first line that is wrong.
pub fn parse(text: &str) -> Result<Vec<Setting>, ConfError> {
    let mut settings = Vec::new();
    for (line, content) in (1..).zip(text.split('\n')) {
        let content = content.trim_matches(blank);
        if !content.is_empty() && !content.starts_with('#') {
            settings.push(setting(content).ok_or(ConfError { line })?);
        }
    }
    Ok(settings)
}

/// The value that counts for `name`.
#[must_use]
pub fn last<'a>(settings: &'a [Setting], name: &str) -> Option<&'a str> {
    settings.iter().rev().find(|s| s.name.eq_ignore_ascii_case(name)).map(|s| s.value.as_str())
}

fn blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\u{c}')
}

fn setting(line: &str) -> Option<Setting> {
    let (name, rest) = split_while(line, |c| word(c) || c == '.');
    let rest = rest.trim_start_matches(blank);
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start_matches(blank);
    let (value, rest) = if rest.starts_with('\'') { quoted(rest)? } else { unquoted(rest)? };
    let rest = rest.trim_start_matches(blank);
    let good = is_name(name) && (rest.is_empty() || rest.starts_with('#'));
    good.then(|| Setting { name: name.to_owned(), value })
}

/// A letter, for postgres, is also every byte above 127.
fn word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '$') || !c.is_ascii()
}

fn is_name(name: &str) -> bool {
    let part = |part: &str| part.starts_with(|c: char| word(c) && !c.is_ascii_digit() && c != '$');
    name.split_once('.')
        .map_or_else(|| part(name), |(extension, name)| part(extension) && part(name) && !name.contains('.'))
}

fn split_while(text: &str, keep: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !keep(c)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn unquoted(text: &str) -> Option<(String, &str)> {
    let (value, rest) = split_while(text, |c| word(c) || matches!(c, '-' | '+' | '.' | ':' | '/'));
    (!value.is_empty()).then(|| (value.to_owned(), rest))
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let mut chars = text.char_indices().skip(1).peekable();
    let end = loop {
        match chars.next()? {
            (_, '\\') => drop(chars.next()?),
            (_, '\'') if chars.next_if(|(_, c)| *c == '\'').is_some() => {}
            (at, '\'') => break at + 1,
            _ => {}
        }
    };
    let (value, rest) = text.split_at_checked(end)?;
    Some((read_conf_value(value)?, rest))
}

#[cfg(test)]
mod tests {
    use super::super::quote::conf_value;
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().into_iter().map(|s| (s.name, s.value)).collect()
    }

    #[test]
    fn reads_what_initdb_and_people_write() {
        let text = "# comment\n\nmax_connections = 100\t\t\t# (change requires restart)\nport=5432\r\n\
            datestyle 'iso, mdy'\n  work_mem = 4MB\ninclude 'custom.conf'\nlog_timezone = 'Etc/UTC'\n\
            a.b = ''\nrandom_page_cost = 1.1\nlog_line_prefix = '%m [%p] it''s \\'x\\' # no comment'\noffset = -1";
        let want = [
            ("max_connections", "100"),
            ("port", "5432"),
            ("datestyle", "iso, mdy"),
            ("work_mem", "4MB"),
            ("include", "custom.conf"),
            ("log_timezone", "Etc/UTC"),
            ("a.b", ""),
            ("random_page_cost", "1.1"),
            ("log_line_prefix", "%m [%p] it's 'x' # no comment"),
            ("offset", "-1"),
        ];
        assert_eq!(pairs(text), want.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn the_last_of_one_name_counts() {
        let settings = parse("work_mem = 1\nWork_Mem = 2\nport = 3").unwrap();
        assert_eq!(last(&settings, "WORK_MEM"), Some("2"));
        assert_eq!(last(&settings, "shared_buffers"), None);
    }

    #[test]
    fn names_the_line_that_postgres_would_refuse() {
        for bad in [
            "work_mem",
            "work_mem =",
            "= 1",
            "1a = 1",
            "a.b.c = 1",
            "a = 'x",
            "a = 'x' y",
            "a = b c",
            "a = \"b\"",
            "a = 'x\\'",
        ] {
            assert_eq!(parse(&format!("port = 1\n{bad}\n")), Err(ConfError { line: 2 }), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_setting_survives_being_written(name in "[a-z_]{1,8}(\\.[a-z_]{1,8})?", value in "(?s)[^\0]{0,30}") {
            let text = format!("{name} = {} # a comment\n", conf_value(&value));
            prop_assert_eq!(parse(&text), Ok(vec![Setting { name, value }]));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "([a-z.=' \\\\#\n1é]{0,20}){0,4}|(?s).*") {
            let _ = parse(&text);
        }
    }
}
