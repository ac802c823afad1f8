//! `make test` and its siblings: steps with their times, end-to-end budgets, one table at the end.

pub mod budgets;
pub mod run;
pub mod table;
