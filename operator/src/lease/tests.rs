use super::*;

fn election(me: &str) -> Election {
    Election {
        me: me.to_owned(),
        pod: None,
        seen: None,
    }
}

fn lease(holder: &str, renewed: i64) -> LeaseObject {
    LeaseObject {
        metadata: ObjectMeta {
            resource_version: Some("7".to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            renew_time: Some(MicroTime(Timestamp::constant(renewed, 0))),
            acquire_time: Some(MicroTime(Timestamp::constant(1, 0))),
            lease_transitions: Some(3),
            ..LeaseSpec::default()
        }),
    }
}

#[test]
fn nobody_holds_it() {
    let now = Instant::now();
    assert_eq!(election("a").step(None, now), Step::Create);
    assert_eq!(election("a").step(Some(&lease("", 0)), now), Step::Take);
    assert_eq!(election("a").step(Some(&lease("a", 0)), now), Step::Renew);
}

#[test]
fn a_former_life_of_the_same_pod_is_dead() {
    let mut second = Election {
        pod: Some("operator-x1_".to_owned()),
        ..election("operator-x1_2")
    };
    let now = Instant::now();
    assert_eq!(second.step(Some(&lease("operator-x1_1", 1)), now), Step::Take);
    assert_eq!(second.step(Some(&lease("operator-x12_1", 1)), now), Step::StandBy);
}

#[test]
fn another_one_is_waited_for_by_our_own_clock() {
    let mut election = election("a");
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    // Its renewTime is decades old: a wrong clock there must not make us take it.
    assert_eq!(election.step(Some(&lease("b", 1)), after(0)), Step::StandBy);
    assert_eq!(election.step(Some(&lease("b", 1)), after(14)), Step::StandBy);
    // It renewed: the wait starts anew.
    assert_eq!(election.step(Some(&lease("b", 2)), after(14)), Step::StandBy);
    assert_eq!(election.step(Some(&lease("b", 2)), after(28)), Step::StandBy);
    assert_eq!(election.step(Some(&lease("b", 2)), after(29)), Step::Take);
}

#[test]
fn a_new_holder_starts_the_wait_anew_even_with_the_same_time() {
    let mut election = election("a");
    let start = Instant::now();
    assert_eq!(election.step(Some(&lease("b", 1)), start), Step::StandBy);
    assert_eq!(
        election.step(Some(&lease("c", 1)), start + Duration::from_secs(15)),
        Step::StandBy
    );
}

#[test]
fn a_claim_keeps_the_resource_version_and_counts_transitions() {
    let now = Timestamp::constant(100, 0);
    let taken = election("a").claim(Some(lease("b", 1)), now);
    assert_eq!(taken.metadata.resource_version.as_deref(), Some("7"));
    let spec = taken.spec.clone().unwrap();
    assert_eq!(spec.holder_identity.as_deref(), Some("a"));
    assert_eq!(spec.lease_transitions, Some(4));
    assert_eq!(spec.acquire_time, Some(MicroTime(now)));

    let later = Timestamp::constant(102, 0);
    let renewed = election("a").claim(Some(taken), later).spec.unwrap();
    assert_eq!(renewed.lease_transitions, Some(4));
    assert_eq!(renewed.acquire_time, Some(MicroTime(now)));
    assert_eq!(renewed.renew_time, Some(MicroTime(later)));

    let first = election("a").claim(None, now);
    assert_eq!(first.metadata.name.as_deref(), Some(NAME));
    assert_eq!(first.spec.unwrap().lease_transitions, Some(0));
}
