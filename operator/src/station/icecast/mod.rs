//! Icecast's configuration: a typed model, and the one place that writes it as XML. No IO.
//!
//! The flavor is Xiph's 2.4; what another one (Icecast-KH) does differently belongs into [`render`], nowhere else.

pub mod model;
pub mod render;
