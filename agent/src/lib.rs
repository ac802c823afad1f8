//! What every process in our pods shares: following its own Secret through the API, the API's time, keeping a child
//! process alive, health and metrics, logging. Each module says itself whether it does IO.

pub mod date;
pub mod health;
pub mod supervise;
pub mod telemetry;
pub mod watch;
