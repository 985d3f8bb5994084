//! Clocks that jump, of one pod alone.

use super::inject::Faults;
use super::lasting::Undo;
use super::processes::full_name;
use super::{Done, FaultError};
use crate::node::clocks;

impl Faults {
    /// A pod has one fault of its clocks: the next one takes the place of the one before.
    pub(super) fn clock(&self, pod: &str, wall: i64, steady: i64) -> Result<Done, FaultError> {
        let found = self.find(pod)?;
        let directory = found.clocks.clone().ok_or(FaultError::Clocks)?;
        clocks::set(&directory, wall, steady).map_err(FaultError::File)?;
        let name = full_name(&found);
        drop(self.registry.take(|l| l.id.starts_with("clock-") && l.pod.as_ref() == Some(&name)));
        let mut text = format!("the wall clock of {} is {wall:+} ms off", found.name);
        if steady != 0 {
            text.push_str(&format!(", its steady clocks {steady:+} ms"));
        }
        let id = self.registry.next("clock");
        self.registry.add(&id, Some(&name), &text, Undo::Clock(directory));
        Ok(Done::lasts(id, text))
    }
}
