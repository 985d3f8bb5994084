//! The rule of `pg_hba.conf` that signs users in by LDAP (`spec.postgresql.ldap`), in CNPG's form: every database and role,
//! from every IPv4 address.

use core::fmt::Write;

const WHO: &str = "host all all 0.0.0.0/0";

/// A server, and how a user is found on it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Ldap {
    /// `ldapserver`.
    pub server: String,
    /// `ldapport`; the scheme's where absent.
    pub port: Option<i32>,
    /// `ldapscheme`: `ldap` or `ldaps`.
    pub scheme: Option<&'static str>,
    /// `ldaptls`: StartTLS.
    pub tls: bool,
    /// How the DN is found.
    pub bind: Bind,
}

/// How the DN of a user is found. Not `Debug`: it may hold a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Bind {
    /// Its name is all.
    #[default]
    Plain,
    /// Its name stands between these two.
    As {
        /// `ldapprefix`.
        prefix: String,
        /// `ldapsuffix`.
        suffix: String,
    },
    /// It is searched for.
    Search(Search),
}

/// Where, as whom and by what a user is searched for.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// `ldapbasedn`.
    pub base: String,
    /// `ldapbinddn`.
    pub bind: String,
    /// `ldapbindpasswd`.
    pub password: Password,
    /// `ldapsearchfilter`.
    pub filter: Option<String>,
    /// `ldapsearchattribute`.
    pub attribute: Option<String>,
}

/// The password of the search.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Password {
    /// Nobody asks for one.
    #[default]
    None,
    /// It is in a Secret that was not read yet.
    Awaited,
    /// This one.
    Known(String),
}

/// The rule. While the password is not known nobody signs in by LDAP, nor by what comes after it.
#[must_use]
pub fn rule(ldap: &Ldap) -> String {
    let mut options = format!("ldapserver={}", quoted(&ldap.server));
    let mut add = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = write!(options, " {name}={}", quoted(value));
    };
    if let Some(port) = ldap.port {
        add("ldapport", &port.to_string());
    }
    if let Some(scheme) = ldap.scheme {
        add("ldapscheme", scheme);
    }
    if ldap.tls {
        add("ldaptls", "1");
    }
    match &ldap.bind {
        Bind::Plain => {}
        Bind::As { prefix, suffix } => {
            add("ldapprefix", prefix);
            add("ldapsuffix", suffix);
        }
        Bind::Search(search) => {
            add("ldapbasedn", &search.base);
            match &search.password {
                Password::None => {}
                Password::Awaited => return format!("# The password of the search is not known yet\n{WHO} reject"),
                Password::Known(password) => add("ldapbindpasswd", password),
            }
            if !search.bind.is_empty() {
                add("ldapbinddn", &search.bind);
            }
            for (name, value) in [("ldapsearchfilter", &search.filter), ("ldapsearchattribute", &search.attribute)] {
                if let Some(value) = value {
                    add(name, value);
                }
            }
        }
    }
    format!("{WHO} ldap {options}")
}

/// In double quotes, each within doubled. A line end would begin another rule: there is none.
fn quoted(value: &str) -> String {
    format!("\"{}\"", super::ident::one_line(value).replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ldap(bind: Bind) -> Ldap {
        Ldap { server: "ldap.example.com".into(), bind, ..Ldap::default() }
    }

    fn search(password: Password) -> Bind {
        let (base, bind) = ("dc=example,dc=com".to_owned(), "cn=\"db\"".to_owned());
        Bind::Search(Search { base, bind, password, attribute: Some("uid".into()), ..Search::default() })
    }

    #[test]
    fn the_name_stands_between_prefix_and_suffix() {
        let bind = Bind::As { prefix: "uid=".into(), suffix: ",dc=example".into() };
        let all = Ldap { port: Some(636), scheme: Some("ldaps"), tls: true, ..ldap(bind) };
        assert_eq!(
            rule(&all),
            "host all all 0.0.0.0/0 ldap ldapserver=\"ldap.example.com\" ldapport=\"636\" ldapscheme=\"ldaps\" \
             ldaptls=\"1\" ldapprefix=\"uid=\" ldapsuffix=\",dc=example\""
        );
    }

    #[test]
    fn a_search_has_its_password_and_quotes_are_doubled() {
        assert_eq!(
            rule(&ldap(search(Password::Known("a \"b\"\nhost all all all trust".into())))),
            "host all all 0.0.0.0/0 ldap ldapserver=\"ldap.example.com\" ldapbasedn=\"dc=example,dc=com\" \
             ldapbindpasswd=\"a \"\"b\"\" host all all all trust\" ldapbinddn=\"cn=\"\"db\"\"\" ldapsearchattribute=\"uid\""
        );
    }

    #[test]
    fn while_the_password_is_awaited_nobody_gets_past_the_rule() {
        let text = rule(&ldap(search(Password::Awaited)));
        assert_eq!(text.lines().last(), Some("host all all 0.0.0.0/0 reject"));
        assert!(rule(&ldap(search(Password::None))).contains("ldap ldapserver"));
    }
}
