//! Tables of the machine: what it does next, event by event.

mod bench;
mod bootstrap;
mod candidate;
mod crashed;
mod doubts;
mod fence;
mod fenced;
mod following;
mod primary;
mod renewal;
mod restarted;
mod stopping;
mod suspicions;
mod synchronous;
mod timings;
