//! `pg_ident.conf`: which system users and certificates may be which role, as CNPG's.

/// The maps: `system_user`, who runs postgres and the manager, is `postgres`, and the role that asks for metrics; each certificate is its own
/// role; then the user's (`spec.postgresql.pg_ident`).
#[must_use]
pub fn render(system_user: &str, user: &[String]) -> String {
    let system_user = quoted(system_user);
    let mut out = format!(
        "# Grant local access ('local' user map)\n\
         local {system_user} postgres\n\
         local {system_user} cnpg_metrics_exporter\n\
         \n\
         # Certificates\n\
         cnpg_streaming_replica streaming_replica streaming_replica\n\
         cnpg_pooler_pgbouncer cnpg_pooler_pgbouncer cnpg_pooler_pgbouncer\n\
         \n\
         # User-defined maps\n"
    );
    for map in user {
        out.push_str(&one_line(map));
        out.push('\n');
    }
    out
}

/// In double quotes a slash or a comma at the front has no meaning of its own.
fn quoted(name: &str) -> String {
    format!("\"{}\"", one_line(name).replace('"', "\"\""))
}

/// A rule is one line, whatever it holds.
pub(super) fn one_line(rule: &str) -> String {
    rule.split(['\n', '\r', '\0']).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_user_is_postgres_and_the_rest_are_themselves() {
        let text = render("pg runner", &["mymap /^(.*)@example\\.com$ \\1".to_owned()]);
        let maps: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        assert_eq!(
            maps,
            [
                "local \"pg runner\" postgres",
                "local \"pg runner\" cnpg_metrics_exporter",
                "cnpg_streaming_replica streaming_replica streaming_replica",
                "cnpg_pooler_pgbouncer cnpg_pooler_pgbouncer cnpg_pooler_pgbouncer",
                "mymap /^(.*)@example\\.com$ \\1",
            ]
        );
    }
}
