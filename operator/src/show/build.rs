//! Step 4: the Recording of a slot. Cannot fail. No IO.

use kube::ResourceExt;
use radio_crds::{
    MOUNT_LABEL, Mount, Recording, RecordingSpec, SHOW_LABEL, STATION_LABEL, Show,
    recording::{SlotOf, Window},
    station::Storage,
};

use super::plan::Wanted;
use crate::k8s::meta::{MANAGED_BY, MANAGED_BY_LABEL};

/// Nobody owns it: it outlives Show, Mount and Station.
#[must_use]
pub fn recording(show: &Show, mount: &Mount, storage: &Storage, wanted: &Wanted) -> Recording {
    let of_mount = mount.spec.recording.clone().unwrap_or_default();
    let of_show = show.spec.recording.clone().unwrap_or_default();
    let spec = RecordingSpec {
        station: mount.spec.station_ref.name.clone(),
        mount: mount.name_any(),
        input: show.spec.input.clone(),
        title: show.spec.title.clone(),
        window: Window {
            from: wanted.from,
            until: Some(wanted.until),
        },
        idle_end: None,
        max_length: Some(format!("{}s", wanted.max_length_seconds)),
        store: storage.s3.clone(),
        spool_size: storage.spool_size.clone(),
        renditions: if of_show.renditions.is_empty() {
            of_mount.renditions
        } else {
            of_show.renditions
        },
        min_coverage: of_show.min_coverage.or(of_mount.min_coverage),
        show: Some(SlotOf {
            name: show.name_any(),
            slot_end: wanted.slot_end,
        }),
        edition: None,
    };
    let labels = [
        (MANAGED_BY_LABEL, MANAGED_BY.to_owned()),
        (STATION_LABEL, spec.station.clone()),
        (MOUNT_LABEL, spec.mount.clone()),
        (SHOW_LABEL, show.name_any()),
    ];
    let labels = labels.map(|(key, value)| (key.to_owned(), value));
    let mut recording = Recording::new(&wanted.name, spec);
    recording.metadata.namespace = show.namespace();
    recording.metadata.labels = Some(labels.into());
    recording
}
