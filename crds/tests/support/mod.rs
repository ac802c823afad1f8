//! The generated definitions and the samples, and what the API server would say of one by the other, offline.

pub mod definition;
pub mod openapi;
pub mod sample;
