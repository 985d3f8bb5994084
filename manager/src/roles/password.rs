//! Whether a role's password is that of its Secret already, and what is to be set where it is not.

use crate::context::Context;
use pgherd_core::roles::Password;
use pgherd_postgres::scram;
use pgherd_telemetry::chain;
use std::collections::BTreeMap;

/// The versions of the Secrets whose passwords were set by this manager, by role: some verifiers cannot be compared.
#[derive(Default)]
pub(super) struct Settled(BTreeMap<String, String>);

impl Settled {
    pub(super) fn note(&mut self, role: &str, version: &str) {
        self.0.insert(role.to_owned(), version.to_owned());
    }

    fn is(&self, role: &str, version: &str) -> bool {
        self.0.get(role).is_some_and(|known| known == version)
    }
}

/// What is wanted of the password of `role`, whose verifier is `present`; and the version of its Secret.
pub(super) async fn wanted(
    cx: &Context,
    secret: &str,
    role: &str,
    present: &str,
    settled: &Settled,
) -> Result<(Password, String), String> {
    let found =
        cx.api.secrets.get(secret).await.map_err(|e| format!("failed to read Secret {secret}: {}", chain(&e)))?;
    let version = found.metadata.resource_version.clone().unwrap_or_default();
    let data = found.data.unwrap_or_default();
    let text = |key: &str| data.get(key).and_then(|bytes| String::from_utf8(bytes.0.clone()).ok());
    let password = text("password").ok_or_else(|| format!("Secret {secret} has no readable key `password`"))?;
    if text("username").is_some_and(|name| name != role) {
        return Err(format!("Secret {secret} is not for role {role}, by its username"));
    }
    Ok((compared(&password, present, settled.is(role, &version)), version))
}

/// A verifier in place of a password is taken as it is.
fn compared(password: &str, present: &str, settled: bool) -> Password {
    let verified = password.starts_with("SCRAM-SHA-256$");
    let same = if verified { Some(password == present) } else { scram::is_of(password, present) };
    match same {
        Some(true) => Password::Kept,
        None if settled && !present.is_empty() => Password::Kept,
        _ if verified => Password::Verifier(password.to_owned()),
        _ => Password::Verifier(scram::verifier(password)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_set_only_where_it_is_another_or_cannot_be_told() {
        let present = scram::verifier("sesame");
        assert_eq!(compared("sesame", &present, false), Password::Kept);
        assert!(
            matches!(compared("other", &present, true), Password::Verifier(new) if scram::is_of("other", &new) == Some(true))
        );
        assert!(matches!(compared("sesame", "", true), Password::Verifier(_)));
        assert_eq!(compared("sésame", &present, true), Password::Kept);
        assert!(matches!(compared("sésame", &present, false), Password::Verifier(_)));
        assert_eq!(compared(&present, &present, false), Password::Kept);
        assert_eq!(compared(&present, "", false), Password::Verifier(present.clone()));
    }
}
