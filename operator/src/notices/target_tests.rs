use radio_crds::refs::SecretRef;

use super::*;

const TOKEN: &str = "123456:AAF-s3cr3t_token";
const URL: &str = "https://hooks.example.org/services/s3cr3t?key=1";

fn secret(key: &str, value: &str) -> Secret {
    Secret {
        data: Some([(key.to_owned(), ByteString(value.as_bytes().to_vec()))].into()),
        ..Secret::default()
    }
}

fn spec() -> Telegram {
    Telegram {
        chat_id: "-1001234".to_owned(),
        secret_ref: SecretRef {
            name: "bot".to_owned(),
        },
        api_url: None,
    }
}

fn telegram() -> Target {
    Target::telegram(&spec(), Some(&secret("token", TOKEN))).unwrap()
}

fn webhook() -> Target {
    Target::webhook("hook", Some(&secret("url", URL))).unwrap()
}

fn letter() -> Letter {
    Letter {
        about: super::super::outbox::About::Drill(Timestamp::UNIX_EPOCH),
        at: Timestamp::UNIX_EPOCH,
        station: ("city".to_owned(), "radio".to_owned()),
        text: "hello \"all\"\n".to_owned(),
    }
}

fn answer(target: &Target, code: u16, header: Option<&str>, body: &str) -> Answer {
    let mut headers = HeaderMap::new();
    if let Some(header) = header {
        headers.insert(RETRY_AFTER, header.parse().unwrap());
    }
    let now = "2026-11-21T19:00:00Z".parse().unwrap();
    target.understand(
        StatusCode::from_u16(code).unwrap(),
        &headers,
        body.as_bytes(),
        now,
    )
}

fn later(words: &str, wait: Option<u64>) -> Answer {
    Answer::Later {
        words: words.to_owned(),
        wait: wait.map(Duration::from_secs),
    }
}

fn refused(words: &str) -> Answer {
    Answer::Refused {
        words: words.to_owned(),
    }
}

#[test]
fn a_message_to_a_chat() {
    let errand = telegram().errand(&letter()).unwrap();
    assert_eq!(
        errand.uri.to_string(),
        format!("https://api.telegram.org/bot{TOKEN}/sendMessage")
    );
    assert_eq!(
        errand.body,
        json!({"chat_id": "-1001234", "text": "hello \"all\"\n", "disable_web_page_preview": true})
    );
    let own = Telegram {
        api_url: Some("http://telegram.city.svc:8081/".to_owned()),
        ..spec()
    };
    let own = Target::telegram(&own, Some(&secret("token", TOKEN))).unwrap();
    assert_eq!(
        own.errand(&letter()).unwrap().uri.to_string(),
        format!("http://telegram.city.svc:8081/bot{TOKEN}/sendMessage")
    );
    assert_eq!(webhook().errand(&letter()).unwrap().uri.to_string(), URL);
}

#[test]
fn what_a_secret_may_hold() {
    let parse = |value: &str| Target::telegram(&spec(), Some(&secret("token", value)));
    // As `kubectl create secret --from-file` makes them.
    assert_eq!(parse(&format!("{TOKEN}\n")).unwrap(), telegram());
    for bad in [
        "98765",
        ":abc",
        "98765:",
        "123:a/../../b",
        "123:a?b",
        "1 2:a",
        "123:ä",
    ] {
        let error = parse(bad).unwrap_err();
        assert!(
            error.starts_with("key token of Secret bot is not the token of a bot"),
            "{error}"
        );
        assert!(!error.contains(bad), "{error}");
    }
    assert_eq!(
        parse("").unwrap_err(),
        "key token of Secret bot is empty or is no text on one line"
    );
    assert_eq!(
        Target::telegram(&spec(), Some(&secret("tokn", TOKEN))).unwrap_err(),
        "Secret bot has no key token"
    );
    assert_eq!(
        Target::telegram(&spec(), None).unwrap_err(),
        "Secret bot does not exist"
    );
    for bad in [
        "ftp://example.org/",
        "/services",
        "example.org",
        "https://user:pass@example.org/",
        "https://exa mple.org/",
    ] {
        let error = address("hook", Some(&secret("url", bad))).unwrap_err();
        assert!(
            error.starts_with("key url of Secret hook is not an http"),
            "{error}"
        );
        assert!(!error.contains(bad), "{error}");
    }
}

#[test]
fn what_telegram_answers() {
    let telegram = telegram();
    let answer = |code, header, body| answer(&telegram, code, header, body);
    assert_eq!(
        answer(200, None, r#"{"ok":true,"result":{"message_id":1}}"#),
        Answer::Delivered
    );
    // Words that are not Telegram's are somebody else's, on the way.
    assert_eq!(
        answer(200, None, "<html>Log in to the hotel</html>"),
        later("Telegram answers 200: not as Telegram does", None)
    );
    assert_eq!(
        answer(404, None, "no such page"),
        later("Telegram answers 404: not as Telegram does", None)
    );
    assert_eq!(
        answer(
            502,
            None,
            r#"{"ok":false,"error_code":502,"description":"Bad Gateway"}"#
        ),
        later("Telegram answers 502: Bad Gateway", None)
    );
    let flood = r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 35","parameters":{"retry_after":35}}"#;
    assert_eq!(
        answer(429, None, flood),
        later(
            "Telegram answers 429: Too Many Requests: retry after 35",
            Some(35)
        )
    );
    assert_eq!(
        answer(
            429,
            Some("7"),
            r#"{"ok":false,"description":"Too Many Requests"}"#
        ),
        later("Telegram answers 429: Too Many Requests", Some(7))
    );
}

#[test]
fn what_telegram_refuses_says_what_to_do() {
    let telegram = telegram();
    for (code, body, expected) in [
        (
            401,
            r#"{"ok":false,"description":"Unauthorized"}"#,
            "Telegram answers 401: Unauthorized; the Secret's token is not, or no longer, that of a bot",
        ),
        (
            403,
            r#"{"ok":false,"description":"Forbidden: bot was kicked from the group chat"}"#,
            "Telegram answers 403: Forbidden: bot was kicked from the group chat; let the bot into the chat again",
        ),
        (
            400,
            r#"{"ok":false,"description":"Bad Request: chat not found"}"#,
            "Telegram answers 400: Bad Request: chat not found; is chatId right, and is the bot in the chat?",
        ),
        (
            400,
            r#"{"ok":false,"description":"group chat was upgraded","parameters":{"migrate_to_chat_id":-100987}}"#,
            "Telegram answers 400: group chat was upgraded; the group has another number now, set chatId to \"-100987\"",
        ),
    ] {
        assert_eq!(answer(&telegram, code, None, body), refused(expected));
    }
}

#[test]
fn what_a_webhook_answers() {
    let webhook = webhook();
    let answer = |code, header| answer(&webhook, code, header, "s3cr3t words that nobody asked for");
    for code in [200, 201, 202, 204] {
        assert_eq!(answer(code, None), Answer::Delivered);
    }
    for code in [408, 425, 500, 502, 503, 504] {
        assert_eq!(
            answer(code, None),
            later(&format!("the webhook answers {code}"), None)
        );
    }
    for (header, wait) in [
        ("120", Some(120)),
        (" 1 ", Some(1)),
        ("Sat, 21 Nov 2026 19:02:00 GMT", Some(120)),
        // Long over.
        ("Sat, 21 Nov 2026 18:00:00 GMT", None),
        ("soon", None),
        ("-5", None),
        ("99999999999", Some(86_400)),
    ] {
        assert_eq!(
            answer(429, Some(header)),
            later("the webhook answers 429", wait),
            "{header}"
        );
    }
    assert_eq!(
        answer(404, None),
        refused("the webhook answers 404; is the address in its Secret right?")
    );
    assert_eq!(
        answer(302, None),
        refused(
            "the webhook answers 302; it points elsewhere, and that address has to be in the Secret itself"
        )
    );
}

#[test]
fn what_is_secret_shows_nowhere() {
    for target in [telegram(), webhook()] {
        assert!(!format!("{target:?}").contains("s3cr3t"));
        let secret = match &target {
            Target::Telegram { token, .. } => token.reveal().to_owned(),
            Target::Webhook { url } => url.reveal().to_owned(),
        };
        assert_eq!(target.hide(&format!("failed at {secret}/x")), "failed at …/x");
        // Somebody who repeats it in an answer.
        let body = json!({"ok": false, "description": format!("bot {secret} is unknown")}).to_string();
        let said = format!("{:?}", answer(&target, 400, None, &body));
        assert!(!said.contains("s3cr3t"), "{said}");
    }
}
