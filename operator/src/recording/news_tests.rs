use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use radio_crds::conditions::reason;

use super::*;

fn with(conditions: &[(&str, &str, &str)]) -> RecordingStatus {
    let condition = |(type_, status, reason): &(&str, &str, &str)| Condition {
        type_: (*type_).to_owned(),
        status: (*status).to_owned(),
        reason: (*reason).to_owned(),
        message: "a sentence".to_owned(),
        observed_generation: Some(1),
        last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
    };
    RecordingStatus {
        conditions: conditions.iter().map(condition).collect(),
        ..RecordingStatus::default()
    }
}

fn reasons(old: &RecordingStatus, new: &RecordingStatus) -> Vec<String> {
    news(old, new).into_iter().map(|event| event.reason).collect()
}

#[test]
fn a_store_is_news_when_it_goes_and_when_it_comes() {
    let fine = with(&[]);
    let silent = with(&[(STORE_REACHABLE, "False", reason::STORE_UNREACHABLE)]);
    let refuses = with(&[(STORE_REACHABLE, "False", reason::STORE_REFUSES)]);
    let again = with(&[(STORE_REACHABLE, "True", reason::STORE_REACHABLE)]);
    assert_eq!(reasons(&fine, &fine), [""; 0]);
    assert_eq!(reasons(&fine, &silent), ["StoreUnreachable"]);
    assert_eq!(reasons(&silent, &refuses), [""; 0]);
    assert_eq!(reasons(&silent, &again), ["StoreReachable"]);
    assert_eq!(reasons(&again, &again), [""; 0]);
    assert_eq!(reasons(&again, &silent), ["StoreUnreachable"]);
    assert_eq!(reasons(&again, &fine), [""; 0]);
}

#[test]
fn a_disk_is_news_on_the_way_up() {
    let low = with(&[]);
    let half = with(&[(SPOOL_FILLING, "True", reason::HALF_FULL)]);
    let high = with(&[(SPOOL_FILLING, "True", reason::NEARLY_FULL)]);
    assert_eq!(reasons(&low, &half), ["SpoolFilling"]);
    assert_eq!(reasons(&half, &half), [""; 0]);
    assert_eq!(reasons(&half, &high), ["SpoolFilling"]);
    assert_eq!(reasons(&high, &half), [""; 0]);
    assert_eq!(reasons(&half, &low), [""; 0]);
    assert_eq!(reasons(&low, &high), ["SpoolFilling"]);
}

#[test]
fn a_tape_that_is_back_is_news_once() {
    let reopened = |times| RecordingStatus {
        reopened: times,
        ..RecordingStatus::default()
    };
    assert_eq!(reasons(&reopened(None), &reopened(Some(1))), ["TapeReturned"]);
    assert_eq!(reasons(&reopened(Some(1)), &reopened(Some(1))), [""; 0]);
    assert_eq!(reasons(&reopened(Some(1)), &reopened(Some(2))), ["TapeReturned"]);
}
