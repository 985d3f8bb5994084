//! The bounded part of `make model`, for `make test`: every run for so many states.

use pgherd_model::runs::Budget;
use pgherd_model::table::TABLE;

#[test]
fn i1_to_i4_hold_in_every_state_within_the_bounds_and_a_primary_comes_back() {
    let mut broken = Vec::new();
    for run in TABLE {
        let outcome = run.go(Budget::Bounded);
        let (states, depth, end) = (outcome.states, outcome.depth, outcome.end());
        println!("{:<24} {states:>8} states, depth {depth}, {end}, {:.1} s", outcome.name, outcome.seconds);
        assert!(outcome.states > 50, "{} looks at next to nothing", outcome.name);
        for violation in outcome.violations {
            broken.push(format!("{}: {} {}\n{:#?}", run.name, violation.property, violation.detail, violation.trace));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
