//! `status.managedRolesStatus`, in CNPG's words.

use super::STATEMENT_WITHIN;
use crate::context::Context;
use kube::api::{Patch, PatchParams};
use pgherd_core::rules::names;
use pgherd_proto::cluster::{ManagedRolesStatus, PasswordState};
use pgherd_proto::labels::MANAGER_FIELD_MANAGER;
use pgherd_telemetry::chain;
use serde_json::{Value, json};

const RECONCILED: &str = "reconciled";
const PENDING: &str = "pending-reconciliation";
const NOT_MANAGED: &str = "not-managed";
const RESERVED: &str = "reserved";

/// What is to be said.
#[derive(Default)]
pub(super) struct Report(ManagedRolesStatus);

impl Report {
    pub(super) fn reconciled(&mut self, role: &str, version: Option<String>) {
        self.put(RECONCILED, role);
        if let Some(resource_version) = version {
            let state = PasswordState { resource_version, ..PasswordState::default() };
            self.0.password_status.insert(role.to_owned(), state);
        }
    }

    pub(super) fn failed(&mut self, role: &str, why: String) {
        self.put(PENDING, role);
        self.0.cannot_reconcile.insert(role.to_owned(), vec![why]);
    }

    /// Roles that are there, and that the manifest does not speak of.
    pub(super) fn others(&mut self, all: Vec<String>) {
        for role in all {
            if !self.0.by_status.values().any(|roles| roles.contains(&role)) {
                let key = if names::role(&role).is_ok() { NOT_MANAGED } else { RESERVED };
                self.put(key, &role);
            }
        }
    }

    fn put(&mut self, key: &str, role: &str) {
        self.0.by_status.entry(key.to_owned()).or_default().push(role.to_owned());
    }

    /// Writes it where it differs.
    pub(super) async fn write(self, cx: &Context, before: Option<&ManagedRolesStatus>) -> Result<(), String> {
        if before == Some(&self.0) {
            return Ok(());
        }
        let patch = json!({ "status": { "managedRolesStatus": replacing(before, &self.0) } });
        let params = PatchParams { field_manager: Some(MANAGER_FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(patch);
        let patched = cx.api.clusters.patch_status(&cx.api.name, &params, &patch);
        let patched = tokio::time::timeout(STATEMENT_WITHIN, patched).await;
        patched.map_err(|error| chain(&error))?.map_err(|error| chain(&error)).map(drop)
    }
}

/// As a merge patch: what was there and is no more is taken away.
fn replacing(before: Option<&ManagedRolesStatus>, now: &ManagedRolesStatus) -> Value {
    let mut patch = json!({ "byStatus": now.by_status, "cannotReconcile": now.cannot_reconcile,
        "passwordStatus": now.password_status });
    let Some(before) = before else { return patch };
    let gone = [
        ("byStatus", before.by_status.keys().collect::<Vec<_>>()),
        ("cannotReconcile", before.cannot_reconcile.keys().collect()),
        ("passwordStatus", before.password_status.keys().collect()),
    ];
    for (field, keys) in gone {
        let Some(Value::Object(fields)) = patch.get_mut(field) else { continue };
        for key in keys {
            fields.entry(key).or_insert(Value::Null);
        }
    }
    patch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_is_well_again_is_no_more_among_those_that_are_not() {
        let mut bad = Report::default();
        bad.failed("r", "no such group".into());
        let mut good = Report::default();
        good.reconciled("r", Some("7".into()));
        good.others(vec!["app".into(), "postgres".into(), "r".into()]);
        let patch = replacing(Some(&bad.0), &good.0);
        assert_eq!(
            patch["byStatus"],
            json!({ "reconciled": ["r"], "pending-reconciliation": null,
            "not-managed": ["app"], "reserved": ["postgres"] })
        );
        assert_eq!(patch["cannotReconcile"], json!({ "r": null }));
        assert_eq!(patch["passwordStatus"]["r"]["resourceVersion"], "7");
    }
}
