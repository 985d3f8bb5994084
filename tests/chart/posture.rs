//! What a security review asks of the controller's pods, and whether the program knows the flags that it is given.

use crate::helm::{good, objects, only};
use crate::values::modes;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

/// The controller of this build, beside the tests.
fn controller() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let path = here.parent().unwrap().parent().unwrap().join("controller");
    assert!(path.exists(), "{} is not built: the tier `build` does that", path.display());
    path
}

#[test]
fn in_every_mode_the_controller_is_confined_probed_and_limited() {
    for (mode, values) in modes() {
        let objects = objects(&values);
        let pod = &only(&objects, "Deployment")["spec"]["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{mode}");
        assert_eq!(pod["containers"].as_array().unwrap().len(), 1, "{mode}");
        let container = &pod["containers"][0];
        let confined = json!({ "allowPrivilegeEscalation": false, "privileged": false, "readOnlyRootFilesystem": true,
            "runAsNonRoot": true, "capabilities": { "drop": ["ALL"] }, "seccompProfile": { "type": "RuntimeDefault" } });
        assert_eq!(container["securityContext"], confined, "{mode}");
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            assert!(container[probe]["httpGet"].is_object(), "{mode}: {probe}");
        }
        assert!(container["resources"]["requests"]["memory"].is_string(), "{mode}");
        assert!(container["resources"]["limits"]["memory"].is_string(), "{mode}");
        assert_eq!(pod["hostNetwork"], Value::Null, "{mode}");
        assert_eq!(pod["volumes"], Value::Null, "{mode}: nothing is mounted but the token");
    }
}

#[test]
fn several_replicas_are_kept_apart_and_one_of_them_stays_through_a_drain() {
    let objects = objects(&json!({}));
    let deployment = only(&objects, "Deployment");
    assert_eq!(deployment["spec"]["replicas"], 2);
    let affinity = &deployment["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"];
    let term = &affinity["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"];
    assert_eq!(term["labelSelector"]["matchLabels"], deployment["spec"]["selector"]["matchLabels"]);
    let budget = only(&objects, "PodDisruptionBudget");
    assert_eq!(budget["spec"]["selector"], deployment["spec"]["selector"]);
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
}

#[test]
fn the_program_knows_every_flag_and_variable_that_the_chart_gives_it() {
    let help = good(Command::new(controller()).args(["run", "--help"]));
    for (mode, values) in modes() {
        let objects = objects(&values);
        let container = &only(&objects, "Deployment")["spec"]["template"]["spec"]["containers"][0];
        let flags = container["args"].as_array().unwrap().iter().filter_map(Value::as_str).skip(1);
        for flag in flags.map(|flag| flag.split('=').next().unwrap()) {
            assert!(
                help.contains(&format!("{flag} ")) || help.contains(&format!("{flag}\n")),
                "{mode}: {flag}\n{help}"
            );
        }
        let own = ["POD_NAME", "TZ"];
        let names = container["env"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap());
        for name in names.filter(|name| !own.contains(name)) {
            assert!(help.contains(&format!("[env: {name}=")), "{mode}: {name}\n{help}");
        }
    }
}

#[test]
fn no_rule_gives_everything_and_secrets_of_its_own_namespace_are_named() {
    for (mode, values) in modes() {
        let roles = objects(&values).into_iter().filter(|object| object["rules"].is_array());
        for role in roles {
            for rule in role["rules"].as_array().unwrap() {
                assert!(!rule.to_string().contains("\"*\""), "{mode}: {rule}");
                for forbidden in ["escalate", "bind", "impersonate", "pods/exec"] {
                    assert!(!rule.to_string().contains(&format!("\"{forbidden}\"")), "{mode}: {rule}");
                }
            }
        }
    }
}
