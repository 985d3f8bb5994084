//! What the pgaudit extension says in postgres' log: the CSV behind `AUDIT: ` as named fields, as CNPG has them.

use csv::ByteRecord;

const TAG: &[u8] = b"AUDIT: ";

/// pgaudit's documentation, "Format"; the last is there with `pgaudit.log_rows`.
const COLUMNS: [&str; 10] = [
    "audit_type",
    "statement_id",
    "substatement_id",
    "class",
    "command",
    "object_type",
    "object_name",
    "statement",
    "parameter",
    "rows",
];

/// The fields of a message, those that are empty too. None where it is not pgaudit's, or is anything that the message
/// could not be made from again: an audit trail loses nothing.
pub(crate) fn fields(message: &[u8]) -> Option<Vec<(&'static str, String)>> {
    let text = message.strip_prefix(TAG)?;
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text);
    let row = reader.byte_records().next()?.ok()?;
    if !matches!(row.len(), 9 | 10) || !is_all_of(text, &row) {
        return None;
    }
    let cells = COLUMNS.iter().zip(row.iter());
    Some(cells.map(|(name, cell)| (*name, String::from_utf8_lossy(cell).into_owned())).collect())
}

/// Whether `text` is this row and nothing else: the reader takes quotes that do not close, text behind those that do, and
/// further rows without a word.
fn is_all_of(text: &[u8], row: &ByteRecord) -> bool {
    let mut rest = Some(text);
    for (index, cell) in row.iter().enumerate() {
        let behind = if index == 0 { rest } else { rest.and_then(|rest| rest.strip_prefix(b",")) };
        rest = behind.and_then(|text| text.strip_prefix(quoted(cell).as_slice()).or_else(|| text.strip_prefix(cell)));
    }
    rest.is_some_and(<[u8]>::is_empty)
}

fn quoted(cell: &[u8]) -> Vec<u8> {
    let doubled = cell.iter().flat_map(|byte| std::iter::repeat_n(*byte, if *byte == b'"' { 2 } else { 1 }));
    std::iter::once(b'"').chain(doubled).chain([b'"']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The values that are not empty.
    fn said(message: &str) -> Option<Vec<(&'static str, String)>> {
        Some(fields(message.as_bytes())?.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }

    #[test]
    fn a_statement_with_quotes_commas_and_newlines_is_one_field() {
        let message = concat!(
            "AUDIT: SESSION,2,1,READ,SELECT,TABLE,\"public.\"\"a \"\"\"\"b\"\"\"\", c\"\"\",",
            "\"SELECT 'it''s',\n  \"\"id\"\" FROM \"\"a\"\";\",<not logged>"
        );
        let wanted = [
            ("audit_type", "SESSION"),
            ("statement_id", "2"),
            ("substatement_id", "1"),
            ("class", "READ"),
            ("command", "SELECT"),
            ("object_type", "TABLE"),
            ("object_name", "public.\"a \"\"b\"\", c\""),
            ("statement", "SELECT 'it''s',\n  \"id\" FROM \"a\";"),
            ("parameter", "<not logged>"),
        ];
        assert_eq!(said(message).unwrap(), wanted.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn parameters_are_none_or_csv_of_their_own_and_rows_are_there_if_they_are_logged() {
        let last = |message: &str, count: usize| -> Vec<String> {
            let all = said(message).unwrap();
            all.iter().rev().take(count).rev().map(|(name, value)| format!("{name}={value}")).collect()
        };
        let none = "AUDIT: SESSION,6,1,READ,SELECT,,,SELECT 1;,<none>";
        assert_eq!(last(none, 2), ["statement=SELECT 1;", "parameter=<none>"]);
        let given = "AUDIT: OBJECT,5,1,READ,SELECT,,,\"SELECT $1, $2\",\"\"\"x, \"\"\"\"y\"\"\"\"\"\",7\"";
        assert_eq!(last(given, 1), ["parameter=\"x, \"\"y\"\"\",7"]);
        assert_eq!(last(&format!("{none},12"), 2), ["parameter=<none>", "rows=12"]);
    }

    #[test]
    fn what_is_malformed_or_has_other_fields_than_are_known_stays_as_it_was() {
        for message in [
            "",
            "AUDIT: ",
            "AUDIT:",
            "audit: SESSION,1,1,READ,SELECT,,,a,<none>",
            "an AUDIT: SESSION,1,1,READ,SELECT,,,a,<none>",
            "AUDIT: SESSION,1,1,READ,SELECT,,,a",
            "AUDIT: SESSION,1,1,READ,SELECT,,,a,<none>,1,more",
            "AUDIT: SESSION,1,1,READ,SELECT,,,\"a,<none>",
            "AUDIT: SESSION,1,1,READ,SELECT,,,\"a\"b,<none>",
            "AUDIT: SESSION,1,1,READ,SELECT,,,a,<none>\nSESSION",
            "AUDIT: \nSESSION,1,1,READ,SELECT,,,a,<none>",
            "AUDIT: \u{feff}SESSION,1,1,READ,SELECT,,,a,<none>",
        ] {
            assert_eq!(said(message), None, "{message:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_as_pgaudit_writes_it_is_read_as_it_was(cells in prop::collection::vec(".{0,12}", 9..=10)) {
            let written = cells.iter().map(|cell| {
                let plain = !cell.contains([',', '"', '\n', '\r']);
                if plain { cell.clone() } else { format!("\"{}\"", cell.replace('"', "\"\"")) }
            });
            let message = format!("AUDIT: {}", written.collect::<Vec<_>>().join(","));
            // A mark at the very beginning is the reader's: the type is never one.
            prop_assume!(!cells[0].starts_with('\u{feff}'));
            let read = fields(message.as_bytes()).unwrap();
            prop_assert_eq!(read.into_iter().map(|(_, value)| value).collect::<Vec<_>>(), cells);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(fields(&[TAG, bytes.as_slice()].concat()));
        }
    }
}
