//! The bounded part of `make model`, for `make test`: every run for a few seconds.

use pgherd_model::runs::{Budget, TABLE};

#[test]
fn i1_to_i4_hold_in_every_state_within_the_bounds_and_a_primary_comes_back() {
    let mut broken = Vec::new();
    for run in TABLE {
        let outcome = run.go(Budget::Bounded);
        let end = if outcome.exhausted { "exhausted" } else { "cut off" };
        println!("{:<20} {:>8} states, depth {}, {end}", outcome.name, outcome.states, outcome.depth);
        assert!(outcome.states > 100, "{} looks at next to nothing", outcome.name);
        for violation in outcome.violations {
            broken.push(format!("{}: {} {}\n{:#?}", run.name, violation.property, violation.detail, violation.trace));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
