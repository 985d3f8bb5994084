//! `spec.postgresql.ldap`: sign in by LDAP.

use super::{Extra, SecretKeySelector};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LdapScheme {
    /// In the clear, or by StartTLS.
    Ldap,
    /// By TLS.
    Ldaps,
}

/// An LDAP server, and how a user is found on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LdapConfig {
    /// Host name or address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Port. Default: the scheme's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// `ldap` or `ldaps`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<LdapScheme>,
    /// The user's name makes the DN. Instead of `bindSearchAuth`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_as_auth: Option<LdapBindAsAuth>,
    /// The DN is searched for. Instead of `bindAsAuth`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_search_auth: Option<LdapBindSearchAuth>,
    /// StartTLS.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub tls: bool,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What stands around the user's name in its DN.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LdapBindAsAuth {
    /// Before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// After it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Where and as whom the DN is searched for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LdapBindSearchAuth {
    /// Below this DN.
    #[serde(rename = "baseDN", skip_serializing_if = "Option::is_none")]
    pub base_dn: Option<String>,
    /// As this one.
    #[serde(rename = "bindDN", skip_serializing_if = "Option::is_none")]
    pub bind_dn: Option<String>,
    /// With the password of this Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_password: Option<SecretKeySelector>,
    /// By this attribute. Default: `uid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search_attribute: Option<String>,
    /// Or by this filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search_filter: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
