//! `spec.postgresql.ldap`: the rule as core renders it, and the password of its search, which is in a Secret.
//! It is kept in memory and in `pg_hba.conf`, which nobody but postgres reads; in postgres' log it is blotted out
//! ([`pgherd_telemetry::record_json`]).

use crate::context::Context;
use crate::effects;
use crate::store_settings::secret;
use core::time::Duration;
use pgherd_core::pgconf::ldap::{Bind, Ldap, Password, Search};
use pgherd_proto::cluster::{Cluster, LdapConfig, LdapScheme, SecretKeySelector};
use std::sync::Arc;

/// While the Secret is missing, and later to notice another password.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const LOOK_FOR_ANOTHER: Duration = Duration::from_secs(30);

/// What the Cluster asks for, with the password as far as it is known; an empty text is as good as none.
#[must_use]
pub fn wanted(cluster: &Cluster, password: Option<&str>) -> Option<Ldap> {
    let asked = config(cluster)?;
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let bind = match (&asked.bind_as_auth, &asked.bind_search_auth) {
        (Some(name), _) => Bind::As { prefix: text(&name.prefix), suffix: text(&name.suffix) },
        (None, Some(search)) => Bind::Search(Search {
            base: text(&search.base_dn),
            bind: text(&search.bind_dn),
            password: match (&search.bind_password, password) {
                (None, _) => Password::None,
                (Some(_), Some(known)) => Password::Known(known.to_owned()),
                (Some(_), None) => Password::Awaited,
            },
            filter: given(&search.search_filter),
            attribute: given(&search.search_attribute),
        }),
        (None, None) => Bind::Plain,
    };
    let scheme = asked.scheme.map(|scheme| match scheme {
        LdapScheme::Ldap => "ldap",
        LdapScheme::Ldaps => "ldaps",
    });
    let port = asked.port.filter(|port| *port != 0);
    Some(Ldap { server: given(&asked.server)?, port, scheme, tls: asked.tls, bind })
}

fn config(cluster: &Cluster) -> Option<&LdapConfig> {
    cluster.spec.postgresql.as_ref()?.ldap.as_deref()
}

fn selector(cluster: &Cluster) -> Option<SecretKeySelector> {
    config(cluster)?.bind_search_auth.as_ref()?.bind_password.clone()
}

/// Reads the password while there is one to read, and has postgres read its rules again once it is another.
pub async fn follow(context: Arc<Context>) {
    let mut clusters = context.cluster.clone();
    let mut complained = false;
    loop {
        let asked = clusters.borrow_and_update().as_deref().and_then(selector);
        let pause = match &asked {
            None => {
                context.bind_password.send_replace(None);
                None
            }
            Some(named) => match secret(&context.api, named).await {
                Ok(fresh) => {
                    complained = false;
                    if context.bind_password.send_replace(Some(fresh.clone())) != Some(fresh) {
                        tracing::info!(secret = %named.name, "the password of the search in LDAP was read");
                        // A start may have rendered its rules just before.
                        while !effects::rewrite_hba(&context).await {
                            tokio::time::sleep(LOOK_AGAIN).await;
                        }
                    }
                    Some(LOOK_FOR_ANOTHER)
                }
                Err(why) => {
                    if !complained {
                        tracing::warn!(%why, "nobody signs in by LDAP meanwhile, if the password was never known");
                    }
                    complained = true;
                    Some(LOOK_AGAIN)
                }
            },
        };
        let other = clusters.wait_for(|cluster| cluster.as_deref().and_then(selector) != asked);
        let nobody_tells = match pause {
            Some(pause) => matches!(tokio::time::timeout(pause, other).await, Ok(Err(_))),
            None => other.await.is_err(),
        };
        if nobody_tells {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgherd_core::pgconf::hba;
    use serde_json::{Value, json};

    fn rules(ldap: &Value, password: Option<&str>) -> Vec<String> {
        let cluster: Cluster = serde_json::from_value(json!({
            "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "db", "namespace": "ns"},
            "spec": {"instances": 1, "storage": {"size": "1Gi"}, "postgresql": {"ldap": ldap}}
        }))
        .unwrap();
        let text = hba::render(&[], wanted(&cluster, password).as_ref());
        let last = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).skip(4);
        last.map(str::to_owned).collect()
    }

    const DEFAULT: &str = "host all all all scram-sha-256";

    #[test]
    fn a_search_waits_for_its_password() {
        let search = json!({"baseDN": "dc=a", "bindDN": "cn=b", "bindPassword": {"name": "s", "key": "k"}});
        let ldap = json!({"server": "l", "port": 389, "bindSearchAuth": search});
        assert_eq!(rules(&ldap, None), ["host all all 0.0.0.0/0 reject", DEFAULT]);
        let known = rules(&ldap, Some("sesame"));
        assert!(
            known[0].contains(" ldap ldapserver=\"l\" ldapport=\"389\"") && known[0].contains("sesame"),
            "{known:?}"
        );
    }

    #[test]
    fn what_is_not_asked_for_is_not_there() {
        assert_eq!(rules(&Value::Null, None), [DEFAULT]);
        let plain = rules(&json!({"server": "l", "scheme": "ldaps", "bindAsAuth": {"prefix": "uid="}}), Some("unused"));
        let rule =
            "host all all 0.0.0.0/0 ldap ldapserver=\"l\" ldapscheme=\"ldaps\" ldapprefix=\"uid=\" ldapsuffix=\"\"";
        assert_eq!(plain, [rule, DEFAULT]);
    }
}
