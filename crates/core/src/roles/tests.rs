//! What is run for a role that is new, as it should be, different in one thing, or not wanted.

use super::*;

fn wanted() -> Wanted {
    let attributes = Attributes { login: true, inherit: true, ..Attributes::default() };
    Wanted { name: "reader".into(), attributes, connection_limit: -1, ..Wanted::default() }
}

fn known() -> Known {
    Known { attributes: wanted().attributes, connection_limit: -1, ..Known::default() }
}

fn sql(wanted: &Wanted, known: Option<&Known>) -> Vec<String> {
    statements(wanted, known).into_iter().map(|statement| statement.sql).collect()
}

#[test]
fn a_role_that_is_not_there_is_made_with_everything_said() {
    let all = Wanted {
        in_roles: ["pg_monitor".to_owned()].into(),
        comment: "it's for reports".into(),
        valid_until: Some(Until { seconds: 1, text: "2030-01-01T00:00:00Z".into() }),
        password: Password::Verifier("SCRAM-SHA-256$x".into()),
        ..wanted()
    };
    assert_eq!(
        sql(&all, None),
        [
            "CREATE ROLE \"reader\" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE INHERIT NOREPLICATION NOBYPASSRLS \
             CONNECTION LIMIT -1 VALID UNTIL '2030-01-01T00:00:00Z' PASSWORD 'SCRAM-SHA-256$x'",
            "COMMENT ON ROLE \"reader\" IS 'it''s for reports'",
            "GRANT \"pg_monitor\" TO \"reader\"",
        ]
    );
}

#[test]
fn a_role_that_is_as_wanted_is_left_alone() {
    assert!(statements(&wanted(), Some(&known())).is_empty());
    let kept = Known { has_password: true, ..known() };
    assert!(statements(&wanted(), Some(&kept)).is_empty(), "a password that nobody speaks of stays");
    assert!(statements(&Wanted { absent: true, ..wanted() }, None).is_empty());
}

#[test]
fn only_what_differs_is_changed() {
    let cases: [(Wanted, Known, &[&str]); 8] = [
        (
            Wanted { attributes: Attributes { bypassrls: true, ..wanted().attributes }, ..wanted() },
            known(),
            &["ALTER ROLE \"reader\" BYPASSRLS"],
        ),
        (Wanted { connection_limit: 5, ..wanted() }, known(), &["ALTER ROLE \"reader\" CONNECTION LIMIT 5"]),
        (wanted(), Known { valid_until: Some(9), ..known() }, &["ALTER ROLE \"reader\" VALID UNTIL 'infinity'"]),
        (
            Wanted { password: Password::Disabled, ..wanted() },
            Known { has_password: true, ..known() },
            &["ALTER ROLE \"reader\" PASSWORD NULL"],
        ),
        (Wanted { password: Password::Disabled, ..wanted() }, known(), &[]),
        (wanted(), Known { comment: "old".into(), ..known() }, &["COMMENT ON ROLE \"reader\" IS NULL"]),
        (
            Wanted { in_roles: ["a".to_owned()].into(), ..wanted() },
            Known { in_roles: ["b".to_owned()].into(), ..known() },
            &["GRANT \"a\" TO \"reader\"", "REVOKE \"b\" FROM \"reader\""],
        ),
        (Wanted { absent: true, ..wanted() }, known(), &["DROP ROLE \"reader\""]),
    ];
    for (wanted, known, expected) in cases {
        assert_eq!(sql(&wanted, Some(&known)), expected, "{wanted:?}");
    }
}

#[test]
fn no_name_breaks_out_and_no_verifier_is_shown() {
    let evil = Wanted { name: "a\"; DROP ROLE b; --".into(), comment: "\\'".into(), ..wanted() };
    let all = sql(&evil, None);
    assert!(all[0].starts_with("CREATE ROLE \"a\"\"; DROP ROLE b; --\" "));
    assert!(all[1].ends_with(" IS  E'\\\\'''"));
    let secret = Wanted { password: Password::Verifier("SCRAM-SHA-256$hush".into()), ..wanted() };
    let shown = format!("{secret:?} {:?}", statements(&secret, None));
    assert!(!shown.contains("hush"), "{shown}");
}
