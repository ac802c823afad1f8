//! What of a Mount is recorded. No IO.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{recording::Rendition, text};

/// What of a Mount is recorded, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recorded {
    /// Which sources are recorded. Default: `Always`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<RecordingMode>,

    /// The longest one Recording gets, `1m` to `24h`; the next one goes on from there, and nothing is lost.
    /// Default: `6h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(validation = text::duration(), validation = text::length())]
    pub max_length: Option<String>,

    /// A Recording is over when no source was on air for so long, `5s` to `1h`. Default: `2m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(validation = text::duration(), validation = text::silence())]
    pub idle_end: Option<String>,

    /// What is made besides the final object, which is what the sources sent: `mp3`. Default: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub renditions: Vec<Rendition>,

    /// Percent of a Recording that has to be on air, 1 to 100; with less it is doubtful. Default: any will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub min_coverage: Option<u8>,
}

/// Which sources are recorded: `Always` (every one that goes on air), `Shows` (in slots of Shows only) or `Never`.
/// Default: `Always`.
// The schema takes this text for the optional field, not the field's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RecordingMode {
    /// Every source that goes on air.
    #[default]
    Always,
    /// Those that are on air in a slot of a Show.
    Shows,
    /// None.
    Never,
}
