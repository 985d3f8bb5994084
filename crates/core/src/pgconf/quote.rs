//! Values as configuration files and connection strings want them written.

/// A value for `postgresql.conf`, in single quotes, so that postgres reads back exactly `value`.
///
/// Quotes are doubled, backslashes and line ends escaped (`GUC_scanstr`, `guc-file.l`). A NUL cannot be
/// written; [`super::render()`] refuses it before.
#[must_use]
pub fn conf_value(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('\'');
    for c in value.chars() {
        match c {
            '\'' => out.push_str("''"),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            other => out.push(other),
        }
    }
    out.push('\'');
    out
}

/// A value for a libpq connection string, in single quotes (libpq documentation, "Keyword/Value Connection Strings").
#[must_use]
pub fn conninfo_value(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Reads one quoted value back, as `GUC_scanstr` does: the inverse of [`conf_value`].
#[must_use]
pub fn read_conf_value(text: &str) -> Option<String> {
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => out.push(chars.next().filter(|next| *next == '\'')?),
            '\\' => out.push(match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'b' => '\u{8}',
                'f' => '\u{c}',
                digit @ '0'..='7' => {
                    let mut code = digit.to_digit(8)?;
                    for _ in 0..2 {
                        let Some(next) = chars.clone().next().and_then(|c| c.to_digit(8)) else { break };
                        code = code * 8 + next;
                        chars.next();
                    }
                    // A byte above 127 may be a part of a character only: we write none, and read none.
                    char::from_u32(code).filter(|c| c.is_ascii() && *c != '\0')?
                }
                other => other,
            }),
            '\n' => return None,
            other => out.push(other),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_backslashes_and_line_ends_are_escaped() {
        assert_eq!(conf_value("64MB"), "'64MB'");
        assert_eq!(conf_value(r"it's a \ b"), r"'it''s a \\ b'");
        assert_eq!(conf_value("a\nb"), r"'a\nb'");
        assert_eq!(conninfo_value(r"it's a \"), r"'it\'s a \\'");
        assert_eq!(read_conf_value("'a'b'"), None);
        assert_eq!(read_conf_value("'"), None);
        assert_eq!(read_conf_value(r"'\'"), None);
        assert_eq!(read_conf_value(r"'\1018\0411'").as_deref(), Some("A8!1"));
        assert_eq!(read_conf_value(r"'\351'"), None);
    }

    proptest! {
        #[test]
        fn every_value_is_read_back_as_it_was(value in "(?s)[^\0]*") {
            let quoted = conf_value(&value);
            prop_assert!(!quoted.contains('\n'));
            prop_assert_eq!(read_conf_value(&quoted), Some(value));
        }
    }
}
