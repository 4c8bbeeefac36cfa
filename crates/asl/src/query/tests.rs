use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

/// Everything a scope borrows.
pub(super) struct World {
    pub(super) input: Value,
    context: Value,
    variables: Variables,
    moment: Moment,
    budget: Budget,
}

impl World {
    pub(super) fn new(input: Value) -> Self {
        Self {
            input,
            context: json!({"Execution": {"Id": "arn:1", "Input": {"list": "a,b"}}, "State": {"Name": "Here"}}),
            variables: Variables::from([("order".to_owned(), Arc::new(json!({"id": 7, "lines": [1, 2]})))]),
            moment: Moment::new(1_700_000_000_000, 1),
            budget: Budget::default(),
        }
    }

    pub(super) fn scope(&self) -> Scope<'_> {
        Scope {
            input: &self.input,
            input_text: None,
            context: &self.context,
            variables: &self.variables,
            result: None,
            error_output: None,
            moment: &self.moment,
            budget: &self.budget,
        }
    }
}

fn find(path: &str, input: Value) -> Result<Value, String> {
    let world = World::new(input);
    let path = Path::parse(path).map_err(|error| format!("{} at {}", error.reason, error.offset))?;
    path.evaluate(&world.scope())
        .map(|found| found.into_owned())
        .map_err(|error| error.to_string())
}

fn evaluate(template: Value, input: Value) -> Result<Value, String> {
    let world = World::new(input);
    let template = Template::parse("Parameters", &template, Language::JsonPath).map_err(|error| error.to_string())?;
    template
        .evaluate(&world.scope())
        .map(|value| value.into_owned())
        .map_err(|error| error.to_string())
}

/// The value of a call, or the inner part of its error.
fn call(text: &str, input: Value) -> Result<Value, String> {
    evaluate(json!({"value.$": text}), input).map(|mut output| output["value"].take())
}

fn shop() -> Value {
    json!({
        "books": [
            {"title": "Sayings", "price": 8.95, "tags": ["old", "short"]},
            {"title": "Sword", "price": 12.99, "isbn": "0-553"},
            {"title": "Moby", "price": 8, "isbn": null},
        ],
        "owner": {"name": "Ann", "price": 3},
        "odd name": {"a.b": 1},
    })
}

#[test]
fn paths_name_values() {
    let cases = [
        ("$", shop()),
        ("$.owner.name", json!("Ann")),
        ("$['owner']['name']", json!("Ann")),
        ("$[\"odd name\"]['a.b']", json!(1)),
        ("$.books[0].title", json!("Sayings")),
        ("$.books[-1].title", json!("Moby")),
        ("$.books[0,2].title", json!(["Sayings", "Moby"])),
        ("$.books[1:].title", json!(["Sword", "Moby"])),
        ("$.books[:2].title", json!(["Sayings", "Sword"])),
        ("$.books[-2:].title", json!(["Sword", "Moby"])),
        ("$.books[:-1].title", json!(["Sayings", "Sword"])),
        ("$.books[1:-1].title", json!([])),
        ("$.books[0:9].title", json!(["Sayings", "Sword", "Moby"])),
        ("$.books[*].isbn", json!(["0-553", null])),
        ("$.owner.*", json!(["Ann", 3])),
        ("$.owner['name', 'price', 'none']", json!({"name": "Ann", "price": 3})),
        (
            "$.books[*]['title', 'isbn']",
            json!([{"title": "Sayings"}, {"title": "Sword", "isbn": "0-553"}, {"title": "Moby", "isbn": null}]),
        ),
        ("$..price", json!([8.95, 12.99, 8, 3])),
        ("$..tags[0]", json!(["old"])),
        ("$..books.length()", json!([])),
        ("$$.State.Name", json!("Here")),
        ("$order.lines[1]", json!(2)),
        ("$order", json!({"id": 7, "lines": [1, 2]})),
    ];
    for (path, expected) in cases {
        assert_eq!(find(path, shop()), Ok(expected), "{path}");
    }
}

#[test]
fn filters_choose_elements() {
    let cases = [
        ("@.price < 10", json!(["Sayings", "Moby"])),
        ("@.price<10 && @.isbn", json!(["Moby"])),
        ("@.price == 8.0", json!(["Moby"])),
        ("@.price == '8'", json!(["Moby"])),
        ("@.price === '8'", json!([])),
        ("@.price > $.owner.price", json!(["Sayings", "Sword", "Moby"])),
        ("!@.isbn", json!(["Sayings"])),
        ("!(@.price < 10 || @.title == 'Sword')", json!([])),
        (
            "(@.price < 10 || @.isbn) && @.title != 'Moby'",
            json!(["Sayings", "Sword"]),
        ),
        ("@.isbn == null", json!(["Moby"])),
        ("@.isbn != null", json!(["Sayings", "Sword"])),
        ("@.title =~ /s.*/i", json!(["Sayings", "Sword"])),
        ("@.title =~ /S/", json!([])),
        ("@.title in ['Moby', \"Sword\"]", json!(["Sword", "Moby"])),
        ("@.title nin ['Moby', 'Sword']", json!(["Sayings"])),
        ("@.tags contains 'old'", json!(["Sayings"])),
        ("@.title contains 'wor'", json!(["Sword"])),
        ("@.tags size 2", json!(["Sayings"])),
        ("@.tags empty false", json!(["Sayings"])),
        ("@.tags subsetof ['old', 'short', 'new']", json!(["Sayings"])),
        ("@.tags anyof ['new', 'old']", json!(["Sayings"])),
        ("@.tags noneof ['new']", json!(["Sayings"])),
        ("@.tags all ['new', 'old']", json!([])),
        ("@.tags[?(@ == 'old')] size 1", json!(["Sayings"])),
        ("'Moby' == @.title", json!(["Moby"])),
    ];
    for (filter, expected) in cases {
        let path = format!("$.books[?({filter})].title");
        assert_eq!(find(&path, shop()), Ok(expected), "{path}");
    }
    assert_eq!(find("$..[?(@.price == 3)].name", shop()), Ok(json!(["Ann"])));
    assert_eq!(
        find("$.owner[?(@.price == 3)]", shop()),
        Ok(json!([{"name": "Ann", "price": 3}]))
    );
}

#[test]
fn absent_values_are_errors_of_definite_paths_only() {
    let cases = [
        ("$.none", "Invalid path '$.none' : No results for path: $['none']"),
        (
            "$.owner.none.more",
            "Invalid path '$.owner.none.more' : Missing property in path $['owner']['none']",
        ),
        (
            "$.books[7].title",
            "Invalid path '$.books[7].title' : Property ['title'] not found in path $['books'][7]",
        ),
        (
            "$.books[-9][0]",
            "Invalid path '$.books[-9][0]' : The path $['books'][-9] is null",
        ),
        (
            "$.books.title",
            "Invalid path '$.books.title' : Property ['title'] not found in path $['books']",
        ),
        (
            "$.books.length()",
            "Invalid path '$.books.length()' : Property ['length()'] not found in path $['books']",
        ),
        (
            "$.owner[0]",
            "Invalid path '$.owner[0]' : Filter: [0] can only be applied to arrays. Current context is: {\"name\":\"Ann\",\"price\":3}",
        ),
        (
            "$['owner', 'books'].x",
            "Invalid path '$['owner', 'books'].x' : Multi properties can only be used as path leafs: $['owner', 'books']",
        ),
        ("$nobody.x", "Invalid path '$nobody.x' : No results for path: $nobody"),
    ];
    for (path, expected) in cases {
        assert_eq!(find(path, shop()), Err(expected.to_owned()), "{path}");
    }
    for path in [
        "$.none[*]",
        "$.none.more[:1].x",
        "$.books[5:].x",
        "$..none",
        "$.none[?(@.x)]",
        "$[*].none",
    ] {
        assert_eq!(find(path, shop()), Ok(json!([])), "{path}");
    }
}

#[test]
fn an_array_has_null_beside_its_elements() {
    for (path, expected) in [
        ("$.books[7]", json!(null)),
        ("$.books[-9]", json!(null)),
        ("$.owner.*[0]", json!([])),
        ("$[*][7]", json!([null])),
        ("$.books[7, 8]", json!([null, null])),
        ("$.books[7:9]", json!([])),
    ] {
        assert_eq!(find(path, shop()), Ok(expected), "{path}");
    }
}

#[test]
fn malformed_paths_are_refused_where_they_go_wrong() {
    let cases = [
        ("", 0),
        ("a", 0),
        ("$.", 2),
        ("$[", 2),
        ("$[a]", 2),
        ("$['a", 2),
        ("$[?(@.a = )]", 10),
        ("$[?(@.a =~ 'x')]", 11),
        ("$[?(1)]", 5),
        ("$.a b", 3),
        ("$.a..", 5),
        ("$[?(@.a like 'x')]", 8),
        ("$[?(@.a =~ /(/)]", 11),
        ("$.a]", 3),
    ];
    for (text, offset) in cases {
        let error = Path::parse(text).expect_err(text);
        assert_eq!(
            (error.offset, error.message.as_str()),
            (offset, "Value must be a valid JSONPath."),
            "{text}: {error:?}"
        );
    }
    let deep = format!("$[?({}@.a{})]", "(".repeat(10_000), ")".repeat(10_000));
    assert!(Path::parse(&deep).unwrap_err().reason.contains("nest"));
    let negated = format!("$[?({}@.a)]", "!".repeat(10_000));
    assert!(Path::parse(&negated).unwrap_err().reason.contains("nest"));
}

#[test]
fn results_are_put_where_a_reference_path_says() {
    let set = |path: &str, root: Value| {
        ReferencePath::parse(path)
            .unwrap()
            .set(root, json!("new"))
            .map_err(|error| (error.name(), error.to_string()))
    };
    let mismatch = |path: &str, input: &str| {
        Err((
            "States.ResultPathMatchFailure",
            format!("Unable to apply ReferencePath {path} to input {input}"),
        ))
    };
    assert_eq!(set("$", json!({"a": 1})), Ok(json!("new")));
    assert_eq!(set("$.b", json!({"a": 1})), Ok(json!({"a": 1, "b": "new"})));
    assert_eq!(
        set("$.a", json!({"a": {"b": 1}, "c": 2})),
        Ok(json!({"a": "new", "c": 2}))
    );
    assert_eq!(
        set("$.b.c['d e']", json!({"a": 1})),
        Ok(json!({"a": 1, "b": {"c": {"d e": "new"}}}))
    );
    assert_eq!(
        set("$.a[1].b", json!({"a": [0, {}]})),
        Ok(json!({"a": [0, {"b": "new"}]}))
    );
    assert_eq!(set("$.a[2]", json!({"a": [0, 1]})), mismatch("$.a[2]", "{\"a\":[0,1]}"));
    assert_eq!(set("$.b.c[0]", json!({"a": 1})), mismatch("$.b.c[0]", "{\"a\":1}"));
    assert_eq!(set("$.a.b", json!({"a": 1})), mismatch("$.a.b", "{\"a\":1}"));
    assert_eq!(set("$.a", json!("text")), mismatch("$.a", "\"text\""));
    assert_eq!(
        ReferencePath::parse("a").unwrap_err().message,
        "Value is not a Reference Path: Reference path didn't start with '$'"
    );
    for path in ["$[*]", "$..a", "$['a', 'b']", "$[0:1]", "$[?(@.a)]", "$[-1]"] {
        assert!(ReferencePath::parse(path).is_err(), "{path}");
    }
}

#[test]
fn templates_compute_the_fields_that_say_so() {
    let template = json!({
        "constant": {"a": "$.owner", "b": [1, 1.0]},
        "owner.$": "$.owner.name",
        "nested": [{"state.$": "$$.State.Name"}, "$.owner"],
        "order.$": "$order.id",
        "prices.$": "$.books[*].price",
        "text.$": "States.Format('{}: {}', $.owner.name, States.ArrayLength($.books))",
    });
    let expected = json!({
        "constant": {"a": "$.owner", "b": [1, 1.0]},
        "owner": "Ann",
        "nested": [{"state": "Here"}, "$.owner"],
        "order": 7,
        "prices": [8.95, 12.99, 8],
        "text": "Ann: 3",
    });
    let computed = evaluate(template, shop()).unwrap();
    assert_eq!(
        computed.to_string(),
        expected.to_string(),
        "with the fields in their order"
    );
}

#[test]
fn templates_name_the_field_that_fails() {
    assert_eq!(
        evaluate(json!({"a": {"b.$": "$.none.x"}}), json!({"c": 1.50})),
        Err(
            "The JSONPath '$.none.x' specified for the field 'b.$' could not be found in the input '{\"c\":1.5}'"
                .to_owned()
        )
    );
    assert_eq!(
        evaluate(
            json!({"b.$": "States.Format('{}', States.JsonToString($.none))"}),
            json!({})
        ),
        Err(
            "The function 'States.Format('{}', States.JsonToString($.none))' had the following error: The JsonPath \
             argument for the field '$.none' could not be found in the input '{}'"
                .to_owned()
        )
    );
    assert_eq!(
        evaluate(json!({"b.$": "States.Array($.c[0])"}), json!({"c": 1})),
        Err(
            "The function 'States.Array($.c[0])' had the following error: Filter: [0] can only be applied to arrays. \
             Current context is: 1"
                .to_owned()
        )
    );
    let world = World::new(json!({"c": 1}));
    let scope = Scope {
        input_text: Some("{ \"c\":1 }"),
        ..world.scope()
    };
    let template = Template::parse("Parameters", &json!({"b.$": "$.none"}), Language::JsonPath).unwrap();
    let error = template.evaluate(&scope).unwrap_err();
    assert!(
        error.to_string().ends_with("in the input '{ \"c\":1 }'"),
        "the text as it was given: {error}"
    );
    assert_eq!(error.name(), "States.Runtime");
}

#[test]
fn malformed_templates_are_refused_with_their_place() {
    let error = Template::parse("Parameters", &json!({"a": [{"b/c.$": "$.x["}]}), Language::JsonPath).unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.pointer.as_str(), error.offset),
        (
            "The value for the field 'b/c.$' must be a valid JSONPath or a valid intrinsic function call",
            "/a[0]",
            4
        )
    );
    for value in [
        json!(1),
        json!("text"),
        json!("States.None()"),
        json!("States.UUID(1)"),
        json!("States.Format()"),
        json!(null),
    ] {
        assert!(
            Template::parse("Parameters", &json!({"a.$": value}), Language::JsonPath).is_err(),
            "{value}"
        );
    }
}

#[test]
fn functions_compute() {
    let input = json!({"list": [3, 1, 3, 1.0, "3", [1], [1]], "object": {"a": {"x": 1}, "b": [1, "t", null]}, "text": "héé", "n": 2.6});
    let cases = [
        ("States.Format('a{}b{}', 1, 'x')", json!("a1bx")),
        ("States.MathAdd(1.5, -1.5)", json!(1)),
        ("States.MathAdd($.n, 1.4)", json!(4)),
        (
            "States.Format('{} \\{\\} \\'\\\\ {}', null, true)",
            json!("null {} '\\ true"),
        ),
        ("States.Format('{}', $.object)", json!("{a={x=1}, b=[1, t, null]}")),
        ("States.Format($.text)", json!("héé")),
        ("States.Format('{}', 1.50)", json!("1.5")),
        ("States.StringToJson('{\"a\": [1, 2.0]}')", json!({"a": [1, 2.0]})),
        (
            "States.JsonToString($.object)",
            json!("{\"a\":{\"x\":1},\"b\":[1,\"t\",null]}"),
        ),
        ("States.Array()", json!([])),
        (
            "States.Array(1, 'a', $.n, States.Array($$.State.Name))",
            json!([1, "a", 2.6, ["Here"]]),
        ),
        (
            "States.ArrayPartition($.list, 3)",
            json!([[3, 1, 3], [1.0, "3", [1]], [[1]]]),
        ),
        (
            "States.ArrayPartition($.list, $.n)",
            json!([[3, 1, 3], [1.0, "3", [1]], [[1]]]),
        ),
        ("States.ArrayContains($.list, 1)", json!(true)),
        ("States.ArrayContains($.list, 2)", json!(false)),
        ("States.ArrayContains($.list, States.Array(1))", json!(true)),
        ("States.ArrayRange(1, 9, 2)", json!([1, 3, 5, 7, 9])),
        ("States.ArrayRange(5.4, -0.6, -2.4)", json!([5, 3, 1, -1])),
        ("States.ArrayRange(5, 1, 1)", json!([])),
        ("States.ArrayGetItem($.list, 4)", json!("3")),
        ("States.ArrayLength($.list)", json!(7)),
        ("States.ArrayUnique($.list)", json!([3, 1, 1.0, "3", [1]])),
        ("States.Base64Encode($.text)", json!("aMOpw6k=")),
        ("States.Base64Decode('aMOpw6k=')", json!("héé")),
        ("States.Hash('input', 'MD5')", json!("a43c1b0aa53a0c908810c06ab1ff3967")),
        (
            "States.Hash('', 'SHA-1')",
            json!("da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ),
        (
            "States.JsonMerge($.object, States.StringToJson('{\"a\": 1, \"c\": 2}'), false)",
            json!({"a": 1, "b": [1, "t", null], "c": 2}),
        ),
        ("States.MathAdd(1, -3)", json!(-2)),
        ("States.MathRandom(4, 5)", json!(4)),
        ("States.StringSplit('.a,b..c', '.,')", json!(["a", "b", "c"])),
        ("States.StringSplit('a', '')", json!(["a"])),
        ("States.StringSplit('a\\nb', 'n')", json!(["a\\", "b"])),
        ("States.StringSplit($$.Execution.Input.list, ',')", json!(["a", "b"])),
        ("States.ArrayGetItem( $order.lines , 0 )", json!(1)),
        ("States.ArrayLength($.list[?(@ == ')')])", json!(0)),
    ];
    for (text, expected) in cases {
        assert_eq!(call(text, input.clone()), Ok(expected), "{text}");
    }
}

#[test]
fn functions_refuse_what_they_do_not_take() {
    let long = "x".repeat(10_001);
    let cases = [
        ("States.Format('{}')", "Format"),
        ("States.Format('x', 1)", "Format"),
        ("States.Format(1)", "Format"),
        ("States.StringToJson('{')", "StringToJson"),
        ("States.StringToJson(1)", "StringToJson"),
        ("States.ArrayPartition($.list, 0)", "ArrayPartition"),
        ("States.ArrayPartition($.list, 0.4)", "ArrayPartition"),
        ("States.ArrayPartition($.list, null)", "ArrayPartition"),
        ("States.ArrayPartition('x', 1)", "ArrayPartition"),
        ("States.ArrayContains(1, 1)", "ArrayContains"),
        ("States.ArrayRange(1, 5, 0)", "ArrayRange"),
        ("States.ArrayRange(1, 5, 0.49)", "ArrayRange"),
        ("States.ArrayRange(1, 1001, 1)", "ArrayRange"),
        ("States.ArrayRange('a', 5, 1)", "ArrayRange"),
        ("States.ArrayGetItem($.list, 1)", "ArrayGetItem"),
        ("States.ArrayGetItem($.list, -1)", "ArrayGetItem"),
        ("States.ArrayLength('x')", "ArrayLength"),
        ("States.ArrayUnique(1)", "ArrayUnique"),
        ("States.Base64Encode($.long)", "Base64Encode"),
        ("States.Base64Decode('*')", "Base64Decode"),
        ("States.Hash('x', 'SHA-3')", "Hash"),
        ("States.Hash($.long, 'MD5')", "Hash"),
        ("States.JsonMerge($.object, $.object, true)", "JsonMerge"),
        ("States.JsonMerge($.object, 1, false)", "JsonMerge"),
        ("States.MathAdd(1, 'a')", "MathAdd"),
        ("States.MathAdd(1, 2147483648)", "MathAdd"),
        ("States.MathRandom(1, 1)", "MathRandom"),
        ("States.MathRandom(1.4, 1.3)", "MathRandom"),
        ("States.MathRandom(1, 5, 'x')", "MathRandom"),
        ("States.StringSplit(1, ',')", "StringSplit"),
    ];
    for (text, function) in cases {
        let input = json!({"list": [1], "object": {}, "long": long});
        let expected = format!("The function '{text}' had the following error: Invalid arguments in States.{function}");
        assert_eq!(call(text, input), Err(expected), "{text}");
    }
    let deep = format!("{}1{}", "States.Array(".repeat(10_000), ")".repeat(10_000));
    assert!(Expression::parse(&deep).unwrap_err().reason.contains("nest"));
}

#[test]
fn an_argument_must_be_there() {
    let input = json!({"items": [1, null]});
    let cases = [
        ("$.items[5]", "$.items[5]"),
        ("$.items[-3]", "$.items[-3]"),
        ("$.nope", "$.nope"),
        ("$$.Nope.Deep", "$.Nope.Deep"),
    ];
    for (argument, told) in cases {
        let text = format!("States.Format('{{}}', {argument})");
        let expected = format!(
            "The function '{text}' had the following error: The JsonPath argument for the field '{told}' could not be \
             found in the input '{input}'"
        );
        assert_eq!(call(&text, input.clone()), Err(expected));
    }
    assert_eq!(call("States.Format('{}', $.items[1])", input), Ok(json!("null")));
}

#[test]
fn randomness_comes_from_the_moment_alone() {
    let template = json!({"a.$": "States.UUID()", "b.$": "States.UUID()", "c.$": "States.MathRandom(0, 1000000)"});
    let first = evaluate(template.clone(), json!({})).unwrap();
    assert_eq!(
        evaluate(template, json!({})).unwrap(),
        first,
        "the same moment gives the same values"
    );
    assert_ne!(first["a"], first["b"]);
    let uuid = regex::Regex::new("^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$").unwrap();
    assert!(uuid.is_match(first["a"].as_str().unwrap()), "{first}");
    for seed in -3..100 {
        let seeded = call(&format!("States.MathRandom(-5, 5, {seed})"), json!({})).unwrap();
        assert!((-5..5).contains(&seeded.as_i64().unwrap()), "{seeded}");
        let again = call(&format!("States.MathRandom(-5, 5, {seed})"), json!({"other": 1})).unwrap();
        assert_eq!(seeded, again);
    }
}

#[test]
fn what_a_template_gives_can_be_read_back() {
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let template = json!({"a.$": "$"});
    let deepest = evaluate(template.clone(), nested(MAX_NESTING - 1)).unwrap();
    assert!(!nests_too_deep(&to_text(&deepest)));
    assert!(serde_json::from_str::<Value>(&to_text(&deepest)).is_ok());
    assert_eq!(
        evaluate(template, nested(MAX_NESTING)),
        Err("The result nests deeper than 127 levels".to_owned())
    );
    assert!(nests_too_deep(&to_text(&nested(MAX_NESTING + 1))));
    assert!(serde_json::from_str::<Value>(&to_text(&nested(MAX_NESTING + 1))).is_err());
    let text = to_text(&json!(["[".repeat(500), "\"{\\".repeat(500)]));
    assert!(!nests_too_deep(&text), "brackets in strings do not count");
}

#[test]
fn references_are_what_the_text_tells() {
    let template = json!({
        "a.$": "States.Format('{}', $who.name, $.a['b'][*].c, $$.State.Name)",
        "b": [{"c.$": "$list[0]"}],
    });
    let references = Template::parse("Parameters", &template, Language::JsonPath)
        .unwrap()
        .references();
    assert_eq!(references.variables, ["list", "who"].map(String::from).into());
    assert_eq!(references.input, ["$['a']['b']"].map(String::from).into());
    assert_eq!(references.context, ["$['State']['Name']"].map(String::from).into());
    assert_eq!(references.functions, ["States.Format"].map(String::from).into());
}

#[test]
fn text_is_what_jackson_writes() {
    let cases = [
        (
            "{\"b\": 1, \"a\": [1.0, 1.50, -0.0, null]}",
            "{\"b\":1,\"a\":[1.0,1.5,-0.0,null]}",
        ),
        (
            "[1e10, 1E7, 9999999.5, 0.001, 0.0009, 1.5e-7, 1e300]",
            "[1.0E10,1.0E7,9999999.5,0.001,9.0E-4,1.5E-7,1.0E300]",
        ),
        (
            "[18446744073709551615, -9223372036854775808]",
            "[18446744073709551615,-9223372036854775808]",
        ),
        ("\"a\\u001fb\\n\\u00e9\\u2028/\"", "\"a\\u001Fb\\né\u{2028}/\""),
    ];
    for (text, expected) in cases {
        assert_eq!(to_text(&serde_json::from_str(text).unwrap()), expected);
    }
}

pub(super) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e12..1e12).prop_map(Value::from),
        "\\PC{0,6}|[a-c]".prop_map(Value::from),
        "[\\x00-\\x7f]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec(("[a-c]", inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Texts made of the pieces that paths and calls are made of.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "$",
            "$$",
            "$order",
            ".a",
            ".b",
            ".*",
            "..",
            "[",
            "]",
            "[*]",
            "[0]",
            "[-1]",
            "[1:]",
            "[:-1]",
            "[0,1]",
            "'a'",
            "?(",
            "@",
            "@.a",
            "==",
            " < ",
            "&&",
            "||",
            "!",
            "(",
            ")",
            ",",
            "in",
            "['a','b']",
            "=~",
            "/a.*/i",
            "1",
            "-9e9",
            "null",
            "'{}'",
            "\\",
            "'",
            "States.Format(",
            "States.ArrayRange(",
            "States.Array(",
            "States.MathAdd(",
            "States.ArrayPartition(",
            "9223372036854775807",
            "[?(@.a==1)]",
        ])
        .prop_map(String::from),
        "\\PC{0,3}",
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Paths, calls and templates of a line each that name more than there is time or memory for.
#[test]
fn what_names_too_much_is_given_up() {
    let numbers: Value = (0..40_000).collect();
    let deep = (0..100).fold(json!([1, 2, 3]), |inner, _| json!([inner, [0, 0, 0, 0, 0, 0, 0, 0]]));
    let input = json!({ "n": numbers, "deep": deep, "text": "x".repeat(200_000) });
    let path = |path: &str| evaluate(json!({ "value.$": path }), input.clone());
    let spent = Err(Error::TooMuch.to_string());
    for costly in [
        "$.deep..*..*..*..*",
        "$.n[?($.n[?($.n[?(@ == 1)])])]",
        "$.n[?(@ in $.n)]",
        "$.n[?($.n == $.n)]",
        "$.n[?($.n subsetof $.n)]",
        "States.ArrayLength($.deep..*..*..*..*)",
    ] {
        assert_eq!(path(costly), spent, "{costly}");
    }
    let copies: Value = (0..50_000)
        .map(|index| (format!("{index}.$"), json!("$.n")))
        .collect::<Map<_, _>>()
        .into();
    assert_eq!(evaluate(copies, input.clone()), spent);
    let arguments = vec!["$.text"; 50_000].join(",");
    assert_eq!(path(&format!("States.Array({arguments})")), spent);
    // What anyone would write is far from the bounds.
    assert_eq!(path("$.n[?(@ >= 39999)]"), Ok(json!({ "value": [39_999] })));
    assert_eq!(
        path("$..*").map(|found| found["value"].as_array().map(Vec::len)),
        Ok(Some(3 + 40_000 + 100 * (2 + 8) + 3))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics(text in any_text(), input in any_json()) {
        let world = World::new(input);
        for text in [text.clone(), format!("${text}"), format!("States.Array({text})")] {
            if let Ok(expression) = Expression::parse(&text) {
                let _ = expression.evaluate("field.$", &world.scope());
                expression.references(&mut References::default());
            }
            if let Ok(path) = ReferencePath::parse(&text)
                && let Ok(set) = path.set(world.input.clone(), json!("new"))
            {
                let scope = Scope { input: &set, ..world.scope() };
                prop_assert_eq!(path.path().find(&scope).unwrap().into_owned(), json!("new"));
            }
        }
    }

    #[test]
    fn text_reads_back_the_same(value in any_json()) {
        prop_assert_eq!(serde_json::from_str::<Value>(&to_text(&value)).unwrap(), value);
    }
}
