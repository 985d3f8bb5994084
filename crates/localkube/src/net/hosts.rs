//! Names: `/etc/hosts` of a pod has every service and S3, as DNS would answer.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use super::address::GATEWAY;

/// The name of S3, for an `endpointURL` that has to be resolved.
pub const S3_NAME: &str = "s3.local";

/// One service as names see it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its cluster IP.
    pub address: Ipv4Addr,
}

/// The text of `/etc/hosts` for a pod. The short name is only for services of the pod's own namespace.
pub fn render(pod: &str, pod_address: Ipv4Addr, pod_namespace: &str, services: &[ServiceName]) -> String {
    let own = format!("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n{pod_address}\t{pod}\n");
    let mut text = format!("{own}{GATEWAY}\t{S3_NAME}\n");
    for ServiceName { namespace, name, address } in services {
        let short = if namespace == pod_namespace { format!("{name} ") } else { String::new() };
        // Writing to a String cannot fail.
        let _written = writeln!(
            text,
            "{address}\t{short}{name}.{namespace} {name}.{namespace}.svc {name}.{namespace}.svc.cluster.local"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::{ServiceName, render};

    #[test]
    fn the_short_name_is_only_for_the_own_namespace() {
        let services = ["mine", "other"].map(|namespace| ServiceName {
            namespace: namespace.to_owned(),
            name: "db-rw".to_owned(),
            address: Ipv4Addr::new(10, 213, 1, 2),
        });
        let text = render("db-1", Ipv4Addr::new(10, 213, 0, 10), "mine", &services);
        assert!(text.contains("10.213.1.2\tdb-rw db-rw.mine db-rw.mine.svc "), "{text}");
        assert!(text.contains("10.213.1.2\tdb-rw.other db-rw.other.svc "), "{text}");
        assert!(text.contains("10.213.0.10\tdb-1\n"), "{text}");
        assert!(text.contains("10.213.0.1\ts3.local\n"), "{text}");
    }
}
