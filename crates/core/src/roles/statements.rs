//! The statements, in the order in which they are run, in one transaction.

use super::{Attributes, Known, Password, Wanted};
use crate::sql::{identifier, literal};

/// One statement.
#[derive(Clone, PartialEq, Eq)]
pub struct Statement {
    /// For postgres. It may have a verifier in it: never shown.
    pub sql: String,
    /// For people and logs.
    pub what: &'static str,
}

impl core::fmt::Debug for Statement {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.what)
    }
}

/// What makes `known` what is `wanted`; nothing where it is so already.
#[must_use]
pub fn statements(wanted: &Wanted, known: Option<&Known>) -> Vec<Statement> {
    let role = identifier(&wanted.name);
    let statement = |what: &'static str, sql: String| Statement { sql, what };
    if wanted.absent {
        return known.map(|_| statement("drop the role", format!("DROP ROLE {role}"))).into_iter().collect();
    }
    let mut all = Vec::new();
    let options = options(wanted, known);
    match known {
        None => all.push(statement("create the role", format!("CREATE ROLE {role}{options}"))),
        Some(_) if !options.is_empty() => {
            all.push(statement("alter the role", format!("ALTER ROLE {role}{options}")));
        }
        Some(_) => {}
    }
    let comment = known.map_or("", |known| known.comment.as_str());
    if comment != wanted.comment {
        let text = if wanted.comment.is_empty() { "NULL".to_owned() } else { literal(&wanted.comment) };
        all.push(statement("describe the role", format!("COMMENT ON ROLE {role} IS {text}")));
    }
    let nothing = Known::default();
    let member_of = &known.unwrap_or(&nothing).in_roles;
    for group in wanted.in_roles.difference(member_of) {
        all.push(statement("make it a member", format!("GRANT {} TO {role}", identifier(group))));
    }
    for group in member_of.difference(&wanted.in_roles) {
        all.push(statement("end its membership", format!("REVOKE {} FROM {role}", identifier(group))));
    }
    all
}

/// What differs, as options of CREATE and ALTER ROLE, each with a space before it.
fn options(wanted: &Wanted, known: Option<&Known>) -> String {
    let mut out = String::new();
    let present = known.map(|known| words(known.attributes));
    for (index, word) in words(wanted.attributes).into_iter().enumerate() {
        if present.is_none_or(|present| present.get(index) != Some(&word)) {
            out.push(' ');
            out.push_str(word);
        }
    }
    if known.is_none_or(|known| known.connection_limit != wanted.connection_limit) {
        out.push_str(&format!(" CONNECTION LIMIT {}", wanted.connection_limit));
    }
    let ends = known.and_then(|known| known.valid_until);
    match &wanted.valid_until {
        Some(until) if Some(until.seconds) != ends => out.push_str(&format!(" VALID UNTIL {}", literal(&until.text))),
        None if ends.is_some() => out.push_str(" VALID UNTIL 'infinity'"),
        _ => {}
    }
    match &wanted.password {
        Password::Verifier(verifier) => out.push_str(&format!(" PASSWORD {}", literal(verifier))),
        Password::Disabled if known.is_none_or(|known| known.has_password) => out.push_str(" PASSWORD NULL"),
        Password::Disabled | Password::Kept => {}
    }
    out
}

fn words(attributes: Attributes) -> [&'static str; 7] {
    let Attributes { login, superuser, createdb, createrole, inherit, replication, bypassrls } = attributes;
    let word = |on: bool, yes: &'static str, no: &'static str| if on { yes } else { no };
    [
        word(login, "LOGIN", "NOLOGIN"),
        word(superuser, "SUPERUSER", "NOSUPERUSER"),
        word(createdb, "CREATEDB", "NOCREATEDB"),
        word(createrole, "CREATEROLE", "NOCREATEROLE"),
        word(inherit, "INHERIT", "NOINHERIT"),
        word(replication, "REPLICATION", "NOREPLICATION"),
        word(bypassrls, "BYPASSRLS", "NOBYPASSRLS"),
    ]
}
