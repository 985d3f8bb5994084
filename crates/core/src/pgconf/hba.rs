//! `pg_hba.conf`, rule by rule as CNPG's.

use super::ldap::Ldap;

const OURS: &str = "# Grant local access ('local' user map)\n\
     local all all peer map=local\n\
     \n\
     # Require client certificate authentication for the streaming_replica user\n\
     hostssl postgres streaming_replica all cert map=cnpg_streaming_replica\n\
     hostssl replication streaming_replica all cert map=cnpg_streaming_replica\n";

/// The rules while nobody may see what is not yet safe (rule Q6, hole 11): the manager on the socket, and
/// replication. Everybody else is refused, and comes again.
#[must_use]
pub fn gated() -> String {
    format!("{OURS}\n# Closed until the standbys have what is here\nhost all all all reject\n")
}

/// The rules: ours, the user's (`spec.postgresql.pg_hba`), that of LDAP if there is one ([`super::ldap`]), then passwords
/// for everybody else. The first rule that matches decides, so that no rule of a user's can lock the manager or
/// replication out.
#[must_use]
pub fn render(user: &[String], ldap: Option<&Ldap>) -> String {
    let mut out =
        format!("{OURS}hostssl all cnpg_pooler_pgbouncer all cert map=cnpg_pooler_pgbouncer\n\n# User-defined rules\n");
    for rule in user {
        out.push_str(&super::ident::one_line(rule));
        out.push('\n');
    }
    if let Some(ldap) = ldap {
        out.push_str("\n# LDAP\n");
        out.push_str(&super::ldap::rule(ldap));
        out.push('\n');
    }
    out.push_str("\n# Otherwise use the default authentication method\nhost all all all scram-sha-256\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_rules_stand_between_ours_and_the_default() {
        let user = ["host app app 10.0.0.0/8 md5".to_owned(), "hostnossl all\nall all reject".to_owned()];
        let text = render(&user, None);
        let rules: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        assert_eq!(
            rules,
            [
                "local all all peer map=local",
                "hostssl postgres streaming_replica all cert map=cnpg_streaming_replica",
                "hostssl replication streaming_replica all cert map=cnpg_streaming_replica",
                "hostssl all cnpg_pooler_pgbouncer all cert map=cnpg_pooler_pgbouncer",
                "host app app 10.0.0.0/8 md5",
                "hostnossl all all all reject",
                "host all all all scram-sha-256",
            ]
        );
    }

    #[test]
    fn ldap_comes_after_the_users_rules_and_before_the_default() {
        let ldap = Ldap { server: "l".into(), ..Ldap::default() };
        let text = render(&["host app app 10.0.0.0/8 md5".to_owned()], Some(&ldap));
        let rules: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        let last = ["host app app 10.0.0.0/8 md5", "host all all 0.0.0.0/0 ldap ldapserver=\"l\""];
        assert_eq!(rules[4..], [last[0], last[1], "host all all all scram-sha-256"]);
    }

    #[test]
    fn a_closed_gate_lets_in_the_manager_and_replication_alone() {
        let text = gated();
        let rules: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        assert_eq!(
            rules,
            [
                "local all all peer map=local",
                "hostssl postgres streaming_replica all cert map=cnpg_streaming_replica",
                "hostssl replication streaming_replica all cert map=cnpg_streaming_replica",
                "host all all all reject",
            ]
        );
    }
}
