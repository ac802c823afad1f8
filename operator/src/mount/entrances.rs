//! What the status says about a Mount's inputs. No IO, no clock.

use ingest::{
    api::{Refusal, Session},
    config::Routing,
};
use jiff::{Timestamp, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use radio_crds::input::{InputStatus, LastRefusal};

use super::{
    fetch::Connected,
    validate::{Entrance, ValidMount},
};
use crate::{
    sources::{
        news::one_line,
        seen::{Line, Seen},
    },
    station::status::source_url,
};

/// Every input, and who is connected to it. A Mount that lost its path has none.
#[must_use]
pub fn inputs(mount: &ValidMount) -> Vec<InputStatus> {
    if mount.rival.is_some() {
        return Vec::new();
    }
    mount
        .inputs
        .iter()
        .map(|entrance| input(mount, entrance))
        .collect()
}

/// The input that is heard; of a passthrough Mount all that are connected are.
#[must_use]
pub fn on_air(mount: &ValidMount, inputs: &[InputStatus]) -> Option<String> {
    if mount.connected == Connected::Unknown {
        let any = inputs.iter().any(|input| input.connected);
        return mount.before.source.clone().filter(|_| any);
    }
    let live = |input: &&InputStatus| {
        let session = line(mount, &input.name).and_then(|line| line.session.as_ref());
        input.connected && session.is_some_and(|session| session.routing == Routing::Live)
    };
    let mut live = inputs.iter().filter(live);
    let first = live.next()?;
    match live.count() {
        more @ 1.. if mount.spec.wants.through => Some(format!("{} sources", more + 1)),
        _ => Some(first.name.clone()),
    }
}

fn input(mount: &ValidMount, Entrance { input, .. }: &Entrance) -> InputStatus {
    let before = mount.before.inputs.iter();
    let before = before
        .clone()
        .find(|before| before.name == input.name && before.path == input.path.as_str());
    let line = line(mount, &input.name);
    let status = InputStatus {
        name: input.name.clone(),
        path: input.path.to_string(),
        url: format!("{}{}", source_url(&mount.spec.owner), input.path),
        username: input.username.to_string(),
        secret_ref: input.password.clone(),
        last_refusal: last_refusal(
            line.and_then(|line| line.refusal.as_ref()),
            before.and_then(|before| before.last_refusal.clone()),
        ),
        ..InputStatus::default()
    };
    let session = line.and_then(|line| line.session.as_ref());
    match &mount.connected {
        Connected::Unknown => InputStatus {
            connected: before.is_some_and(|before| before.connected),
            since: before.and_then(|before| before.since.clone()),
            codec: before.and_then(|before| before.codec.clone()),
            ..status
        },
        Connected::Seen(_) => session.map_or_else(|| status.clone(), |session| connected(&status, session)),
        Connected::NoIngest(_) => status,
    }
}

fn connected(status: &InputStatus, session: &Session) -> InputStatus {
    InputStatus {
        connected: true,
        since: Some(second(session.started)),
        codec: session.codec.as_deref().map(one_line),
        ..status.clone()
    }
}

/// The ingest forgets refusals when it restarts; the status does not.
fn last_refusal(seen: Option<&Refusal>, before: Option<LastRefusal>) -> Option<LastRefusal> {
    let seen = seen.map(|refusal| LastRefusal {
        time: second(refusal.at),
        reason: refusal.reason.as_str().to_owned(),
        message: one_line(&refusal.message),
        from: one_line(&refusal.from),
    });
    match (seen, before) {
        (Some(seen), Some(before)) if before.time.0 >= seen.time.0 => Some(before),
        (Some(seen), _) => Some(seen),
        (None, before) => before,
    }
}

fn line<'a>(mount: &'a ValidMount, input: &str) -> Option<&'a Line> {
    let seen: &Seen = match &mount.connected {
        Connected::Seen(seen) | Connected::NoIngest(Some(seen)) => seen,
        Connected::Unknown | Connected::NoIngest(None) => return None,
    };
    seen.line(&mount.spec.owner.name, input)
}

/// As precise as a status is: what is read back is what was written.
fn second(time: Timestamp) -> Time {
    Time(time.round(Unit::Second).unwrap_or(time))
}

#[cfg(test)]
mod tests {
    use ingest::api::{RefusalReason, Sessions};

    use super::*;
    use crate::testing::{FULL_MOUNT, WILDCARD_MOUNT, refused, session, valid_mount};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::new(1_800_000_000 + seconds, 123_456_789).unwrap()
    }

    fn seen(sessions: Vec<Session>, refusals: Vec<Refusal>) -> Seen {
        let mut seen = Seen::new(at(0));
        seen.take(&Sessions {
            version: "1".to_owned(),
            sessions,
            refusals,
            fill: ingest::api::Fill::default(),
        });
        seen
    }

    fn mount(text: &str, connected: Connected) -> ValidMount {
        ValidMount {
            connected,
            ..valid_mount(text)
        }
    }

    fn told(mount: &ValidMount) -> (Vec<(String, bool)>, Option<String>) {
        let inputs = inputs(mount);
        let source = on_air(mount, &inputs);
        let connected = inputs.into_iter().map(|input| (input.name, input.connected));
        (connected.collect(), source)
    }

    fn studio_and_van(studio: bool, van: bool) -> Vec<(String, bool)> {
        vec![("studio".to_owned(), studio), ("van".to_owned(), van)]
    }

    #[test]
    fn the_first_connected_input_is_on_air() {
        for (sources, told_inputs, source) in [
            (vec![], studio_and_van(false, false), None),
            (vec!["van"], studio_and_van(false, true), Some("van")),
            (vec!["van", "studio"], studio_and_van(true, true), Some("studio")),
        ] {
            let sessions = sources.iter().map(|input| session("talk", input, at(1)));
            let seen = seen(sessions.collect(), Vec::new());
            assert_eq!(
                told(&mount(FULL_MOUNT, Connected::Seen(seen))),
                (told_inputs, source.map(str::to_owned))
            );
        }
        // A rehearsal is connected and not heard.
        let mut rehearsal = session("talk", "studio", at(1));
        rehearsal.routing = Routing::Rehearsal;
        let seen = seen(vec![rehearsal, session("talk", "van", at(2))], Vec::new());
        assert_eq!(
            told(&mount(FULL_MOUNT, Connected::Seen(seen))).1.as_deref(),
            Some("van")
        );
    }

    #[test]
    fn of_a_passthrough_mount_all_are_on_air() {
        let on = |keys: &[&str]| {
            let sessions = keys.iter().map(|key| session("mics", key, at(1))).collect();
            told(&mount(
                WILDCARD_MOUNT,
                Connected::Seen(seen(sessions, Vec::new())),
            ))
            .1
        };
        assert_eq!(on(&[]), None);
        assert_eq!(on(&["8"]).as_deref(), Some("8"));
        assert_eq!(on(&["7", "8"]).as_deref(), Some("2 sources"));
    }

    #[test]
    fn what_is_not_known_stays_as_it_was_told() {
        let sessions = vec![session("talk", "studio", at(1))];
        let refusals = vec![refused(Some(("talk", "van")), RefusalReason::Unauthorized, at(2))];
        let mut known = mount(FULL_MOUNT, Connected::Seen(seen(sessions, refusals)));
        let (inputs_before, source) = (inputs(&known), on_air(&known, &inputs(&known)));
        known.before.inputs.clone_from(&inputs_before);
        known.before.source = source;

        // The operator has just started.
        let unknown = ValidMount {
            connected: Connected::Unknown,
            ..known.clone()
        };
        assert_eq!(inputs(&unknown), inputs_before);
        assert_eq!(on_air(&unknown, &inputs_before).as_deref(), Some("studio"));

        // The ingest has just started: nobody is connected, but who was refused is still told.
        let empty = ValidMount {
            connected: Connected::Seen(seen(Vec::new(), Vec::new())),
            ..known.clone()
        };
        assert_eq!(told(&empty), (studio_and_van(false, false), None));
        assert_eq!(inputs(&empty)[1].last_refusal, inputs_before[1].last_refusal);

        // The ingest is gone: what it said last is no longer so.
        let Connected::Seen(last) = known.connected.clone() else {
            panic!("seen")
        };
        let gone = ValidMount {
            connected: Connected::NoIngest(Some(last)),
            ..known
        };
        assert_eq!(told(&gone), (studio_and_van(false, false), None));
    }

    #[test]
    fn a_status_says_everything_a_dj_needs() {
        let mut studio = session("talk", "studio", at(1));
        studio.codec = Some("opus".to_owned());
        let van = refused(Some(("talk", "van")), RefusalReason::Unauthorized, at(2));
        let mount = mount(FULL_MOUNT, Connected::Seen(seen(vec![studio], vec![van])));
        insta::assert_yaml_snapshot!(inputs(&mount));
    }

    #[test]
    fn a_newer_refusal_replaces_an_older_one() {
        let refusal = |seconds| refused(Some(("talk", "van")), RefusalReason::Taken, at(seconds));
        let told = |seconds| last_refusal(Some(&refusal(seconds)), None);
        assert_eq!(last_refusal(Some(&refusal(5)), told(1)), told(5));
        assert_eq!(last_refusal(Some(&refusal(1)), told(5)), told(5));
        assert_eq!(last_refusal(None, told(5)), told(5));
    }
}
