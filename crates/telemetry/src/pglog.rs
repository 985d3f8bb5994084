//! PostgreSQL's csvlog as JSON lines: CNPG's `{"logger":"postgres","msg":"record","record":{...}}`, and `"pgaudit"` with
//! `record.audit` in place of the message where that is pgaudit's.

use serde_json::{Map, Value};

use crate::log::line;
use crate::pgaudit;

/// A record longer than this is passed on as it came.
const LONGEST_RECORD: usize = 1 << 20;

/// Columns of csvlog (PostgreSQL documentation, "Using CSV-Format Log Output"). Each version has a prefix of
/// them: 23 up to 12, 24 in 13, all 26 since 14.
const COLUMNS: [&str; 26] = [
    "log_time",
    "user_name",
    "database_name",
    "process_id",
    "connection_from",
    "session_id",
    "session_line_num",
    "command_tag",
    "session_start_time",
    "virtual_transaction_id",
    "transaction_id",
    "error_severity",
    "sql_state_code",
    "message",
    "detail",
    "hint",
    "internal_query",
    "internal_query_pos",
    "context",
    "query",
    "query_pos",
    "location",
    "application_name",
    "backend_type",
    "leader_pid",
    "query_id",
];

const MESSAGE: &str = "message";

/// Cuts a stream of csvlog into records, which may hold newlines between quotes.
#[derive(Debug, Default)]
pub struct CsvLog {
    record: Vec<u8>,
    quoted: bool,
}

impl CsvLog {
    /// Takes the next bytes and passes on each record that is complete, without its newline.
    pub fn push(&mut self, bytes: &[u8], mut on_record: impl FnMut(&[u8])) {
        for &byte in bytes {
            if byte == b'\n' && !self.quoted || self.record.len() >= LONGEST_RECORD {
                if !self.record.is_empty() {
                    on_record(&self.record);
                }
                self.record.clear();
                self.quoted = false;
            }
            if byte != b'\n' || self.quoted {
                // A doubled quote inside a field turns this off and on again.
                self.quoted ^= byte == b'"';
                self.record.push(byte);
            }
        }
    }
}

/// The JSON line of one record; what is not csvlog becomes a plain message. Empty fields are left out, and
/// all values are text, as in CNPG.
#[must_use]
pub fn record_json(record: &[u8], pod: Option<&str>) -> String {
    let Some((logger, fields)) = parse(record) else {
        return line("info", "postgres", pod, &blotted(&String::from_utf8_lossy(record)), Map::new());
    };
    let record = Map::from_iter([("record".to_owned(), Value::Object(fields))]);
    line("info", logger, pod, "record", record)
}

/// Whose record it is, and what it says.
fn parse(record: &[u8]) -> Option<(&'static str, Map<String, Value>)> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(record);
    let row = reader.byte_records().next()?.ok()?;
    if !matches!(row.len(), 23 | 24 | 26) {
        return None;
    }
    let cells = || COLUMNS.iter().zip(row.iter()).filter(|(_, cell)| !cell.is_empty());
    let audit = cells().find(|(name, _)| **name == MESSAGE).and_then(|(_, cell)| pgaudit::fields(cell));
    let kept = cells().filter(|(name, _)| audit.is_none() || **name != MESSAGE);
    let text = |(name, cell): (&&str, &[u8])| ((*name).to_owned(), blotted(&String::from_utf8_lossy(cell)).into());
    let mut record: Map<String, Value> = kept.map(text).collect();
    let Some(audit) = audit else { return Some(("postgres", record)) };
    let said = audit.into_iter().filter(|(_, value)| !value.is_empty());
    let said = said.map(|(name, value)| (name.to_owned(), Value::from(blotted(&value))));
    record.insert("audit".to_owned(), Value::Object(said.collect()));
    Some(("pgaudit", record))
}

/// A text without the passwords of rules of `pg_hba.conf`: postgres quotes the rule when it has let somebody not in.
fn blotted(text: &str) -> String {
    const OPTION: &str = "ldapbindpasswd=";
    let mut pieces = text.split(OPTION);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        out.push_str(OPTION);
        out.push_str("***");
        out.push_str(piece.get(value_length(piece)..).unwrap_or_default());
    }
    out
}

/// How long the value is that a text begins with: up to a blank or comma outside of double quotes. A doubled quote ends
/// quotes and begins them again, and one that nothing ends has all of the rest.
fn value_length(text: &str) -> usize {
    let mut quoted = false;
    let end = text.find(|c: char| {
        quoted ^= c == '"';
        !quoted && (c.is_whitespace() || c == ',')
    });
    end.unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: &str = concat!(
        "2026-11-23 22:03:54.123 UTC,\"app\",\"app\",4711,\"10.0.0.1:5\",67.12,3,\"INSERT\",",
        "2026-11-23 22:03:50 UTC,3/4,0,ERROR,23505,\"duplicate \"\"key\"\"\nin line two\",,,,,,",
        "\"INSERT\",15,,\"psql\",\"client backend\",,0\n"
    );

    fn records(text: &str, piece: usize) -> Vec<Vec<u8>> {
        let (mut log, mut seen) = (CsvLog::default(), Vec::new());
        for bytes in text.as_bytes().chunks(piece) {
            log.push(bytes, |record| seen.push(record.to_vec()));
        }
        seen
    }

    #[test]
    fn a_record_with_a_newline_and_quotes_is_one_line_of_json() {
        let text = format!("{LINE}{LINE}");
        for piece in [1, 7, 4096] {
            let seen = records(&text, piece);
            assert_eq!(seen.len(), 2);
            let json: Value = serde_json::from_str(&record_json(&seen[1], Some("demo-1"))).unwrap();
            assert_eq!((&json["logger"], &json["msg"]), (&"postgres".into(), &"record".into()));
            assert_eq!(json["record"]["message"], "duplicate \"key\"\nin line two");
            assert_eq!((&json["record"]["query_pos"], &json["record"]["query_id"]), (&"15".into(), &"0".into()));
            assert!(json["record"].get("detail").is_none());
        }
    }

    #[test]
    fn a_password_in_a_rule_that_postgres_quotes_is_blotted_out() {
        let rule = "matched line 9: \"host all all 0.0.0.0/0 ldap ldapbindpasswd=\"a \"\"b, c\" ldapbinddn=\"cn=d\"\"";
        let blotted_rule = "matched line 9: \"host all all 0.0.0.0/0 ldap ldapbindpasswd=*** ldapbinddn=\"cn=d\"\"";
        assert_eq!(blotted(rule), blotted_rule);
        assert_eq!(blotted("ldapbindpasswd=sesame, ldapbindpasswd=\"open"), "ldapbindpasswd=***, ldapbindpasswd=***");
        let csv = LINE.replace("in line two", &rule.replace('"', "\"\""));
        let said = record_json(csv.as_bytes(), None);
        assert!(said.contains("ldapbindpasswd=***") && !said.contains("b, c"), "{said}");
        assert!(record_json(csv.as_bytes(), None).contains("\"record\""), "it is csvlog still: {said}");
        assert!(!record_json(rule.as_bytes(), None).contains("b, c"));
    }

    #[test]
    fn an_audit_record_has_its_fields_in_place_of_the_message_and_one_that_is_malformed_keeps_it() {
        let json = |message: &str| -> Value {
            let csv = LINE.replace("duplicate \"\"key\"\"\nin line two", &message.replace('"', "\"\""));
            serde_json::from_str(&record_json(csv.as_bytes(), Some("demo-1"))).unwrap()
        };
        let statement = "SELECT 'ldapbindpasswd=sesame',\n\"\"id\"\"";
        let good = json(&format!("AUDIT: SESSION,1,2,READ,SELECT,,,\"{statement}\",<none>"));
        assert_eq!((&good["logger"], &good["msg"]), (&"pgaudit".into(), &"record".into()));
        assert_eq!((&good["logging_pod"], &good["record"]["user_name"]), (&"demo-1".into(), &"app".into()));
        assert!(good["record"].get("message").is_none(), "{good}");
        let audit = serde_json::json!({ "audit_type": "SESSION", "statement_id": "1", "substatement_id": "2",
            "class": "READ", "command": "SELECT", "statement": "SELECT 'ldapbindpasswd=***,\n\"id\"", "parameter": "<none>" });
        assert_eq!(good["record"]["audit"], audit);
        let message = "AUDIT: SESSION,1,2,READ,SELECT,,,\"SELECT 1";
        let bad = json(message);
        assert_eq!((&bad["logger"], &bad["record"]["message"]), (&"postgres".into(), &message.into()));
        assert!(bad["record"].get("audit").is_none());
    }

    #[test]
    fn what_is_not_csvlog_is_a_plain_message() {
        let json: Value = serde_json::from_str(&record_json(b"postgres: could not find", None)).unwrap();
        assert_eq!(json["msg"], "postgres: could not find");
    }

    #[test]
    fn a_quote_that_never_closes_does_not_fill_memory() {
        let seen = records(&format!("\"{}", "x\n".repeat(LONGEST_RECORD)), 8192);
        assert!(!seen.is_empty() && seen.iter().all(|record| record.len() <= LONGEST_RECORD));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut log = CsvLog::default();
            log.push(&bytes, |record| drop(record_json(record, None)));
        }
    }
}
