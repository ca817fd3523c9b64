//! The pure layer: `decide` on plain facts, and what surrounds it. No cluster, no clock, no file but the golden ones.
#![cfg(test)]

mod support;

mod attempts;
mod checks;
mod drained;
mod dry_run;
mod effects;
mod endings;
mod execute;
mod finished;
mod golden;
mod hostile;
mod lost;
mod orphans;
mod proof;
mod prove;
mod queue;
mod refusals;
mod replacement;
mod rollback;
mod rollout;
mod sequences;
mod start;
mod stopped;
mod storage;
