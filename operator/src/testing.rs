//! What the tests share. No IO.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use radio_crds::conditions::{READY, RECONCILING, STALLED};

use crate::k8s::conditions::{OURS, find};

/// What kstatus, and so `kubectl wait`, Flux, Argo CD and Helm, rely on.
pub fn assert_kstatus(conditions: &[Condition], generation: i64) {
    let ready = find(conditions, READY).expect("Ready is always there");
    let present = |type_| find(conditions, type_).is_some();
    for condition in conditions {
        assert!(OURS.contains(&condition.type_.as_str()), "{condition:?}");
        assert_eq!(condition.observed_generation, Some(generation), "{condition:?}");
        assert!(
            !condition.message.is_empty() && condition.message.len() <= 1024,
            "{condition:?}"
        );
        assert!(
            condition.reason.chars().all(char::is_alphanumeric) && !condition.reason.is_empty(),
            "{condition:?}"
        );
        if condition.type_ != READY {
            assert_eq!(condition.status, "True", "absent or True: {condition:?}");
        }
    }
    match ready.status.as_str() {
        "True" => assert!(!present(RECONCILING) && !present(STALLED), "{conditions:?}"),
        "False" => assert!(present(RECONCILING) != present(STALLED), "{conditions:?}"),
        other => panic!("Ready is {other}"),
    }
}
