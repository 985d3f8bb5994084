//! Tables of the machine: what it does next, event by event.
