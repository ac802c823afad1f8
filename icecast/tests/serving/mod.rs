//! What `watch` tells of a real Icecast: status pages, metrics, health, whether a configuration is in effect. Needs
//! `icecast2`, and `ffmpeg` for sources.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::pod::{self, Pod, until};

/// A source as a presenter's, until it is dropped.
struct Ffmpeg(Child);

impl Ffmpeg {
    fn new(pod: &Pod, mount: &str, how: &str) -> Self {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-re", "-f", "lavfi", "-i", "anoisesrc=r=48000"]);
        command.args(how.split(' '));
        command.arg(format!(
            "icecast://source:opensesame@127.0.0.1:{}{mount}",
            pod.icecast
        ));
        command.stdin(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn mp3(pod: &Pod, mount: &str) -> Self {
        Self::new(
            pod,
            mount,
            "-c:a libmp3lame -b:a 64k -content_type audio/mpeg -f mp3",
        )
    }

    fn opus(pod: &Pod, mount: &str) -> Self {
        Self::new(
            pod,
            mount,
            "-c:a libopus -b:a 64k -content_type application/ogg -f ogg",
        )
    }
}

impl Drop for Ffmpeg {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn exchange(port: u16, request: &str) -> Option<String> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    socket.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

fn admin(pod: &Pod, path: &str) -> String {
    let word = BASE64_STANDARD.encode("admin:adminword");
    let request = format!("GET {path} HTTP/1.0\r\nAuthorization: Basic {word}\r\n\r\n");
    exchange(pod.icecast, &request).unwrap()
}

fn body(pod: &Pod, path: &str) -> String {
    let answer = pod.asked(path).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

fn json(pod: &Pod, path: &str) -> Value {
    let body = body(pod, path);
    serde_json::from_str(&body).unwrap_or_else(|failure| panic!("{failure}: {body}"))
}

/// The status and the sentence.
fn on_air(pod: &Pod, mount: &str) -> (u16, String) {
    let answer = pod.asked(&format!("/on-air{mount}")).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let sentence = answer.split_once("\r\n\r\n").unwrap().1;
    (status, sentence.trim().to_owned())
}

fn metric(pod: &Pod, series: &str) -> Option<u64> {
    let text = body(pod, "/metrics");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(line.parse().unwrap())
}

fn until_on_air(pod: &Pod, mount: &str) -> Duration {
    let started = Instant::now();
    until("sound", || on_air(pod, mount).0 == 200);
    started.elapsed()
}

const MOUNTS: &str = "<mount><mount-name>/live.mp3</mount-name><charset>UTF-8</charset></mount>
    <mount><mount-name>/test.mp3</mount-name><hidden>1</hidden></mount>
    <mount><mount-name>/quiet.mp3</mount-name></mount>";

fn config(pod: &Pod, mounts: &str) -> String {
    pod::config(pod.icecast, mounts).replace(
        "<sources>5</sources>",
        "<sources>9</sources><source-timeout>60</source-timeout>",
    )
}

#[test]
fn listeners_are_counted_and_titles_told() {
    let Some(mut origin) = Pod::new() else { return };
    origin.project(&config(&origin, MOUNTS));
    origin.start();
    until("Icecast's answer", || metric(&origin, "icecast_up") == Some(1));
    let none = json(&origin, "/status-json.xsl");
    assert!(none["icestats"].get("source").is_none(), "{none}");
    assert_eq!(none["icestats"]["location"], "here", "without the mark");
    assert_eq!(
        json(&origin, "/status.json"),
        json!({"listeners": 0, "mounts": []})
    );
    assert_eq!(on_air(&origin, ""), (503, "no mount has a source".to_owned()));
    assert_eq!(
        metric(&origin, "icecast_source_up{mount=\"/quiet.mp3\"}"),
        Some(0)
    );

    let _live = Ffmpeg::mp3(&origin, "/live.mp3");
    println!("source to on air: {:?}", until_on_air(&origin, "/live.mp3"));
    let one = json(&origin, "/status-json.xsl");
    assert_eq!(
        one["icestats"]["source"]["server_type"], "audio/mpeg",
        "one is an object: {one}"
    );

    let sources = many_told(&origin);
    relayed(&origin);

    let series = "icecast_listeners{mount=\"/two.opus\"}";
    assert_eq!(metric(&origin, series), Some(0));
    drop(sources);
    until("series to go with their mount", || {
        metric(&origin, series).is_none()
    });
    assert!(!origin.logs().contains("adminword"));
}

/// More sources, all with titles that are no fun; the hidden ones are seen by nobody.
fn many_told(origin: &Pod) -> Vec<Ffmpeg> {
    let mut sources = vec![
        Ffmpeg::mp3(origin, "/test.mp3"),
        Ffmpeg::mp3(origin, "/.cushion.mp3"),
    ];
    sources.push(Ffmpeg::opus(origin, "/two.opus"));
    let titles = [
        ("/a.mp3", "-", "-"),
        ("/b.mp3", "5.", "5."),
        ("/c.mp3", "1984", "1984"),
        ("/live.mp3", "%22q%22%5C%C3%A4%3Cb%3E", "\"q\"\\\u{e4}<b>"),
    ];
    for (mount, title, _) in titles {
        if mount != "/live.mp3" {
            sources.push(Ffmpeg::mp3(origin, mount));
        }
        until("the title to be taken", || {
            admin(
                origin,
                &format!("/admin/metadata?mount={mount}&mode=updinfo&song={title}"),
            )
            .contains(" 200 ")
        });
    }
    // No UTF-8: Icecast keeps the title before, or tells bytes that are none. Neither breaks the page.
    admin(origin, "/admin/metadata?mount=/a.mp3&mode=updinfo&song=%E4%F6");
    admin(origin, "/admin/metadata?mount=/a.mp3&mode=updinfo&song=-");
    until("all sources", || {
        json(origin, "/status.json")["mounts"].as_array().unwrap().len() == 5
    });
    println!("{}", body(origin, "/status.json"));
    let many = json(origin, "/status-json.xsl");
    let listed = many["icestats"]["source"].as_array().unwrap();
    assert_eq!(listed.len(), 5, "{many}");
    for (mount, _, title) in titles {
        let source = |source: &&Value| source["listenurl"].as_str().unwrap().ends_with(mount);
        assert_eq!(listed.iter().find(source).unwrap()["title"], title, "{mount}");
    }
    for page in ["/status-json.xsl", "/status.json"] {
        let answer = origin.asked(page).unwrap();
        assert!(
            !answer.contains("test.mp3") && !answer.contains("cushion"),
            "{answer}"
        );
        assert!(answer.contains("access-control-allow-origin: *\r\n"), "{answer}");
    }
    assert_eq!(on_air(origin, "/test.mp3").0, 404);
    assert_eq!(
        metric(origin, "icecast_source_flows{mount=\"/test.mp3\"}"),
        Some(1),
        "metrics hide nothing"
    );
    sources
}

/// A relay of `/live.mp3` and its listeners.
fn relayed(origin: &Pod) {
    let mut relay = Pod::new().unwrap();
    let fetched = format!(
        "<master-update-interval>1</master-update-interval><relay><server>127.0.0.1</server><port>{}</port>
        <mount>/live.mp3</mount><local-mount>/live.mp3</local-mount><username>relay</username>
        <password>relayword</password></relay>",
        origin.icecast
    );
    relay.project(&config(&relay, &fetched));
    relay.start();
    println!("relay started to on air: {:?}", until_on_air(&relay, "/live.mp3"));
    let listeners = [(); 3].map(|()| relay.listener("/live.mp3").unwrap());
    let direct = origin.listener("/live.mp3").unwrap();
    until("the listeners", || {
        metric(&relay, "icecast_listeners{mount=\"/live.mp3\"}") == Some(3)
    });
    until("the relay", || {
        metric(origin, "icecast_relays{mount=\"/live.mp3\"}") == Some(1)
    });
    until("the one direct listener", || {
        metric(origin, "icecast_listeners{mount=\"/live.mp3\"}") == Some(1)
    });
    assert!(body(&relay, "/status.json").contains("\"listeners\":3"));
    assert_eq!(metric(&relay, "icecast_relays{mount=\"/live.mp3\"}"), None);
    assert!(metric(&relay, "icecast_sent_bytes_total{mount=\"/live.mp3\"}") > Some(1000));
    assert!(listeners.iter().all(pod::Feed::flows) && direct.flows());
}

#[test]
fn on_air_is_told_only_while_a_listener_would_hear_something() {
    let Some(mut pod) = Pod::new() else { return };
    let small = config(&pod, MOUNTS).replace("<clients>50<", "<clients>12<");
    pod.project(&small);
    pod.start();
    let mut source = Ffmpeg::mp3(&pod, "/live.mp3");
    until_on_air(&pod, "");
    assert_eq!(
        on_air(&pod, "/quiet.mp3"),
        (503, "nobody sends to /quiet.mp3: it has no source".to_owned())
    );

    let draining = pod.path("run/draining");
    fs::write(&draining, "").unwrap();
    assert!(on_air(&pod, "").1.contains("about to end"));
    fs::remove_file(draining).unwrap();

    let crowd: Vec<_> = (0..15).filter_map(|_| pod.listener("/live.mp3").ok()).collect();
    until("the full server", || on_air(&pod, "").1.contains("full"));
    println!(
        "{} listeners of 12 clients: {:?}",
        crowd.len(),
        on_air(&pod, "/live.mp3")
    );
    assert!(metric(&pod, "icecast_agent_stats_poll_failures_total{reason=\"full\"}") >= Some(1));
    assert!(
        body(&pod, "/status.json").contains("/live.mp3"),
        "full is not gone"
    );
    assert!(crowd.iter().all(pod::Feed::flows), "who is in stays in");
    drop(crowd);
    until_on_air(&pod, "/live.mp3");

    let ffmpeg = Pid::from_child(&source.0);
    kill_process(ffmpeg, Signal::STOP).unwrap();
    let stopped = Instant::now();
    until("the silence", || on_air(&pod, "/live.mp3").0 == 503);
    println!(
        "silent after {:?}: {:?}",
        stopped.elapsed(),
        on_air(&pod, "/live.mp3")
    );
    assert!(on_air(&pod, "/live.mp3").1.contains("has sent nothing"));
    assert!(metric(&pod, "icecast_source_lag_seconds{mount=\"/live.mp3\"}") >= Some(6));
    kill_process(ffmpeg, Signal::CONT).unwrap();
    println!("on air again after {:?}", until_on_air(&pod, ""));
    source.0.kill().unwrap();
    until("the source's end", || {
        on_air(&pod, "/live.mp3").1.contains("no source")
    });
    pod.stop(1);
    until("nothing known", || {
        on_air(&pod, "").1.contains("nothing from Icecast")
    });
    assert_eq!(metric(&pod, "icecast_up"), Some(0));
    assert!(json(&pod, "/status-json.xsl")["icestats"].get("source").is_none());
}

#[test]
fn it_is_known_whether_a_configuration_is_in_effect() {
    let Some(mut pod) = Pod::new() else { return };
    pod.project(&config(&pod, MOUNTS));
    pod.start();
    let source = pod.source("/live.mp3", "opensesame").unwrap();
    until("the confirmation", || {
        pod.logs().contains("runs with the configuration it was given")
    });
    let not_applied = || metric(&pod, "icecast_agent_config_not_applied");
    assert_eq!(not_applied(), Some(0));
    let run = Pid::from_child(&pod.processes[1]);
    kill_process(run, Signal::STOP).unwrap();
    let changed = config(&pod, MOUNTS)
        .replace(">here<", ">K\u{f6}ln &amp; Bonn<")
        .replace("adminword", "newword");
    pod.project(&changed);
    let asked = Instant::now();
    let not_applied = |pod: &Pod| metric(pod, "icecast_agent_config_not_applied");
    until("the complaint", || not_applied(&pod) == Some(1));
    println!("a lost reload is told after {:?}", asked.elapsed());
    assert!(pod.logs().contains("config_not_applied"));
    assert_eq!(on_air(&pod, "/live.mp3").0, 200, "with the password of before");
    kill_process(run, Signal::CONT).unwrap();
    until("the new configuration", || not_applied(&pod) == Some(0));
    assert_eq!(
        json(&pod, "/status-json.xsl")["icestats"]["location"],
        "K\u{f6}ln & Bonn"
    );

    let refused = changed.replace("<clients>50<", "<clients>0<");
    pod.project(&refused);
    until("the refusal", || {
        metric(&pod, "icecast_agent_config_refusals_total") == Some(1)
    });
    assert!(pod.logs().contains("<clients> has to be a plain number"));
    assert_eq!(metric(&pod, "icecast_agent_config_writes_total"), Some(2));
    assert!(source.flows(), "no reload cuts a source");
    assert!(!pod.logs().contains("newword"));
}

fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn a_thousand_askers_cost_one_look_and_the_agent_next_to_nothing() {
    const LISTENERS: usize = 200;
    const WATCHED: Duration = Duration::from_secs(30);
    let Some(mut pod) = Pod::new() else { return };
    pod.project(&config(&pod, MOUNTS).replace("<clients>50<", "<clients>300<"));
    pod.start();
    let _source = pod.source("/live.mp3", "opensesame").unwrap();
    let _other = pod.source("/other.mp3", "opensesame").unwrap();
    until_on_air(&pod, "/live.mp3");
    let _crowd: Vec<_> = (0..LISTENERS)
        .map(|_| pod.listener("/live.mp3").unwrap())
        .collect();
    until("the crowd", || {
        json(&pod, "/status.json")["listeners"] == LISTENERS
    });

    let watch = pod.processes[0].id();
    let before = cpu_ticks(watch);
    sleep(WATCHED);
    let ticks = cpu_ticks(watch) - before;
    let share = f64::from(u32::try_from(ticks).unwrap()) / 100.0 / WATCHED.as_secs_f64();
    println!(
        "icecast-agent watch: {:.2} % of a core over {WATCHED:?} with {LISTENERS} listeners",
        share * 100.0
    );
    assert!(share < 0.01, "{share}");

    let looks = || pod.logs().matches("GET /admin/stats ").count();
    let (before, started) = (looks(), Instant::now());
    for _ in 0..1000 {
        assert!(
            pod.asked("/status-json.xsl")
                .unwrap()
                .starts_with("HTTP/1.1 200 ")
        );
    }
    let (took, looked) = (started.elapsed(), looks() - before);
    println!("1000 askers: {took:?}, {looked} looks at Icecast");
    assert!(
        looked <= 1 + usize::try_from(took.as_secs() / 10).unwrap(),
        "{looked}"
    );

    let preflight = "OPTIONS /status-json.xsl HTTP/1.1\r\nHost: pod\r\nOrigin: https://radio.example\r\n\
        Access-Control-Request-Method: GET\r\nConnection: close\r\n\r\n";
    let answer = exchange(pod.health, preflight).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 204 ") && answer.contains("access-control-allow-origin: *"),
        "{answer}"
    );
    let status = fs::read_to_string(format!("/proc/{watch}/status")).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    println!("icecast-agent watch: {peak}");
    let kib: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kib < 15 << 10, "{peak}");
}
