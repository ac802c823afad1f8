use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use recorder::manifest::OverWhy;
use recorder::report::Missing;

use super::*;
use crate::recording::sample::{
    FULL, PLAIN, at, in_phase, listed, nothing, published, ship, stored, taped, valid,
};

const LIMIT: i64 = 6 * 3600;

fn id(name: &str) -> JobId {
    JobId {
        name: name.to_owned(),
        uid: format!("{name}-uid"),
    }
}

fn decide(status: Option<&RecordingStatus>, seen: &Seen) -> Plan {
    decide_at(status, seen, 60)
}

fn decide_at(status: Option<&RecordingStatus>, seen: &Seen, second: i64) -> Plan {
    plan(&valid(PLAIN), status, seen, at(second))
}

/// The phase and what is done.
fn outline(plan: &Plan) -> (Phase, Vec<Step>) {
    (plan.phase, plan.steps.clone())
}

fn recorder_is(recorder: Work<Stored>) -> Seen {
    Seen {
        recorder,
        ..nothing()
    }
}

fn finalizer_is(finalizer: Work<Published>) -> Seen {
    Seen {
        finalizer,
        ..nothing()
    }
}

fn all_stored(sessions: &[(&str, i64, Option<i64>)]) -> Work<Stored> {
    Work::Complete(id("r"), Said::Report(stored(sessions)))
}

fn done(published: Published) -> Work<Published> {
    Work::Complete(id("f"), Said::Report(published))
}

/// One of these, after its recorder and before anything of its finalizer.
fn finalizing() -> RecordingStatus {
    RecordingStatus {
        sessions: vec![listed("a", 2, Some(7200), Some(1000))],
        bytes: Some(1000),
        ..in_phase(Phase::Finalizing)
    }
}

fn finished(phase: Phase) -> RecordingStatus {
    RecordingStatus {
        edition: Some(1),
        phase: Some(phase),
        ..finalizing()
    }
}

/// Doubtful, since nobody saw the end of its session.
fn lost_its_ingest() -> RecordingStatus {
    RecordingStatus {
        sessions: vec![listed("a", 2, None, Some(1000))],
        ..finished(Phase::Doubtful)
    }
}

#[test]
fn the_recorder_is_made_once_and_made_again_only_when_it_is_gone() {
    use Phase::{OnAir, Storing, Waiting};
    // Whatever phase it is in, with or without a status: an operator may have been away for all of it.
    for phase in [None, Some(Waiting), Some(OnAir), Some(Storing)] {
        let status = phase.map(in_phase);
        let steps = |recorder| decide(status.as_ref(), &recorder_is(recorder)).steps;
        assert_eq!(steps(Work::Absent), [Step::Record], "{phase:?}");
        assert_eq!(steps(Work::Leaving), [], "{phase:?}");
        assert_eq!(steps(Work::UnderWay(id("r"))), [], "{phase:?}");
        assert_eq!(steps(Work::Complete(id("r"), Said::NotYet)), [], "{phase:?}");
        for lost in [Work::GivenUp(id("r")), Work::Complete(id("r"), Said::Gone)] {
            assert_eq!(steps(lost), [Step::Delete(id("r"))], "{phase:?}");
        }
    }
}

#[test]
fn what_the_recorder_says_decides_how_far_it_is() {
    let told = |before: Option<Phase>, over, sessions: &[(&str, i64, Option<i64>)]| {
        let seen = Seen {
            ship: Some(ship(over, sessions)),
            ..recorder_is(Work::UnderWay(id("r")))
        };
        decide(before.map(in_phase).as_ref(), &seen).phase
    };
    assert_eq!(told(None, None, &[]), Phase::Waiting);
    assert_eq!(told(None, None, &[("a", 2, None)]), Phase::OnAir);
    assert_eq!(told(None, None, &[("a", 2, Some(50))]), Phase::OnAir);
    assert_eq!(
        told(None, Some(OverWhy::Idle), &[("a", 2, Some(50))]),
        Phase::Storing
    );
    // One that begins again does not know yet what the one before it knew.
    assert_eq!(told(Some(Phase::Storing), None, &[]), Phase::Storing);
}

#[test]
fn a_recorder_that_cannot_ask_the_store_knows_less_than_the_tape() {
    let status = RecordingStatus {
        sessions: vec![listed("a", 2, None, None)],
        ..in_phase(Phase::OnAir)
    };
    let seen = Seen {
        ship: Some(ship(None, &[])),
        tape: Some(vec![taped("a", 2, Some(50))]),
        ..recorder_is(Work::UnderWay(id("r")))
    };
    let plan = decide_at(Some(&status), &seen, 100);
    assert_eq!(
        (plan.phase, plan.sessions),
        (Phase::OnAir, vec![listed("a", 2, Some(50), None)])
    );
    assert_eq!(decide_at(Some(&status), &seen, 170).phase, Phase::Storing);
    // Nobody knows anything.
    let silent = Seen { tape: None, ..seen };
    let plan = decide_at(Some(&status), &silent, 170);
    assert_eq!(
        (plan.phase, plan.sessions),
        (Phase::OnAir, status.sessions.clone())
    );
}

#[test]
fn without_a_recorder_the_tape_tells() {
    let phase = |before: Option<Phase>, tape: Option<Vec<api::Session>>, second| {
        let seen = Seen { tape, ..nothing() };
        decide_at(before.map(in_phase).as_ref(), &seen, second).phase
    };
    assert_eq!(phase(None, None, 60), Phase::Waiting);
    assert_eq!(phase(None, Some(Vec::new()), 60), Phase::Waiting);
    assert_eq!(phase(None, Some(vec![taped("a", 2, None)]), 60), Phase::OnAir);
    assert_eq!(
        phase(None, Some(vec![taped("a", 2, Some(50))]), 169),
        Phase::OnAir
    );
    assert_eq!(
        phase(None, Some(vec![taped("a", 2, Some(50))]), 170),
        Phase::Storing
    );
    assert_eq!(
        phase(None, Some(vec![taped("a", 2, None)]), LIMIT + 1),
        Phase::Storing
    );
    // Another Mount's.
    let other = api::Session {
        mount: "talk".to_owned(),
        ..taped("a", 2, None)
    };
    assert_eq!(phase(None, Some(vec![other]), 60), Phase::Waiting);
    // A later show of the same Mount.
    let shows = vec![taped("a", 2, Some(50)), taped("b", 900, None)];
    let seen = Seen {
        tape: Some(shows),
        ..nothing()
    };
    let plan = decide_at(None, &seen, 1000);
    assert_eq!((plan.phase, plan.sessions.len()), (Phase::Storing, 1));
    // An ingest that is silent says nothing about what it said before.
    let known = RecordingStatus {
        sessions: vec![listed("a", 2, None, None)],
        ..in_phase(Phase::OnAir)
    };
    let plan = decide(Some(&known), &nothing());
    assert_eq!(
        (plan.phase, plan.sessions),
        (Phase::OnAir, known.sessions.clone())
    );
}

#[test]
fn what_is_stored_is_finalized_at_once_and_never_recorded_again() {
    let seen = recorder_is(all_stored(&[("a", 2, Some(7200))]));
    let plan = decide(Some(&in_phase(Phase::Storing)), &seen);
    assert_eq!(outline(&plan), (Phase::Finalizing, vec![Step::Finalize(1)]));
    assert_eq!(plan.sessions, [listed("a", 2, Some(7200), Some(1000))]);
    assert_eq!((plan.bytes(), plan.stored.is_some()), (1000, true));
    // An operator that was away for all of it.
    assert_eq!(outline(&decide(None, &seen)), outline(&plan));

    // From here on the status knows: with the Job or without it, a day later or after somebody's hand.
    for recorder in [
        seen.recorder,
        Work::Absent,
        Work::Leaving,
        Work::Complete(id("r"), Said::Gone),
    ] {
        let plan = decide(Some(&finalizing()), &recorder_is(recorder));
        assert_eq!(outline(&plan), (Phase::Finalizing, vec![Step::Finalize(1)]));
        assert_eq!((plan.stored, plan.known_bytes), (None, 1000));
    }
    // One that somebody made again is in nobody's way.
    let plan = decide(Some(&finalizing()), &recorder_is(Work::UnderWay(id("r"))));
    assert_eq!(plan.steps, [Step::Delete(id("r")), Step::Finalize(1)]);
}

#[test]
fn the_finalizer_is_made_once_and_made_again_only_when_it_is_gone() {
    let at_work = |finalizer| outline(&decide(Some(&finalizing()), &finalizer_is(finalizer)));
    assert_eq!(
        at_work(Work::Absent),
        (Phase::Finalizing, vec![Step::Finalize(1)])
    );
    assert_eq!(at_work(Work::Leaving), (Phase::Finalizing, vec![]));
    assert_eq!(at_work(Work::UnderWay(id("f"))), (Phase::Finalizing, vec![]));
    assert_eq!(
        at_work(Work::Complete(id("f"), Said::NotYet)),
        (Phase::Finalizing, vec![])
    );
    for lost in [Work::GivenUp(id("f")), Work::Complete(id("f"), Said::Gone)] {
        assert_eq!(at_work(lost), (Phase::Finalizing, vec![Step::Delete(id("f"))]));
    }
    assert_eq!(at_work(done(published(1, &[]))), (Phase::Verified, vec![]));
}

#[test]
fn a_report_that_cannot_be_understood_is_somebodys_matter() {
    let strange = recorder_is(Work::Complete(id("r"), Said::Strange));
    let plan = decide(Some(&in_phase(Phase::Storing)), &strange);
    assert_eq!(
        (outline(&plan), plan.strange.as_deref()),
        ((Phase::Storing, vec![]), Some("r"))
    );
    let strange = finalizer_is(Work::Complete(id("f"), Said::Strange));
    let plan = decide(Some(&finalizing()), &strange);
    assert_eq!(
        (outline(&plan), plan.strange.as_deref()),
        ((Phase::Finalizing, vec![]), Some("f"))
    );
}

#[test]
fn how_it_ends() {
    let end = |published: Published| {
        let plan = decide(Some(&finalizing()), &finalizer_is(done(published)));
        assert_eq!((plan.edition, plan.steps.as_slice()), (Some(1), &[][..]));
        plan.phase
    };
    assert_eq!(end(published(1, &[])), Phase::Verified);
    let key = || "final-1/final-1.ogg".to_owned();
    assert_eq!(
        end(published(1, &[Doubt::Silent { key: key() }])),
        Phase::Doubtful
    );
    assert_eq!(end(published(1, &[Doubt::Lost { bytes: 7 }])), Phase::Doubtful);
    assert_eq!(end(published(1, &[Doubt::NothingOnAir])), Phase::Empty);
    // Everything that was on air is lost: that is not nothing.
    let lost = Missing {
        from: at(2),
        to: at(50),
        kind: GapKind::Lost,
        bytes: Some(1000),
    };
    let all_lost = Published {
        gap_list: vec![lost],
        ..published(1, &[Doubt::NothingOnAir])
    };
    assert_eq!(end(all_lost), Phase::Doubtful);
}

#[test]
fn what_is_finished_stays_so() {
    for phase in [Phase::Verified, Phase::Doubtful, Phase::Empty] {
        let status = finished(phase);
        // With its Jobs, a day later without them, and whatever the tape has of other shows.
        let with_jobs = Seen {
            recorder: all_stored(&[("a", 2, Some(7200))]),
            finalizer: done(published(1, &[])),
            tape: Some(vec![taped("a", 2, Some(7200)), taped("b", 9000, None)]),
            ..nothing()
        };
        for seen in [with_jobs, nothing()] {
            let plan = decide(Some(&status), &seen);
            assert_eq!(outline(&plan), (phase, vec![]));
            assert!(plan.is_settled() && plan.published.is_none() && plan.stored.is_none());
        }
        assert!(!needs_tape(Some(&status), at(60)));
    }
    assert!(needs_tape(None, at(60)) && needs_tape(Some(&in_phase(Phase::Storing)), at(60)));
    assert!(!needs_tape(Some(&finalizing()), at(60)));
}

#[test]
fn nothing_on_air_is_no_work() {
    let nobody = recorder_is(all_stored(&[]));
    let plan = decide(Some(&in_phase(Phase::Waiting)), &nobody);
    assert_eq!((outline(&plan), plan.edition), ((Phase::Empty, vec![]), Some(1)));
    // Somebody was, and the ingest was lost before anything was captured: the tape may have it when it is back.
    let known = RecordingStatus {
        sessions: vec![listed("a", 2, Some(50), None)],
        ..in_phase(Phase::OnAir)
    };
    let plan = decide(Some(&known), &nobody);
    assert_eq!(outline(&plan), (Phase::Doubtful, vec![]));
    let status = RecordingStatus {
        phase: Some(plan.phase),
        edition: plan.edition,
        ..known
    };
    assert!(needs_tape(Some(&status), at(60)));
    let back = Seen {
        tape: Some(vec![taped("a", 2, Some(50))]),
        ..nothing()
    };
    assert_eq!(
        outline(&decide(Some(&status), &back)),
        (Phase::Storing, vec![Step::Record])
    );
    // It logged in and sent nothing: that was no show.
    let login = api::Session {
        bytes: 0,
        ..taped("a", 2, Some(50))
    };
    let seen = Seen {
        tape: Some(vec![login]),
        ..nobody
    };
    let known = RecordingStatus {
        sessions: vec![listed("a", 2, None, None)],
        ..in_phase(Phase::OnAir)
    };
    assert_eq!(decide(Some(&known), &seen).phase, Phase::Empty);
}

#[test]
fn a_session_of_which_nothing_is_stored_is_not_verified_away() {
    let known = RecordingStatus {
        sessions: vec![listed("a", 2, Some(60), None), listed("b", 65, None, None)],
        ..in_phase(Phase::OnAir)
    };
    let plan = decide(Some(&known), &recorder_is(all_stored(&[("a", 2, Some(60))])));
    assert_eq!(plan.phase, Phase::Finalizing);
    let status = RecordingStatus {
        phase: Some(plan.phase),
        sessions: plan.sessions,
        ..known
    };
    let plan = decide(Some(&status), &finalizer_is(done(published(1, &[]))));
    assert_eq!(plan.phase, Phase::Doubtful);
}

/// The status after a plan, as the details make it.
fn after(status: &RecordingStatus, plan: &Plan) -> RecordingStatus {
    RecordingStatus {
        phase: Some(plan.phase),
        edition: plan.edition,
        reopened: Some(plan.reopened),
        sessions: plan.sessions.clone(),
        ..status.clone()
    }
}

#[test]
fn a_tape_that_comes_back_is_recorded_further_and_finalized_as_the_next_edition() {
    let status = lost_its_ingest();
    assert!(needs_tape(Some(&status), at(60)));
    let old = recorder_is(all_stored(&[("a", 2, None)]));
    assert_eq!(outline(&decide(Some(&status), &old)), (Phase::Doubtful, vec![]));

    let back = || Some(vec![taped("a", 2, Some(7200))]);
    let seen = Seen { tape: back(), ..old };
    let plan = decide(Some(&status), &seen);
    assert_eq!(outline(&plan), (Phase::Storing, vec![Step::Delete(id("r"))]));
    assert_eq!((plan.reopened, plan.edition), (1, Some(1)));
    // The status could not be written: the same again, and not once more.
    for recorder in [Work::Leaving, Work::Absent, Work::UnderWay(id("r"))] {
        let seen = Seen {
            tape: back(),
            ..recorder_is(recorder.clone())
        };
        let again = decide(Some(&status), &seen);
        let steps = if recorder == Work::Absent {
            vec![Step::Record]
        } else {
            vec![]
        };
        assert_eq!(
            (outline(&again), again.reopened),
            ((Phase::Storing, steps), 1),
            "{recorder:?}"
        );
    }

    let status = after(&status, &plan);
    assert!(needs_tape(Some(&status), at(60)));
    let seen = Seen {
        tape: back(),
        ..nothing()
    };
    let plan = decide(Some(&status), &seen);
    assert_eq!(
        (outline(&plan), plan.reopened),
        ((Phase::Storing, vec![Step::Record]), 1)
    );
    let seen = Seen {
        tape: back(),
        ..recorder_is(all_stored(&[("a", 2, Some(7200))]))
    };
    let plan = decide(Some(&after(&status, &plan)), &seen);
    assert_eq!(outline(&plan), (Phase::Finalizing, vec![Step::Finalize(2)]));
    let status = after(&status, &plan);
    assert_eq!(wanted_edition(&valid(PLAIN), Some(&status)), 2);
    let plan = decide(Some(&status), &finalizer_is(done(published(2, &[]))));
    assert_eq!(
        (plan.phase, plan.edition, plan.reopened),
        (Phase::Verified, Some(2), 1)
    );
    let plan = decide(Some(&after(&status, &plan)), &seen);
    assert!(plan.is_settled());
}

#[test]
fn an_ingest_that_comes_and_goes_is_given_up_some_day() {
    let mut status = lost_its_ingest();
    status.reopened = Some(MOST_REOPENINGS);
    status.edition = Some(1 + MOST_REOPENINGS);
    let seen = Seen {
        tape: Some(vec![taped("a", 2, Some(7200))]),
        ..nothing()
    };
    assert!(decide(Some(&status), &seen).is_settled() && !needs_tape(Some(&status), at(60)));
    // Or when it has not come for a week.
    let week = 7 * 24 * 3600;
    let status = RecordingStatus {
        ended_at: Some(Time(at(100))),
        ..lost_its_ingest()
    };
    assert!(needs_tape(Some(&status), at(99 + week)) && !needs_tape(Some(&status), at(100 + week)));
    assert_eq!(decide_at(Some(&status), &seen, 99 + week).phase, Phase::Storing);
    assert!(decide_at(Some(&status), &seen, 100 + week).is_settled());
}

#[test]
fn another_edition_is_made_and_only_one_at_a_time() {
    let full = |status: &RecordingStatus, seen: &Seen| plan(&valid(FULL), Some(status), seen, at(60));
    // FULL wants edition 2.
    let status = finished(Phase::Verified);
    let plan = full(&status, &nothing());
    assert_eq!(outline(&plan), (Phase::Finalizing, vec![Step::Finalize(2)]));
    let other = |others| Seen { others, ..nothing() };
    let first = full(&finalizing(), &other(vec![Work::UnderWay(id("f1"))]));
    assert_eq!(outline(&first), (Phase::Finalizing, vec![Step::Delete(id("f1"))]));
    let leaving = full(&finalizing(), &other(vec![Work::Leaving]));
    assert_eq!(outline(&leaving), (Phase::Finalizing, vec![]));
    let plan = full(&finished(Phase::Doubtful), &finalizer_is(done(published(2, &[]))));
    assert_eq!((plan.phase, plan.edition), (Phase::Verified, Some(2)));
    // Before it is stored, an edition is only a wish.
    let plan = full(&in_phase(Phase::OnAir), &recorder_is(Work::UnderWay(id("r"))));
    assert_eq!(plan.steps, []);
}

#[test]
fn a_job_with_an_image_that_does_not_work_is_made_again_with_the_one_that_is_wanted_now() {
    let seen = Seen {
        misled: vec![id("r")],
        ..recorder_is(Work::UnderWay(id("r")))
    };
    assert_eq!(decide(None, &seen).steps, [Step::Delete(id("r"))]);
}

fn every_recorder() -> Vec<Work<Stored>> {
    vec![
        Work::Absent,
        Work::Leaving,
        Work::UnderWay(id("r")),
        Work::GivenUp(id("r")),
        Work::Complete(id("r"), Said::NotYet),
        Work::Complete(id("r"), Said::Gone),
        Work::Complete(id("r"), Said::Strange),
        all_stored(&[]),
        all_stored(&[("a", 2, None)]),
        all_stored(&[("a", 2, Some(7200))]),
    ]
}

fn every_finalizer() -> Vec<Work<Published>> {
    vec![
        Work::Absent,
        Work::Leaving,
        Work::UnderWay(id("f")),
        Work::GivenUp(id("f")),
        Work::Complete(id("f"), Said::NotYet),
        Work::Complete(id("f"), Said::Gone),
        Work::Complete(id("f"), Said::Strange),
        done(published(1, &[])),
        done(published(1, &[Doubt::NothingOnAir])),
    ]
}

fn every_status() -> Vec<Option<RecordingStatus>> {
    let mut statuses = vec![None, Some(finalizing()), Some(lost_its_ingest())];
    statuses.extend([Phase::Waiting, Phase::OnAir, Phase::Storing].map(|phase| Some(in_phase(phase))));
    statuses.extend([Phase::Verified, Phase::Doubtful, Phase::Empty].map(|phase| Some(finished(phase))));
    statuses
}

fn everything_seen() -> Vec<Seen> {
    let tapes = || {
        let sessions = [vec![], vec![taped("a", 2, None)], vec![taped("a", 2, Some(50))]];
        [None].into_iter().chain(sessions.map(Some))
    };
    let mut all = Vec::new();
    for recorder in every_recorder() {
        for finalizer in every_finalizer() {
            all.extend(tapes().map(|tape| Seen {
                recorder: recorder.clone(),
                finalizer: finalizer.clone(),
                tape,
                ..nothing()
            }));
        }
    }
    all
}

/// Whatever is seen in whatever phase: nothing is made that is there, and what is done is not done again.
#[test]
fn no_plan_makes_a_second_job() {
    let mut cases = 0;
    for (status, seen) in every_status()
        .iter()
        .flat_map(|status| everything_seen().into_iter().map(move |seen| (status, seen)))
    {
        let plan = decide(status.as_ref(), &seen);
        assert!(
            !plan.steps.contains(&Step::Record) || seen.recorder == Work::Absent,
            "{seen:?}"
        );
        let makes_one = plan.steps.iter().any(|step| matches!(step, Step::Finalize(_)));
        assert!(!makes_one || seen.finalizer == Work::Absent, "{seen:?}");
        assert!(plan.steps.len() <= 2, "{seen:?}");
        cases += 1;
    }
    assert_eq!(cases, 9 * 10 * 9 * 4);
}
