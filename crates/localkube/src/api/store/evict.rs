//! Evicting a pod: a delete that a PodDisruptionBudget may refuse.

use std::sync::Arc;

use serde_json::Value;

use super::super::error::ApiError;
use super::super::lifecycle::DeleteOptions;
use super::super::object::{at, is_terminating, list, text};
use super::super::resource::GroupResource;
use super::super::selector::LabelSelector;
use super::Store;

impl Store {
    /// Deletes a pod unless that leaves fewer healthy pods than a budget wants. Budgets are computed from the pods that
    /// are there now; there is no disruption controller.
    ///
    /// # Errors
    /// 404 if it is absent, 409 if a precondition does not hold, 429 if a budget forbids it.
    pub fn evict(&self, namespace: &str, name: &str, options: &DeleteOptions) -> Result<Arc<Value>, ApiError> {
        let pod = self.get("pods", namespace, name)?;
        let budgets = self.list(GroupResource::new("policy", "poddisruptionbudgets"), Some(namespace), "")?;
        let pods = self.list("pods", Some(namespace), "")?;
        for budget in &budgets.items {
            let selector = LabelSelector::from_object(at(budget, "/spec/selector"));
            if is_healthy(&pod) && selector.matches(&pod) && disruptions_allowed(budget, &selector, &pods.items) == 0 {
                let text = "Cannot evict pod as it would violate the pod's disruption budget.";
                return Err(ApiError::too_many_requests(text));
            }
        }
        self.delete("pods", namespace, name, options).map(|(pod, _)| pod)
    }
}

fn is_healthy(pod: &Value) -> bool {
    !is_terminating(pod)
        && list(pod, "/status/conditions")
            .iter()
            .any(|condition| text(condition, "/type") == "Ready" && text(condition, "/status") == "True")
}

/// How many of the selected pods may go now.
fn disruptions_allowed(budget: &Value, selector: &LabelSelector, pods: &[Arc<Value>]) -> u64 {
    let selected: Vec<&Arc<Value>> = pods.iter().filter(|pod| selector.matches(pod)).collect();
    let expected = selected.len() as u64;
    let healthy = selected.iter().filter(|pod| is_healthy(pod)).count() as u64;
    let spec = &budget["spec"];
    let wanted = match (spec.get("minAvailable"), spec.get("maxUnavailable")) {
        (Some(min), _) => amount(min, expected),
        (None, Some(max)) => expected.saturating_sub(amount(max, expected)),
        (None, None) => 0,
    };
    healthy.saturating_sub(wanted)
}

/// A number, or a percentage of the expected pods rounded up.
fn amount(value: &Value, expected: u64) -> u64 {
    match value {
        Value::Number(number) => number.as_u64().unwrap_or(0),
        Value::String(text) => {
            let percent: u64 = text.trim_end_matches('%').parse().unwrap_or(0);
            percent.saturating_mul(expected).div_ceil(100)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::super::super::selector::LabelSelector;
    use super::disruptions_allowed;

    #[test]
    fn a_budget_counts_only_healthy_pods() {
        let pod = |ready: &str| {
            Arc::new(json!({"metadata": {"labels": {"a": "b"}},
                "status": {"conditions": [{"type": "Ready", "status": ready}]}}))
        };
        let two_of_three: Vec<Arc<Value>> = vec![pod("True"), pod("True"), pod("False")];
        let cases = [
            (json!({"minAvailable": 1}), 1),
            (json!({"minAvailable": 2}), 0),
            (json!({"minAvailable": "50%"}), 0),
            (json!({"maxUnavailable": 1}), 0),
            (json!({"maxUnavailable": 2}), 1),
            (json!({"maxUnavailable": "100%"}), 2),
        ];
        for (spec, expected) in cases {
            let budget = json!({"spec": spec});
            assert_eq!(disruptions_allowed(&budget, &LabelSelector::default(), &two_of_three), expected, "{budget}");
        }
    }
}
