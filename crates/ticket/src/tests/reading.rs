//! Every shape in, and everything that is none.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::event::{MAX_CHANGES, MAX_EVENT_BYTES, Source};
use crate::fact::{Fact, Field};
use crate::flat;
use crate::ids::{IssueKey, SiteId, TicketId};
use crate::jira::Kind;
use crate::text::{DESCRIPTION_BYTES, Seen, Text};

fn read(body: &Value) -> Result<Delivery, jira::Error> {
    jira::read(body.to_string().as_bytes())
}

fn with(pointer: &str, value: Value) -> Value {
    let mut body = change(T0 + MINUTE, 501, "10000", "3");
    body["user"] = json!({ "displayName": "Ada Example" });
    body["issue"]["fields"]["creator"] = body["user"].clone();
    *body.pointer_mut(pointer).expect("a field to set") = value;
    body
}

/// The whole of an event, so that a change of the canonical form, which would change hashes, is seen.
#[test]
fn the_canonical_event_is_this() {
    let event = event(&change(T0 + MINUTE, 501, "10000", "3"));
    let expected = json!({
        "site": "acme.example.net",
        "issue": "10100",
        "key": "SHOP-1",
        "observed": "2025-06-02T08:01:00.000Z",
        "source": "webhook",
        "facts": [
            { "fact": "created", "at": "2025-06-02T08:00:00.000Z" },
            { "fact": "change", "field": "status", "changelog": "501", "item": 0,
              "from": { "id": "10000", "name": "x" }, "to": { "id": "3", "name": "y" },
              "at": "2025-06-02T08:01:00.000Z", "clock": "timestamp" },
            { "fact": "snapshot", "observed": "2025-06-02T08:01:00.000Z", "status": { "id": "3", "name": "In Work" },
              "category": "indeterminate", "resolution": null, "priority": { "id": "2", "name": "High" },
              "key": "SHOP-1", "project": "SHOP" },
        ],
        "texts": {
            "summary": { "observed": "2025-06-02T08:01:00.000Z", "text": { "value": "The basket forgets its items" } },
            "description": { "observed": "2025-06-02T08:01:00.000Z", "text": null },
        },
    });
    assert_eq!(serde_json::to_value(&event).expect("an event is JSON"), expected);
    assert_eq!(
        serde_json::from_value::<TicketEvent>(expected).expect("an event"),
        event
    );
    assert_eq!(
        event.hash(),
        "8a2f2a9922f6b02bb03cd63382a2b7e9d87c8e53398c79f00c5865aa9296c293"
    );
    assert_eq!(event.facts[1].id(), "status#501#0#25e4376b89da1aef2fc520d16e7fa5c6");
}

#[test]
fn times_come_in_many_forms() {
    for text in [
        "2018-01-10T20:15:07.958+0000",
        "2018-01-10T20:15:07.958Z",
        "2018-01-11T08:15:07.958+1200",
        "2018-01-10T12:15:07.958-08:00",
        "2018-01-11T01:45:07.958+05:30",
        "1515615307958",
        " 2018-01-10T20:15:07.958000123Z ",
    ] {
        assert_eq!(text.parse(), Ok(time(1_515_615_307_958)), "{text}");
    }
    assert_eq!("2018-01-10T20:15:07+0000".parse(), Ok(time(1_515_615_307_000)));
    assert_eq!("9999-12-31T23:59:59.999Z".parse(), Ok(Time::LAST));
    assert_eq!("0001-01-01T00:00:00.000Z".parse(), Ok(Time::FIRST));
    assert_eq!(
        "-1".parse::<Time>().map(|time| time.to_string()),
        Ok("1969-12-31T23:59:59.999Z".to_owned())
    );
    for text in [
        "",
        "-",
        "yesterday",
        "NaN",
        "2018-01-10",
        "2018-01-10T20:15:07.958",
        "2018-13-10T20:15:07.958Z",
        "9999-12-31T23:59:59.999-0100",
        "10000-01-01T00:00:00.000Z",
        "0000-12-31T23:59:59.999Z",
        "99999999999999999999999999",
        "253402300800000",
        "2019-1-30 19:48:08,900",
    ] {
        assert!(text.parse::<Time>().is_err(), "{text}");
    }
    for (number, expected) in [
        ("1515615307958", Some(1_515_615_307_958)),
        ("1.5e3", Some(1_500)),
        ("-1.5", Some(-2)),
        ("1.9", Some(1)),
        ("-1", Some(-1)),
        ("18446744073709551615", None),
        ("1e300", None),
        ("-1e300", None),
        ("9e15", None),
    ] {
        let number: serde_json::Number = number.parse().expect("a number");
        assert_eq!(Time::from_number(&number).ok(), expected.map(time), "{number}");
    }
}

#[test]
fn what_is_not_about_an_issue_is_ignored() {
    for event in [
        "comment_created",
        "issuelink_deleted",
        "project_updated",
        "jira:version_released",
        "jira:worklog_updated",
        "",
    ] {
        let body = json!({ "timestamp": 1, "webhookEvent": event, "comment": { "id": "1" } });
        assert!(matches!(read(&body), Ok(Delivery::Ignored { .. })), "{event}");
    }
    let stub = json!({ "webhookEvent": "comment_created", "issue": { "id": "1", "fields": { "summary": "s" } } });
    assert!(matches!(read(&stub), Ok(Delivery::Ignored { .. })));
}

#[test]
fn what_no_one_can_read_is_unreadable() {
    for body in ["", "{", "nope", "{\"timestamp\":1e999}", "\u{feff}{}"] {
        assert!(matches!(error(body), jira::Error::NotJson(_)), "{body}");
    }
    for body in [
        "{}",
        "[]",
        "null",
        "7",
        "\"jira\"",
        "{\"foo\":1}",
        "{\"webhookEvent\":\"jira:issue_created\",\"webhookEvent\":\"jira:issue_created\"}",
        // What serde would read by the order of the fields.
        "[\"jira:issue_created\",1577836800000,[\"10\",\"AB-1\",\"https://acme.example.net/1\",{}]]",
    ] {
        assert!(
            matches!(error(body), jira::Error::NoKnownShape(_)),
            "{body}: {}",
            error(body)
        );
        assert_eq!(error(body).kind(), Kind::Unreadable);
    }
    assert!(matches!(
        jira::read(b"{\"summary\":\"\xff\",\"created\":1}"),
        Err(jira::Error::NotJson(_))
    ));
}

#[test]
fn a_part_of_another_shape_is_named() {
    let wrong = |pointer: &str, value: Value| read(&with(pointer, value)).expect_err("another shape");
    for (pointer, value, message) in [
        ("", Value::Null, "it is null; it should be an object"),
        ("", json!([]), "it is []; it should be an object"),
        ("", json!("a".repeat(300)), "aaa…; it should be an object"),
        ("/issue", json!(5), "issue is 5; it should be an object"),
        (
            "/issue",
            json!(["10100"]),
            "issue is [\"10100\"]; it should be an object",
        ),
        (
            "/issue/fields",
            json!(true),
            "issue.fields is true; it should be an object",
        ),
        (
            "/issue/fields",
            json!([{"a": [1.5]}]),
            "issue.fields is [{\"a\":[1.5]}]; it should be an object",
        ),
        ("/changelog", json!([]), "changelog is []; it should be an object"),
        (
            "/issue",
            json!({"changelog": "x"}),
            "issue.changelog is \"x\"; it should be an object",
        ),
        (
            "/changelog/items",
            json!(-5),
            "changelog.items is -5; it should be a list",
        ),
        (
            "/changelog/items",
            json!({"0": {}}),
            "changelog.items is {\"0\":{}}; it should be a list",
        ),
        (
            "/changelog/items/0",
            json!(5),
            "changelog.items[0] is 5; it should be an object",
        ),
        (
            "/changelog/items/0",
            json!(["status"]),
            "changelog.items[0] is [\"status\"]; it should be an object",
        ),
        (
            "/changelog",
            json!({"histories": 1}),
            "changelog.histories is 1; it should be a list",
        ),
        (
            "/changelog",
            json!({"histories": [{}, []]}),
            "changelog.histories[1] is []; it should be an object",
        ),
        (
            "/changelog",
            json!({"histories": [{"items": [null]}]}),
            "changelog.histories[0].items[0] is null; it should be an object",
        ),
    ] {
        let error = wrong(pointer, value);
        assert!(error.to_string().ends_with(message), "{error}");
        assert_eq!(error.kind(), Kind::Unreadable);
        let field = message.split_once(" is ").map(|(field, _)| field);
        assert_eq!(error.field(), field.filter(|_| !pointer.is_empty()));
    }
    let id = event(&json!({ "summary": "s", "created": 1 })).ticket();
    let error = flat::edit(&id, br#"["x"]"#, time(T0)).expect_err("a list");
    assert!(
        error.kind() == Kind::Unreadable && error.to_string().contains(r#"it is ["x"]"#),
        "{error}"
    );
    let error = flat::read(b"[]").expect_err("a list");
    assert!(error.kind() == Kind::Unreadable && error.field().is_none(), "{error}");
    let error = jira::read_statuses(b"{}", time(T0)).expect_err("an object");
    assert!(error.to_string().ends_with("it is {}; it should be a list"), "{error}");
}

#[test]
fn half_a_surrogate_pair_loses_no_delivery() {
    for (escaped, summary) in [
        (r"\ud83d", "\u{fffd}"),
        (r"\uDE00 x", "\u{fffd} x"),
        (r"a\ud83d\n", "a\u{fffd}\n"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
        (r"\ude00\ud83d\u0041", "\u{fffd}\u{fffd}A"),
        // An escaped backslash, and what follows is text.
        (r"\\ud83d\ud83d", "\\ud83d\u{fffd}"),
        (r"\\\ud83d", "\\\u{fffd}"),
        (r"\\ud83d", "\\ud83d"),
        (r"\ud83d\\ude00", "\u{fffd}\\ude00"),
    ] {
        let body = format!(r#"{{"summary":"{escaped}","created":1,"\udead":{{}}}}"#);
        let Ok(Delivery::Event(event)) = jira::read(body.as_bytes()) else {
            panic!("no event: {body}")
        };
        assert_eq!(
            event.texts.summary().map(|text| text.value.as_str()),
            Some(summary),
            "{body}"
        );
    }
    // What else is wrong stays wrong, and where it is.
    for body in [
        r#"{"summary":"\ud83"}"#,
        r#"{"summary":"\ud83d"#,
        r#"{"summary":"\ud83d\x"}"#,
    ] {
        assert!(matches!(error(body), jira::Error::NotJson(_)), "{body}");
    }
}

#[test]
fn a_value_that_cannot_be_is_named() {
    for (pointer, value, field) in [
        ("/timestamp", json!({}), "timestamp"),
        ("/timestamp", json!(1e300), "timestamp"),
        ("/webhookEvent", json!(7), "webhookEvent"),
        ("/issue/id", json!(null), "issue.id"),
        ("/issue/id", json!(""), "issue.id"),
        ("/issue/id", json!("1~2"), "issue.id"),
        ("/issue/id", json!(1.5), "issue.id"),
        ("/issue/id", json!("9".repeat(300)), "issue.id"),
        ("/issue/self", json!(null), "issue.self"),
        ("/issue/self", json!("rest/api/2/issue/1"), "issue.self"),
        ("/issue/self", json!("https:///issue/1"), "issue.self"),
        ("/issue/self", json!("https://:8080/issue/1"), "issue.self"),
        ("/issue/self", json!("ftp://host/issue/1"), "issue.self"),
        ("/issue/self", json!("https://a~b/issue/1"), "issue.self"),
        ("/issue/key", json!("SHOP 1"), "issue.key"),
        ("/issue/fields/created", json!("yesterday"), "issue.fields.created"),
        ("/issue/fields/created", json!(true), "issue.fields.created"),
        (
            "/issue/fields/updated",
            json!("10000-01-01T00:00:00.000Z"),
            "issue.fields.updated",
        ),
        ("/issue/fields/status", json!("Done"), "issue.fields.status"),
        ("/issue/fields/status/id", json!([]), "issue.fields.status.id"),
        ("/issue/fields/priority", json!(3), "issue.fields.priority"),
        ("/issue/fields/resolution", json!([]), "issue.fields.resolution"),
        (
            "/issue/fields/resolutiondate",
            json!("-"),
            "issue.fields.resolutiondate",
        ),
        ("/issue/fields/project", json!("SHOP"), "issue.fields.project"),
        ("/issue/fields/summary", json!(7), "issue.fields.summary"),
        ("/issue/fields/description", json!([]), "issue.fields.description"),
        ("/changelog/id", json!({}), "changelog.id"),
        ("/changelog/items/0/to", json!([]), "changelog.items[0].to"),
    ] {
        let error = read(&with(pointer, value.clone())).expect_err("a value that cannot be");
        assert_eq!(
            (error.kind(), error.field()),
            (Kind::Unprocessable, Some(field)),
            "{pointer} {value}"
        );
        assert!(
            error.to_string().contains(field) && error.to_string().len() < 300,
            "{error}"
        );
    }
    assert_eq!(error(r#"{"webhookEvent":"jira:issue_updated"}"#).field(), Some("issue"));
}

#[test]
fn what_may_be_missing_may_be_missing() {
    let minimal = json!({ "timestamp": T0, "webhookEvent": "jira:issue_updated",
        "issue": { "id": 10100, "self": "http://JIRA.acme.example:8080/rest/api/2/issue/10100" } });
    let event = event(&minimal);
    assert_eq!(event.ticket().to_string(), "jira.acme.example:8080~10100");
    assert_eq!(event.ticket().to_string().parse::<TicketId>(), Ok(event.ticket()));
    for pointer in [
        "/issue/fields/status",
        "/issue/fields/priority",
        "/issue/fields/resolution",
        "/issue/fields/project",
        "/issue/fields/description",
        "/issue/fields/summary",
        "/issue/key",
        "/changelog/items",
        "/changelog/id",
        "/changelog",
    ] {
        read(&with(pointer, Value::Null)).expect("null may be");
    }
    read(&with("/changelog/items", json!([]))).expect("an empty changelog may be");
    read(&with("/timestamp", json!("2019-1-30 19:48:08,900"))).expect("a logger's time may be");
}

#[test]
fn a_site_is_a_host_and_its_unusual_port() {
    for (url, site) in [
        ("https://Acme.Example.net/rest/api/2/issue/1", "acme.example.net"),
        ("https://acme.example.net:443/x", "acme.example.net"),
        ("http://acme.example.net:443", "acme.example.net:443"),
        ("http://me:secret@jira_1:8080?x#y", "jira_1:8080"),
        ("http://[::1]:2990/jira/rest", "[::1]:2990"),
    ] {
        assert_eq!(SiteId::of_url(url).map(|site| site.to_string()), Ok(site.to_owned()));
    }
}

#[test]
fn fields_are_told_by_id_and_not_by_their_translation_or_by_a_namesake() {
    let items = |items: Value| {
        let event = event(&with("/changelog/items", items));
        event
            .facts
            .into_iter()
            .filter_map(|fact| match fact {
                Fact::Change(change) => Some(change),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    let changes = items(json!([
        { "field": "Статус", "fieldId": "status", "from": "", "to": "3", "toString": "x" },
        { "field": "STATUS", "fieldtype": "jira", "from": 3, "to": 10002 },
        { "field": "status", "fieldtype": "custom", "fieldId": "customfield_10700", "from": "a", "to": "b" },
        { "field": "Status", "fieldtype": "custom", "from": "a", "to": "b" },
        { "field": "description", "from": null, "to": null, "toString": "long" },
        { "field": "status", "from": "3", "to": null },
        { "field": "Key", "fromString": "A-1", "toString": "B-1" },
    ]));
    let found: Vec<_> = changes
        .iter()
        .map(|change| (change.field, change.item, change.from.is_some()))
        .collect();
    assert_eq!(
        found,
        [
            (Field::Status, 0, false),
            (Field::Status, 1, true),
            (Field::Key, 0, true)
        ]
    );
}

#[test]
fn the_other_shapes_are_read_too() {
    let fields = webhook("updated", T0 + MINUTE, "3")["issue"]["fields"].clone();
    let link = "https://acme.example.net/rest/api/2/issue/10100";
    let automation = json!({ "id": 10100, "key": "SHOP-1", "self": link, "fields": fields,
        "changelog": { "startAt": 0, "histories": null } });
    assert_eq!(event(&automation).source, Source::Issue);
    assert_eq!(event(&automation).observed, time(T0 + MINUTE - LAG));

    let post_function = json!({ "timestamp": T0 + MINUTE, "transition": { "to_status": "Anything" }, "comment": "a string",
        "issue": { "id": "10100", "key": "SHOP-1", "self": link, "fields": fields } });
    assert_eq!(event(&post_function).source, Source::PostFunction);
    assert_eq!(event(&post_function).observed, time(T0 + MINUTE));
    assert_eq!(event(&post_function).ticket(), event(&automation).ticket());

    // The documentation's example: `active` is a string, the changelog's id a number, and there is no status at all.
    let documented = json!({ "timestamp": T0, "webhookEvent": "jira:issue_updated", "user": { "active": "true" },
        "issue": { "id": "99", "self": link, "key": "A-1", "fields": { "created": "2009-12-16T23:46:10.612-0600" } },
        "changelog": { "id": 10124, "items": [{ "field": "summary", "toString": "A", "fromString": "B" }] } });
    assert_eq!(folded(&[documented]).state, crate::State::Unknown);
}

#[test]
fn changes_without_a_changelog_id_are_known_by_their_content() {
    let body = with("/changelog/id", Value::Null);
    assert_eq!(event(&body).facts, event(&body).facts);
    let later = {
        let mut body = body.clone();
        body["timestamp"] = json!(T0 + 2 * MINUTE);
        body
    };
    assert_ne!(event(&body).facts[1].id(), event(&later).facts[1].id());
}

#[test]
fn whoever_made_a_change_is_named_beside_it() {
    let nobody = event(&change(T0 + MINUTE, 501, "10000", "3"));
    let by = |user: Value| {
        let mut body = change(T0 + MINUTE, 501, "10000", "3");
        body["user"] = user;
        event(&body)
    };
    let person = json!({ "accountId": "5b10", "emailAddress": "ada@example.com", "displayName": "Ada Example" });
    let ada = by(person.clone());
    let authors = |event: &TicketEvent| -> Vec<_> {
        event
            .facts
            .iter()
            .map(|fact| event.author(fact))
            .map(|name| name.map(str::to_owned))
            .collect()
    };
    assert_eq!(
        authors(&ada),
        [None, Some("Ada Example".to_owned()), None],
        "creation, change, snapshot"
    );
    // Who it was is no part of what was said.
    assert_eq!((ada.hash(), &ada.facts), (nobody.hash(), &nobody.facts));
    let json = serde_json::to_string(&ada).expect("JSON");
    assert!(!json.contains("5b10") && !json.contains("ada@"), "{json}");

    // Data Center's name, where there is no other; and nobody, where there is none.
    assert_eq!(
        authors(&by(json!({ "name": "ada", "displayName": " " })))[1].as_deref(),
        Some("ada")
    );
    for none in [
        json!(null),
        json!("ada"),
        json!([1]),
        json!({ "displayName": 7 }),
        json!({ "active": "true" }),
    ] {
        assert_eq!(by(none.clone()), nobody, "{none}");
    }
    let long = by(json!({ "displayName": "é".repeat(1_000) }));
    assert_eq!(authors(&long)[1].as_deref(), Some("é".repeat(64).as_str()));

    // The creation is its creator's in every body, and each history its own author's: not that of the delivery.
    let mut body = change(T0 + 2 * MINUTE, 502, "3", "10001");
    body["user"] = person;
    body["issue"]["fields"]["creator"] = json!({ "displayName": "Grace Example" });
    let of = |id: u32, author: Value| {
        json!({ "id": id, "created": jira_time(T0 + MINUTE + i64::from(id)), "author": author,
        "items": [status_item(Some("10000"), "3")] })
    };
    body["changelog"]["histories"] = json!([of(7, json!({ "displayName": "Linus Example" })), of(8, json!(null))]);
    let expected = [(8, None), (7, Some("Linus Example")), (502, Some("Ada Example"))];
    let event = event(&body);
    for (changelog, name) in expected {
        let is_it =
            |fact: &&Fact| matches!(fact, Fact::Change(change) if change.changelog.as_str() == changelog.to_string());
        let fact = event.facts.iter().find(is_it).expect("its change");
        assert_eq!(event.author(fact), name, "{changelog}");
    }
    assert_eq!(event.author(&event.facts[0]), Some("Grace Example"));
    assert_eq!(
        event.telling(event.facts[..1].to_vec(), Texts::default()).authors.len(),
        1
    );
}

#[test]
fn a_document_becomes_text() {
    let text = |text: &str| json!({ "type": "text", "text": text });
    let paragraph = |content: Value| json!({ "type": "paragraph", "content": content });
    let document = json!({ "type": "doc", "version": 1, "content": [
        { "type": "heading", "content": [text("Steps 🐛")] },
        { "type": "orderedList", "attrs": { "order": 3 }, "content": [
            { "type": "listItem", "content": [paragraph(json!([text("Open "), { "type": "mention", "attrs": { "text": "@Ana" } }]))] },
            { "type": "listItem", "content": [paragraph(json!([text("Pay"), { "type": "hardBreak" }, text("twice")])),
                { "type": "bulletList", "content": [{ "type": "listItem", "content": [paragraph(json!([text("by card")]))] }] }] },
        ]},
        { "type": "table", "content": [{ "type": "tableRow", "content": [
            { "type": "tableHeader", "content": [paragraph(json!([text("a")]))] },
            { "type": "tableCell", "content": [paragraph(json!([{ "type": "emoji", "attrs": { "shortName": ":b:" } }]))] },
        ]}]},
        { "type": "rule" },
        { "type": "codeBlock", "content": [text("let x;")] },
        paragraph(json!([{ "type": "date", "attrs": { "timestamp": "1748851200000" } }, text(" "),
            { "type": "inlineCard", "attrs": { "url": "https://x.example" } }])),
        { "type": "tomorrow's node", "content": [text("still read")] },
    ]});
    let expected = "Steps 🐛\n3. Open @Ana\n4. Pay\ntwice\n- by card\na | :b:\n---\nlet x;\n2025-06-02 https://x.example\nstill read";
    assert_eq!(crate::adf::text(&document), expected);
    let event = event(&with("/issue/fields/description", document));
    assert_eq!(
        event.texts.description().map(|text| text.value.as_str()),
        Some(expected)
    );
    assert_eq!(crate::adf::text(&json!([])), "");
}

#[test]
fn depth_is_no_danger() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let body = change(T0 + MINUTE, 501, "10000", "3").to_string();
    // In a field that is not read.
    let ignored = body.replacen('{', &format!("{{\"custom\":{},", deep(200_000)), 1);
    assert!(jira::read(ignored.as_bytes()).is_ok());
    // In one that is.
    let described = body.replacen("\"description\":null", &format!("\"description\":{}", deep(200_000)), 1);
    assert_eq!(error(&described).kind(), Kind::Unreadable);
    assert_eq!(error(&deep(200_000)).kind(), Kind::Unreadable);
    let mut document = json!({ "type": "text", "text": "x" });
    for _ in 0..200 {
        document = json!({ "type": "panel", "content": [document] });
    }
    assert_eq!(crate::adf::text(&document), "");
}

#[test]
fn an_event_stays_small_whatever_comes() {
    let hostile = "\u{1}".repeat(200_000);
    let mut body = with("/issue/fields/summary", json!(hostile));
    let named = json!({ "id": hostile, "name": hostile });
    for field in ["priority", "resolution"] {
        body["issue"]["fields"][field] = named.clone();
    }
    body["issue"]["fields"]["description"] = json!("\u{1f41b}\"\n".repeat(200_000));
    body["issue"]["fields"]["project"]["key"] = json!(hostile);
    body["issue"]["fields"]["creator"] = json!({ "displayName": hostile });
    body["issue"]["key"] = json!("K".repeat(255));
    let name = "\u{1}".repeat(300);
    body["changelog"] = json!({ "histories": (0..3_000).map(|id| json!({
        "id": format!("{id:0255}"), "created": T0 + id,
        "author": { "displayName": name },
        "items": [{ "field": "resolution", "from": name, "fromString": name, "to": name, "toString": name }],
    })).collect::<Vec<_>>() });
    let event = event(&body);
    let size = serde_json::to_vec(&event).expect("an event is JSON").len();
    assert!(size <= MAX_EVENT_BYTES, "{size}");
    assert!(
        event
            .texts
            .description()
            .is_some_and(|text| text.cut && DESCRIPTION_BYTES - 8 <= text.value.len() + text.value.len() / 6 * 2)
    );
    let changes = event
        .facts
        .iter()
        .filter(|fact| matches!(fact, Fact::Change(_)))
        .count();
    assert_eq!(changes, MAX_CHANGES);
    assert_eq!(event.authors.len(), 1 + MAX_CHANGES, "the creator's, too");
    let ticket = fold(&event.facts, &Policy::default(), &Categories::default());
    assert!(ticket.flags.contains(&crate::Flag::Incomplete));
    let view = TicketView::new(&event.ticket(), &ticket, &event.texts);
    assert!(view.flags.contains(&crate::Flag::TextCut));
}

#[test]
fn a_flat_payload_is_a_ticket_of_its_own() {
    let flat = |completed: &str| {
        json!({ "summary": "Kettle leaks", "created": "2025-06-02T08:00:00.000+0000", "completed": completed,
            "description": "drip", "priority": "High" })
    };
    let (open, closed) = (event(&flat("")), event(&flat("2025-06-02T10:00:00.000+0200")));
    assert_eq!(open.ticket(), closed.ticket());
    assert_eq!(open.hash(), event(&flat("")).hash());
    assert_ne!(open.hash(), closed.hash());
    let view = seen(&[flat("2025-06-02T10:30:00.000+0200"), flat("")]);
    assert_eq!(
        (&view["state"], &view["duration_ms"], &view["priority"]),
        (&json!("closed"), &json!(30 * MINUTE), &json!("High"))
    );
    assert_eq!(
        (&view["key"], &view["cycle_time_ms"], &view["flags"]),
        (&Value::Null, &Value::Null, &json!([]))
    );
    assert_eq!(seen(&[flat("")])["state"], json!("open"));

    for (field, value) in [
        ("summary", json!(" ")),
        ("summary", json!(null)),
        ("created", json!("")),
        ("created", json!([])),
        ("completed", json!("soon")),
        ("completed", json!("2025-06-02T07:59:59.999Z")),
        ("priority", json!(1)),
        ("description", json!({})),
    ] {
        let mut body = flat("");
        body[field] = value;
        let error = read(&body).expect_err("a value that cannot be");
        assert_eq!((error.kind(), error.field()), (Kind::Unprocessable, Some(field)));
    }
}

#[test]
fn a_flat_ticket_is_edited_closed_opened_and_deleted() {
    let first =
        flat::read(br#"{"summary":"Kettle leaks","created":1748851200000,"priority":"Low","description":"drip"}"#)
            .expect("a flat payload");
    let id = first.ticket();
    let edit = |body: &str, at: i64| flat::edit(&id, body.as_bytes(), time(T0 + at)).expect("an edit");
    let events = [
        first.clone(),
        edit(
            r#"{"summary":"Kettle bursts","priority":"High","description":null}"#,
            MINUTE,
        ),
        edit(r#"{"completed":"2025-06-02T08:02:00Z"}"#, 3 * MINUTE),
        edit(r#"{"completed":""}"#, 4 * MINUTE),
        edit(r#"{"completed":"2025-06-02T08:09:00Z"}"#, 9 * MINUTE),
    ];
    let view = |events: &[TicketEvent]| {
        let ticket = fold(
            events.iter().flat_map(|event| &event.facts),
            &Policy::default(),
            &Categories::default(),
        );
        let texts = events
            .iter()
            .fold(Texts::default(), |texts, event| event.texts.clone().merge(texts));
        TicketView::new(&id, &ticket, &texts)
    };
    let closed = view(&events);
    assert_eq!(
        (
            closed.summary.as_deref(),
            closed.description,
            closed.priority.as_deref()
        ),
        (Some("Kettle bursts"), None, Some("High"))
    );
    assert_eq!(
        (closed.durations.duration_ms, closed.reopen_count),
        (Some(9 * MINUTE), 1)
    );
    assert_eq!(
        (closed.priority_at_creation.as_deref(), closed.flags.len()),
        (Some("Low"), 0)
    );
    assert_eq!(view(&events[..4]).state, crate::State::Open);

    let deleted = [events.as_slice(), &[flat::deletion(&id, time(T0 + 10 * MINUTE))]].concat();
    assert_eq!(view(&deleted).state, crate::State::Deleted);

    let announced = edit(r#"{"completed":"2025-06-02T09:00:00Z"}"#, 10 * MINUTE);
    let announced = view(&[first.clone(), announced]);
    assert_eq!(
        (announced.durations.duration_ms, announced.flags.len()),
        (Some(60 * MINUTE), 0)
    );

    assert_eq!(
        flat::edit(&id, br#"{"summary":""}"#, time(T0))
            .expect_err("empty")
            .field(),
        Some("summary")
    );
    let jira = event(&created()).ticket();
    assert_eq!(
        flat::edit(&jira, br#"{"completed":""}"#, time(T0))
            .expect_err("Jira's")
            .field(),
        Some("id")
    );
    assert_eq!(
        flat::edit(&id, br#"{"created":1}"#, time(T0))
            .expect_err("identity")
            .field(),
        Some("created")
    );
    assert_eq!(
        flat::edit(&id, b"{}", time(T0)).expect_err("nothing").kind(),
        Kind::Unreadable
    );
}

#[test]
fn a_key_names_its_project() {
    let project = |key: &str| key.parse::<IssueKey>().map(|key| key.project().to_owned());
    assert_eq!(project("A-B-12"), Ok("A-B".to_owned()));
    assert_eq!(project("ODD"), Ok("ODD".to_owned()));
    assert!(project("A/1").is_err() && project("").is_err());
}

fn seen_text() -> impl Strategy<Value = Option<Seen>> {
    prop::option::of(
        (0..4_i64, prop::option::of("[ab]{0,2}"), any::<bool>()).prop_map(|(at, text, cut)| Seen {
            observed: time(at),
            text: text.map(|value| Text { value, cut }),
        }),
    )
}

fn texts() -> impl Strategy<Value = Texts> {
    (seen_text(), seen_text()).prop_map(|(summary, description)| Texts { summary, description })
}

/// JSON of any kind, to be put anywhere.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "status",
            "10000",
            "done",
            "doc",
            "text",
            "2018-01-10T20:15:07.958+0000"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let name = prop::sample::select(vec![
            "id",
            "name",
            "key",
            "type",
            "content",
            "text",
            "attrs",
            "statusCategory",
            "items",
            "histories",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..4).prop_map(|pairs| pairs
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn merging_texts_is_a_union(a in texts(), b in texts(), c in texts()) {
        prop_assert_eq!(a.clone().merge(b.clone()), b.clone().merge(a.clone()));
        prop_assert_eq!(a.clone().merge(b.clone()).merge(c.clone()), a.clone().merge(b.clone().merge(c)));
        prop_assert_eq!(a.clone().merge(a.clone()), a);
    }

    #[test]
    fn a_text_is_cut_at_a_character_and_never_too_long(text in "\\PC{0,40}|[\u{0}-\u{40}\\\\]{0,40}", max in 0..60_usize) {
        let kept = Text::new(&text, max);
        prop_assert!(text.starts_with(&kept.value));
        prop_assert_eq!(kept.cut, kept.value != text);
        let bytes = |text: &str| serde_json::to_string(text).expect("a string").len() - 2;
        prop_assert!(bytes(&kept.value) <= max);
        if let Some(next) = text[kept.value.len()..].chars().next() {
            let longer = format!("{}{next}", kept.value);
            prop_assert!(max < bytes(&longer));
        }
    }

    /// One part of a body replaced by anything: no panic, and what is taken comes back from its own JSON.
    #[test]
    fn no_body_is_fatal(value in anything(), pointer in prop::sample::select(vec![
        "", "/timestamp", "/webhookEvent", "/issue", "/issue/id", "/issue/key", "/issue/self", "/issue/fields",
        "/issue/fields/created", "/issue/fields/updated", "/issue/fields/status", "/issue/fields/status/id",
        "/issue/fields/status/statusCategory", "/issue/fields/resolution", "/issue/fields/resolutiondate",
        "/issue/fields/priority", "/issue/fields/project", "/issue/fields/summary", "/issue/fields/description",
        "/changelog", "/changelog/id", "/changelog/items", "/changelog/items/0", "/changelog/items/0/field",
        "/changelog/items/0/from", "/changelog/items/0/to", "/user", "/issue/fields/creator",
    ])) {
        let body = with(pointer, value);
        match read(&body) {
            Ok(Delivery::Event(event)) => {
                let json = serde_json::to_string(&event).expect("an event is JSON");
                prop_assert!(json.len() <= MAX_EVENT_BYTES);
                prop_assert_eq!(&serde_json::from_str::<TicketEvent>(&json).expect("an event"), &event);
                prop_assert_eq!(super::event(&body).hash(), event.hash());
                fold(&event.facts, &Policy::default(), &Categories::default());
            }
            Ok(Delivery::Ignored { .. }) => {}
            Err(error) => prop_assert!(error.kind() == Kind::Unreadable || error.field().is_some()),
        }
    }

    #[test]
    fn no_bytes_are_fatal(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\",:0-9a-z.+-]{0,60}") {
        let _ = jira::read(&bytes);
        let _ = jira::read(text.as_bytes());
        let _ = text.parse::<Time>();
        let _ = text.parse::<TicketId>();
        let _ = SiteId::of_url(&text);
    }
}
