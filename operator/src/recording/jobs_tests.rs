use recorder::report::Failed;
use serde_json::{Value, json};

use super::*;
use crate::recording::sample::{
    complete, finalizer_job, pod, published, recorder_job, reported, said, stored,
};

fn read_recorder(status: &Value, pods: &[Value]) -> Work<Stored> {
    let job = recorder_job(status);
    let pods: Vec<_> = pods.iter().map(|status| pod(&job, status)).collect();
    recorder(Some(&job), &pods)
}

fn the_id() -> JobId {
    JobId::of(&recorder_job(&json!({})))
}

#[test]
fn a_job_goes_from_nothing_to_complete() {
    assert_eq!(recorder(None, &[]), Work::Absent);
    assert_eq!(read_recorder(&json!({}), &[]), Work::UnderWay(the_id()));
    // It is complete when its controller says so, not when a container has ended.
    let report = reported(SHIP, &Report::Stored(stored(&[("a", 2, Some(60))])));
    assert_eq!(
        read_recorder(&json!({"active": 1}), std::slice::from_ref(&report)),
        Work::UnderWay(the_id())
    );
    assert_eq!(
        read_recorder(&complete(), &[report]),
        Work::Complete(the_id(), Said::Report(stored(&[("a", 2, Some(60))])))
    );
    let failed = json!({"conditions": [{"type": "Failed", "status": "True"}, {"type": "Complete", "status": "False"}]});
    assert_eq!(read_recorder(&failed, &[]), Work::GivenUp(the_id()));
    assert!(is_over(&recorder_job(&failed)) && is_over(&recorder_job(&complete())));
    assert!(!is_over(&recorder_job(
        &json!({"conditions": [{"type": "Suspended", "status": "True"}]})
    )));

    // A pod on a lost node keeps the Job from being called complete.
    let met = json!({"terminating": 1, "conditions": [{"type": "SuccessCriteriaMet", "status": "True"}]});
    assert_eq!(read_recorder(&met, &[]), Work::Complete(the_id(), Said::Gone));

    let mut leaving = Job::clone(&recorder_job(&complete()));
    leaving.metadata.deletion_timestamp = serde_json::from_value(json!("2026-11-21T14:00:00Z")).unwrap();
    assert_eq!(recorder(Some(&leaving), &[]), Work::Leaving);
    assert_eq!(recorder(Some(&leaving), &[]).id(), None);
}

#[test]
fn what_a_complete_job_said_is_found_or_not() {
    let said_of = |pods: &[Value]| match read_recorder(&complete(), pods) {
        Work::Complete(_, said) => said,
        other => panic!("{other:?}"),
    };
    let report = || reported(SHIP, &Report::Stored(stored(&[])));
    assert_eq!(said_of(&[]), Said::Gone);
    // A pod before it was killed.
    let killed = json!({"phase": "Failed", "containerStatuses": [{
        "name": SHIP, "image": "i", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": 137, "message": "{\"stored\":1}"}},
    }]});
    assert_eq!(said_of(&[killed.clone(), report()]), Said::Report(stored(&[])));
    assert_eq!(said_of(&[killed]), Said::Gone);
    assert_eq!(said_of(&[said(SHIP, None)]), Said::Gone);
    assert_eq!(said_of(&[said("other", Some("{}"))]), Said::Gone);
    assert_eq!(said_of(&[json!({"phase": "Running"})]), Said::NotYet);
    for strange in ["{}", "nonsense", "{\"stored\":{}}"] {
        assert_eq!(said_of(&[said(SHIP, Some(strange))]), Said::Strange, "{strange}");
    }
    // What finalize would say is not what ship says.
    let other = reported(SHIP, &Report::Published(published(1, &[])));
    assert_eq!(said_of(&[other]), Said::Strange);
}

#[test]
fn pods_of_other_jobs_say_nothing() {
    let (job, other) = (finalizer_job(2, &complete()), finalizer_job(1, &complete()));
    let report = reported(FINALIZE, &Report::Published(published(1, &[])));
    let pods = [pod(&other, &report)];
    assert_eq!(
        finalizer(Some(&job), &pods),
        Work::Complete(JobId::of(&job), Said::Gone)
    );
    assert!(matches!(
        finalizer(Some(&other), &pods),
        Work::Complete(_, Said::Report(_))
    ));
}

#[test]
fn a_process_that_cannot_go_on_says_why_in_one_line() {
    let message = Report::Failed(Failed {
        words: "the bucket has\nno manifest.json".to_owned(),
    })
    .message();
    let crashing = json!({"phase": "Running", "containerStatuses": [{
        "name": SHIP, "image": "i", "imageID": "", "ready": false, "restartCount": 3,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 1, "message": message}},
    }]});
    let job = recorder_job(&json!({}));
    let words = why_it_failed(&[pod(&job, &crashing)]);
    assert_eq!(words.as_deref(), Some("the bucket has no manifest.json"));
    assert_eq!(why_it_failed(&[pod(&job, &said(SHIP, Some("panicked")))]), None);
    assert_eq!(one_line(&"x".repeat(1000)).len(), 300);
}
