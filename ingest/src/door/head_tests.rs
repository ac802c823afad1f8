use super::*;

fn whole(text: &str) -> Head {
    let (head, length) = parse(text.as_bytes()).unwrap().unwrap();
    assert_eq!(length, text.len(), "{text:?}");
    head
}

fn refused(text: impl AsRef<[u8]>) -> Malformed {
    parse(text.as_ref()).unwrap_err()
}

#[test]
fn what_ffmpeg_sends() {
    let head = whole(
        "PUT /live/studio HTTP/1.1\r\nUser-Agent: Lavf/59.27.100\r\nAccept: */*\r\nExpect: 100-continue\r\n\
         Connection: close\r\nHost: 127.0.0.1:8005\r\nContent-Type: audio/mpeg\r\nIcy-MetaData: 1\r\nIce-Public: 0\r\n\
         Authorization: Basic c291cmNlOmhhY2ttZQ==\r\n\r\n",
    );
    assert_eq!((head.method, head.path.as_str()), (Method::Put, "/live/studio"));
    assert!(head.http_1_1 && head.expects_continue && !head.wants_websocket);
    assert_eq!(head.body, Body::Endless);
    let login = head.login.unwrap();
    assert_eq!(
        (login.user.as_slice(), login.password.as_slice()),
        (&b"source"[..], &b"hackme"[..])
    );
    assert!(!format!("{login:?}").contains("hackme"));
}

#[test]
fn old_forms_of_the_first_line() {
    for line in ["SOURCE /mic-7.opus ICE/1.0", "SOURCE /mic-7.opus HTTP/1.0"] {
        let head = whole(&format!(
            "{line}\r\nauthorization: bAsIc  c291cmNlOmE6Yg==\r\n\r\n"
        ));
        assert_eq!((head.method, head.path.as_str()), (Method::Source, "/mic-7.opus"));
        assert!(!head.http_1_1);
        assert_eq!(head.login.unwrap().password, b"a:b");
    }
    let bare_line_feeds = whole("\r\n\nPUT /a HTTP/1.0\nHost: a\n\n");
    assert_eq!(bare_line_feeds.path, "/a");
}

#[test]
fn paths_and_queries() {
    let get = whole("GET /admin/metadata?mode=updinfo&mount=%2Fa&song=b+%26 HTTP/1.0\r\n\r\n");
    assert_eq!(get.path, "/admin/metadata");
    assert_eq!(get.query, "mode=updinfo&mount=%2Fa&song=b+%26");
    assert_eq!(whole("PUT /m%c3%B6we%2 HTTP/1.1\r\n\r\n").path, "/möwe%2");
    assert_eq!(whole("PUT /möwe HTTP/1.1\r\n\r\n").path, "/möwe");
    assert_eq!(whole("PUT http://radio:8005/a/b?c HTTP/1.1\r\n\r\n").path, "/a/b");
    assert_eq!(whole("PUT http://radio HTTP/1.1\r\n\r\n").path, "/");
    assert_eq!(whole("OPTIONS * HTTP/1.1\r\n\r\n").path, "*");
    for target in ["live", "", "ftp://a/b", "/a%0Ab", "/a%00", "/%FF", "/a?b\u{7f}"] {
        let text = format!("PUT {target} HTTP/1.1\r\n\r\n");
        assert_eq!(refused(&text), Malformed::Path, "{text:?}");
    }
}

#[test]
fn how_the_body_comes() {
    let body = |method: &str, fields: &str| {
        parse(format!("{method} /a HTTP/1.1\r\n{fields}\r\n").as_bytes()).map(|head| head.unwrap().0.body)
    };
    assert_eq!(body("PUT", ""), Ok(Body::Endless));
    assert_eq!(body("PUT", "Content-Length:  17 \r\n"), Ok(Body::Length(17)));
    assert_eq!(
        body("POST", "transfer-encoding: Chunked\r\n"),
        Ok(Body::chunked())
    );
    assert_eq!(body("PUT", "Transfer-Encoding: identity\r\n"), Ok(Body::Endless));
    assert_eq!(body("SOURCE", "Content-Length: 0\r\n"), Ok(Body::Endless));
    for length in ["-1", "+1", "1, 1", "0x1", "1 1", "99999999999999999999", ""] {
        let fields = format!("Content-Length: {length}\r\n");
        assert_eq!(body("PUT", &fields), Err(Malformed::Length), "{length}");
    }
    for coding in ["gzip", "gzip, chunked", "chunked, chunked", "chunked;q=1"] {
        let fields = format!("Transfer-Encoding: {coding}\r\n");
        assert_eq!(body("PUT", &fields), Err(Malformed::Length), "{coding}");
    }
    for twice in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\ncontent-length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Authorization: Basic YTpi\r\nAuthorization: Basic YTpj\r\n",
    ] {
        assert_eq!(body("PUT", twice), Err(Malformed::Ambiguous), "{twice:?}");
    }
}

#[test]
fn a_login_that_cannot_be_read_is_one_that_opens_nothing() {
    for value in [
        "Digest username=a",
        "Basic",
        "Basic !",
        "Basic YQ==",
        "Bearer YTpi",
        "Basicx YTpi",
        "é",
    ] {
        let head = whole(&format!("PUT /a HTTP/1.1\r\nAuthorization: {value}\r\n\r\n"));
        let login = head.login.unwrap();
        assert!(login.user.is_empty() && login.password.is_empty(), "{value}");
    }
    assert_eq!(whole("PUT /a HTTP/1.1\r\n\r\n").login, None);
    let latin = whole("PUT /a HTTP/1.1\r\nAuthorization: Basic YTr2\r\n\r\n");
    assert_eq!(latin.login.unwrap().password, [0xf6]);
}

#[test]
fn what_is_no_request_is_refused_as_soon_as_it_shows() {
    assert_eq!(refused([0x16, 3, 1, 2]), Malformed::Tls);
    for text in [
        &b"hackme\r\n"[..],
        b"hackme\r\nicy-name: a\r\n",
        b"SOURCE hackme /a\r\n",
        b"PUT /a HTTP/1.1 \r\n",
        b"PUT  /a HTTP/1.1\r\n",
        b" PUT /a HTTP/1.1\r\n",
        b"PUT /a HTTP/2.0\r\n",
        b"P(T /a HTTP/1.1\r\n",
        b"PUT\t/a HTTP/1.1\r\n",
        b"OggS\0\x02",
        b"\xff\xfb\x90\x64\0\0",
    ] {
        assert_eq!(
            refused(text),
            Malformed::NotHttp,
            "{:?}",
            text.escape_ascii().to_string()
        );
    }
    for fields in [
        "a b: c\r\n",
        ": c\r\n",
        "a\r\n",
        "A: b\r\n c\r\n",
        "A : b\r\n",
        "A: b\0\r\n",
        "A: b\rc\r\n",
    ] {
        let text = format!("PUT /a HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
        assert_eq!(refused(&text), Malformed::Field, "{text:?}");
    }
}

#[test]
fn heads_have_a_longest_length() {
    let path = |length: usize| format!("PUT /{} HTTP/1.1\r\n\r\n", "a".repeat(length - 18));
    assert!(parse(path(LONGEST).as_bytes()).unwrap().is_some());
    assert_eq!(refused(path(LONGEST + 1)), Malformed::TooLong);
    assert_eq!(refused("a".repeat(LONGEST)), Malformed::NotHttp);
    assert_eq!(parse("a".repeat(LONGEST - 1).as_bytes()), Ok(None));
    let fields = |count| format!("PUT /a HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(count));
    assert!(parse(fields(64).as_bytes()).unwrap().is_some());
    assert_eq!(refused(fields(65)), Malformed::TooManyFields);
    let endless = format!("PUT /a HTTP/1.1\r\nA: {}", "b".repeat(LONGEST));
    assert_eq!(refused(endless), Malformed::TooLong);
    assert_eq!(refused("\r\n".repeat(LONGEST / 2)), Malformed::NotHttp);
}

#[test]
fn it_makes_no_difference_how_a_head_arrives() {
    let text =
        b"SOURCE /live/studio ICE/1.0\r\nAuthorization: Basic YTpi\r\nIce-Name: M\xf6we\r\n\r\nOggS\r\n\r\n";
    let head_ends = text.len() - 8;
    let expected = parse(text).unwrap().unwrap();
    assert_eq!(expected.1, head_ends);
    for arrived in 0..head_ends {
        assert_eq!(parse(&text[..arrived]), Ok(None), "{arrived}");
    }
    for arrived in head_ends..=text.len() {
        assert_eq!(parse(&text[..arrived]).unwrap().as_ref(), Some(&expected));
    }
}
