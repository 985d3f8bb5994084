//! `spec.managed.roles`: from what is wanted and what there is to the statements that make the one of the other.
//!
//! Nothing here has a password in the clear: a verifier comes in, and goes out in a statement that is never shown.

mod statements;
#[cfg(test)]
mod tests;

pub use statements::{Statement, statements};

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The attributes of a role that are on or off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "they are postgres'")]
pub struct Attributes {
    /// `LOGIN`.
    pub login: bool,
    /// `SUPERUSER`.
    pub superuser: bool,
    /// `CREATEDB`.
    pub createdb: bool,
    /// `CREATEROLE`.
    pub createrole: bool,
    /// `INHERIT`.
    pub inherit: bool,
    /// `REPLICATION`.
    pub replication: bool,
    /// `BYPASSRLS`.
    pub bypassrls: bool,
}

/// A moment until which a password is good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Until {
    /// Seconds since 1970, which are compared.
    pub seconds: i64,
    /// As postgres is told.
    pub text: String,
}

/// What is wanted of a role's password.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Password {
    /// It stays as it is.
    #[default]
    Kept,
    /// There is none.
    Disabled,
    /// It is this one: a verifier, which is a secret.
    Verifier(String),
}

impl core::fmt::Debug for Password {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Password::Kept => "Kept",
            Password::Disabled => "Disabled",
            Password::Verifier(_) => "Verifier",
        })
    }
}

/// A role as it is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// It is not to be there.
    pub absent: bool,
    /// What it may do.
    pub attributes: Attributes,
    /// -1 for any number.
    pub connection_limit: i64,
    /// For ever where there is none.
    pub valid_until: Option<Until>,
    /// What it is a member of, no more and no less.
    pub in_roles: BTreeSet<String>,
    /// Its description; none where it is empty.
    pub comment: String,
    /// Its password, where that is another than the one there is.
    pub password: Password,
}

/// A role as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What it may do.
    pub attributes: Attributes,
    /// -1 for any number.
    pub connection_limit: i64,
    /// Seconds since 1970; for ever where there is none.
    pub valid_until: Option<i64>,
    /// What it is a member of.
    pub in_roles: BTreeSet<String>,
    /// Its description.
    pub comment: String,
    /// It has one.
    pub has_password: bool,
}
