//! What runs beside Liquidsoap in a Mount's pod, and the configuration it shares with the operator.

pub mod config;
