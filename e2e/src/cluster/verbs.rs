//! What tests do to a running cluster.

use anyhow::Result;

pub use super::outage::{
    Outage, kill_containerd, kill_node, partition_node, return_node, stop_kubelet, stop_node,
};
pub use super::pods::{block, kill_command, kill_process, signal_process, starve, unblock};
use super::{Places, up};
use crate::install::rooms::{self, Images};
use crate::steps::Steps;

/// Builds the images of these rooms (all, if none is named) from the sources as they are now and loads them into
/// every node: what a test does after the code changed.
pub async fn images(steps: &Steps, rooms: &[String]) -> Result<Images> {
    let places = Places::find()?;
    let images = up::build_images(&places, steps, &rooms::named(rooms)?).await?;
    up::load_images(&places, steps, &images).await?;
    Ok(images)
}
