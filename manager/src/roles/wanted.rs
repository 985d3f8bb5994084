//! A role of the manifest, as values.

use pgherd_core::roles::{Attributes, Password, Until, Wanted};
use pgherd_proto::cluster::{Ensure, RoleConfiguration};

/// All but the password that is in a Secret.
pub(super) fn wanted(role: &RoleConfiguration) -> Result<Wanted, String> {
    let until = |text: &String| {
        let at: jiff::Timestamp = text.parse().map_err(|_| format!("validUntil {text:?} is no RFC 3339 time"))?;
        Ok::<_, String>(Until { seconds: at.as_second(), text: text.clone() })
    };
    Ok(Wanted {
        name: role.name.clone(),
        absent: role.ensure == Ensure::Absent,
        attributes: Attributes {
            login: role.login,
            superuser: role.superuser,
            createdb: role.createdb,
            createrole: role.createrole,
            inherit: role.inherit,
            replication: role.replication,
            bypassrls: role.bypassrls,
        },
        connection_limit: role.connection_limit,
        valid_until: role.valid_until.as_ref().map(until).transpose()?,
        in_roles: role.in_roles.iter().cloned().collect(),
        comment: role.comment.clone().unwrap_or_default(),
        password: if role.disable_password { Password::Disabled } else { Password::Kept },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_role_has_cnpgs_defaults_and_a_time_that_is_none_is_named() {
        let role = |text: serde_json::Value| serde_json::from_value::<RoleConfiguration>(text).unwrap();
        let bare = wanted(&role(serde_json::json!({ "name": "r" }))).unwrap();
        assert_eq!((bare.connection_limit, bare.attributes.inherit, bare.attributes.login), (-1, true, false));
        let why = wanted(&role(serde_json::json!({ "name": "r", "validUntil": "soon" }))).unwrap_err();
        assert!(why.contains("soon"));
    }
}
