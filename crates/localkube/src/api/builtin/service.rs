//! Services: defaults, and the cluster IP that the network's owner hands out.

use serde_json::{Value, json};

use super::super::object::{as_map, default_field, map_mut, text};

/// Hands out and takes back cluster IPs. Called with the store's lock held: must not block and must not call back.
pub trait ClusterIps: Send + Sync {
    /// An IP for a new Service. `wanted` is one that the user, or the stored object at start, asks for.
    ///
    /// # Errors
    /// A sentence for people, if the wanted one is taken or none is left.
    fn allocate(&self, namespace: &str, name: &str, wanted: Option<&str>) -> Result<String, String>;

    /// The Service is gone.
    fn release(&self, ip: &str);
}

/// Fills in a Service. `old` is the stored one when it is updated: its IP stays.
///
/// # Errors
/// The allocator's sentence.
pub fn prepare_service(service: &mut Value, old: Option<&Value>, ips: &dyn ClusterIps) -> Result<(), String> {
    let namespace = text(service, "/metadata/namespace").to_owned();
    let name = text(service, "/metadata/name").to_owned();
    if old.is_none() {
        as_map(service).insert("status".into(), json!({"loadBalancer": {}}));
    }
    let spec = map_mut(as_map(service), "spec");
    default_field(spec, "type", "ClusterIP");
    default_field(spec, "sessionAffinity", "None");
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let port = as_map(port);
        default_field(port, "protocol", "TCP");
        let number = port.get("port").cloned().unwrap_or(Value::Null);
        default_field(port, "targetPort", number);
    }
    if spec.get("type").and_then(Value::as_str) == Some("ExternalName") {
        return Ok(());
    }
    default_field(spec, "internalTrafficPolicy", "Cluster");
    default_field(spec, "ipFamilies", json!(["IPv4"]));
    default_field(spec, "ipFamilyPolicy", "SingleStack");
    let wanted = spec.get("clusterIP").and_then(Value::as_str).filter(|ip| !ip.is_empty()).map(str::to_owned);
    let kept = old.map(|old| text(old, "/spec/clusterIP")).filter(|ip| !ip.is_empty()).map(str::to_owned);
    let ip = match (wanted, kept) {
        (Some(wanted), Some(kept)) if wanted != kept => {
            return Err(format!("spec.clusterIP: Invalid value: {wanted:?}: may not change once set"));
        }
        (_, Some(kept)) => kept,
        (Some(wanted), None) if wanted == "None" => wanted,
        (wanted, None) => ips.allocate(&namespace, &name, wanted.as_deref())?,
    };
    spec.insert("clusterIPs".into(), json!([ip]));
    spec.insert("clusterIP".into(), ip.into());
    Ok(())
}
