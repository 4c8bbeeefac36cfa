use super::*;

const LIST: Operation = Operation {
    route: "GET /things/{id}",
    id: "things",
    summary: "Things.",
    about: "",
    access: Access::Read,
    path: Some(Text {
        name: "id",
        about: "",
        example: "1",
    }),
    headers: &[],
    query: &[
        LIMIT_OF_LIST,
        CURSOR,
        Parameter {
            name: "from",
            takes: Takes::Moment,
            about: "",
        },
        Parameter {
            name: "priority",
            takes: Takes::Names,
            about: "",
        },
        Parameter {
            name: "zone",
            takes: Takes::Zone,
            about: "",
        },
        Parameter {
            name: "q",
            takes: Takes::Words,
            about: "",
        },
        Parameter {
            name: "order",
            takes: Takes::OneOf(&["newest", "oldest"]),
            about: "",
        },
    ],
    body: None,
    answers: &[],
    problems: &[],
};

fn ask(id: &str, parameters: &[(&str, &str)]) -> Result<Query, Problem> {
    let parameters: BTreeMap<_, _> = parameters.iter().copied().collect();
    let event = json!({ "routeKey": LIST.route, "pathParameters": { "id": id }, "queryStringParameters": parameters });
    LIST.query(&serde_json::from_value(event).unwrap())
}

#[test]
fn a_query_is_read_as_its_operation_says() {
    let query = ask(
        "1",
        &[
            ("from", "2026-11-21T07:00Z"),
            ("priority", "High, Low"),
            ("order", "oldest"),
        ],
    )
    .unwrap();
    assert_eq!(query.moment("from").unwrap().to_string(), "2026-11-21T07:00:00.000Z");
    assert_eq!(
        query.names("priority").unwrap(),
        &["High", "Low"].map(str::to_owned).into()
    );
    assert_eq!(
        (query.text("order"), query.text("from"), query.limit()),
        (Some("oldest"), None, LIMIT)
    );
    assert_eq!(ask("1", &[("limit", "200")]).unwrap().limit(), MAX_LIMIT);
    assert_eq!(
        ask("1", &[("zone", "Europe/Berlin")]).unwrap().zone("zone"),
        "Europe/Berlin".parse().ok()
    );
    // Two hours ahead of UTC: as it is, in JIRA's manner, and with a `+` that was not escaped.
    for text in [
        "2026-11-21T09:00+02:00",
        "2026-11-21T09:00:00+0200",
        "2026-11-21T09:00:00 02:00",
        "2026-11-21T09:00 0200",
    ] {
        let query = ask("1", &[("from", text)]).unwrap();
        assert_eq!(
            query.moment("from").unwrap().to_string(),
            "2026-11-21T07:00:00.000Z",
            "{text}"
        );
    }
}

#[test]
fn only_a_list_of_names_may_be_given_in_parts() {
    let ask = |raw: &str, joined: Value| {
        let event = json!({ "routeKey": LIST.route, "rawQueryString": raw, "queryStringParameters": joined });
        LIST.query(&serde_json::from_value(event).unwrap())
    };
    let query = ask("priority=High&priority=Low", json!({ "priority": "High,Low" })).unwrap();
    assert_eq!(query.names("priority").unwrap().len(), 2);
    assert!(ask("q=a,b", json!({ "q": "a,b" })).is_ok());
    for raw in ["q=a&q=b", "q=a&limit=1&%71=b", "q&q=b"] {
        let problem = ask(raw, json!({ "q": "a,b", "limit": "1" })).unwrap_err();
        assert_eq!((problem.status, problem.field.as_deref()), (422, Some("q")), "{raw}");
    }
}

#[test]
fn a_value_that_cannot_be_is_named() {
    let many = vec!["name"; 300].join(",");
    let several = (0..21).map(|index| index.to_string()).collect::<Vec<_>>().join(",");
    let wrong = [
        ("limit", "0"),
        ("limit", "201"),
        ("limit", "-1"),
        ("limit", "+1"),
        ("limit", " 1"),
        ("zone", ""),
        ("zone", "Nowhere/Town"),
        ("q", ""),
        ("q", " \t "),
        ("from", "2026-11-21 07:00"),
        ("from", "2026-11-21T07:00 0a:00"),
        ("limit", ""),
        ("limit", "99999999999999999999"),
        ("from", "yesterday"),
        ("from", "2026-11-21"),
        ("from", "ä026-11-21T07:00Z"),
        ("priority", ""),
        ("priority", "High,,Low"),
        ("priority", several.as_str()),
        ("order", "Newest"),
        ("cursor", ""),
        ("cursor", "made-up"),
    ];
    for (name, value) in wrong {
        let problem = ask("1", &[(name, value)]).unwrap_err();
        assert_eq!(
            (problem.status, problem.field.as_deref()),
            (422, Some(name)),
            "{name}={value}"
        );
    }
    assert!(ask("1", &[("priority", &many)]).is_ok(), "one name, said often");
    let problem = ask("1", &[("colour", "red")]).unwrap_err();
    assert_eq!((problem.status, problem.field.as_deref()), (400, Some("colour")));
}

#[test]
fn a_cursor_is_taken_back_by_the_same_list_only() {
    let asked = [("order", "oldest"), ("from", "2026-11-21T07:00:00Z")];
    let place = "2026-11-21T07:30:00.000Z#jira.example.com~1";
    let cursor = ask("1", &asked).unwrap().next(Some(place)).unwrap();
    let with = |id: &str, parameters: &[(&str, &str)]| {
        let mut parameters = parameters.to_vec();
        parameters.push(("cursor", &cursor));
        ask(id, &parameters).map(|query| query.place().map(str::to_owned))
    };
    assert_eq!(with("1", &asked), Ok(Some(place.to_owned())));
    // The size of a page may change on the way.
    assert_eq!(
        with("1", &[asked[0], asked[1], ("limit", "7")]),
        Ok(Some(place.to_owned()))
    );
    assert!(with("2", &asked).is_err(), "another one's list");
    assert!(with("1", &[asked[1]]).is_err(), "another order");
    assert!(
        with("1", &[asked[0], asked[1], ("priority", "High")]).is_err(),
        "another filter"
    );
    for index in 0..cursor.len() {
        let mut tampered = cursor.clone().into_bytes();
        tampered[index] = if tampered[index] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(tampered).unwrap();
        let problem = ask("1", &[asked[0], asked[1], ("cursor", &tampered)]).unwrap_err();
        assert_eq!(
            (problem.status, problem.field.as_deref()),
            (422, Some("cursor")),
            "{index}"
        );
    }
}
