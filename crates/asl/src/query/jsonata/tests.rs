use proptest::prelude::*;
use serde_json::{Value, json};

use crate::query::tests::{World, any_json};
use crate::query::{Error, Language, Scope, SyntaxError, Template, to_text};

fn parse(template: &Value) -> Result<Template, SyntaxError> {
    Template::parse("Output", template, Language::Jsonata)
}

fn evaluate(template: &Value, input: Value) -> Result<Value, Error> {
    let world = World::new(input);
    let template = parse(template).expect("the template is well-formed");
    template.evaluate(&world.scope()).map(|value| value.into_owned())
}

pub(super) fn value(expression: &str, input: Value) -> Result<Value, String> {
    evaluate(&json!(format!("{{% {expression} %}}")), input).map_err(|error| error.to_string())
}

/// What follows the sentence that names expression and field.
pub(super) fn failure(expression: &str, input: Value) -> String {
    let failed = value(expression, input).expect_err(expression);
    let sentence = format!("The JSONata expression '{expression}' specified for the field 'Output' ");
    failed
        .strip_prefix(&sentence)
        .unwrap_or_else(|| panic!("{failed}"))
        .to_owned()
}

#[test]
fn marked_texts_are_evaluated_wherever_they_stand() {
    let template = json!({
        "b": "{% $states.input.n + 1 %}",
        "a": ["{%$states.context.State.Name%}", {"c": "{% $order.lines %}", "d": "{% [$order.lines, 3] %}"}],
        "untouched": [" {% 1 %}", "{% 1 %} ", "$states.input", {"x.$": "$.n"}, 1.0, null, "{%", "%}"],
    });
    let expected = json!({
        "b": 3,
        "a": ["Here", {"c": [1, 2], "d": [1, 2, 3]}],
        "untouched": [" {% 1 %}", "{% 1 %} ", "$states.input", {"x.$": "$.n"}, 1.0, null, "{%", "%}"],
    });
    let found = evaluate(&template, json!({"n": 2})).unwrap();
    assert_eq!(to_text(&found), to_text(&expected), "with the fields in their order");
}

#[test]
fn expressions_have_values() {
    let input = json!({"n": 2.0, "big": 9_007_199_254_740_993_i64, "huge": {"x": [10_000_000_000_000_000_000_u64, 1.5]}, "list": [{"v": 1}, {"v": 5}], "one": [{"v": 1}], "none": [], "null": null});
    let cases = [
        // Whole numbers are integers, also where they only pass through, exact as long as they fit.
        ("$states.input.n", json!(2)),
        ("$states.input.[n, big]", json!([2, 9_007_199_254_740_992_i64])),
        ("$states.input.huge", json!({"x": [1e19, 1.5]})),
        ("$states.input.big", json!(9_007_199_254_740_993_i64)),
        ("$states.input.list", json!([{"v": 1}, {"v": 5}])),
        ("$states.input.one", json!([{"v": 1}])),
        ("$states.input.none", json!([])),
        ("$states.input.`null`", json!(null)),
        ("$states.input.n * 2", json!(4)),
        ("$states.input.n / 4", json!(0.5)),
        ("-0 * 1", json!(0)),
        ("1e20", json!(1e20)),
        ("1/0", json!("Infinity")),
        ("$states.input.list.v", json!([1, 5])),
        ("$states.input.one.v", json!(1)),
        ("$states.input.list[v > 3].v", json!(5)),
        ("$states.input.list[v > 3][]", json!([{"v": 5}])),
        ("$sum($states.input.list.v) + $order.id", json!(13)),
        (
            "$map($states.input.list, function($x) { $x.v * $order.id })",
            json!([7, 35]),
        ),
        (
            "$states.context.State.Name & '-' & $order.id & $states.input.missing",
            json!("Here-7"),
        ),
        (
            "'a' & [1, 2.5] & true & null & {'k': 'v'}",
            json!("a[1,2.5]truenull{\"k\":\"v\"}"),
        ),
        ("$string({'a': [1]})", json!("{\"a\":[1]}")),
        ("$join(['a', 'b'], '-')", json!("a-b")),
        ("$pad('a', -3, '#')", json!("##a")),
        ("[1, 2].$string()", json!(["1", "2"])),
        ("('a' & 'b') ~> $uppercase()", json!("AB")),
        ("($string := function($x) { 'mine' }; $string(1))", json!("mine")),
        ("['ab', 'c'].$pad(-3, '#')", json!(["#ab", "##c"])),
        ("['a', 'b'] ~> $join('-')", json!("a-b")),
        ("($dashed := $join(?, '-'); $dashed(['a', 'b']))", json!("a-b")),
        ("$map([1, 2], $string)", json!(["1", "2"])),
        (
            "[$order.lines, [$order.lines], $order.id, ($order.lines), $order]",
            json!([1, 2, [1, 2], 7, 1, 2, {"id": 7, "lines": [1, 2]}]),
        ),
        (
            "[$reverse([1, 2]), [$reverse([1, 2])], [[1, 2]]]",
            json!([2, 1, [2, 1], [[1, 2]]]),
        ),
        ("$exists($nobody)", json!(false)),
        ("$merge([$states.input.list[0], {'w': 2}])", json!({"v": 1, "w": 2})),
        ("$keys($states)", json!(["input", "context"])),
    ];
    for (expression, expected) in cases {
        assert_eq!(value(expression, input.clone()), Ok(expected), "{expression}");
    }
}

#[test]
fn aws_has_functions_of_its_own() {
    let cases = [
        ("$partition([0], 1)", json!([[0]])),
        ("$partition([1, 2, 3], 2)", json!([[1, 2], [3]])),
        ("$partition([1, 2, 3], 2.9)", json!([[1, 2], [3]])),
        ("$partition([1, 2])", json!([[1, 2]])),
        ("$range(0, 10, 3)", json!([0, 3, 6, 9])),
        ("$range(3, 0, -2)", json!([3, 1])),
        ("$range(1, 9, 9)", json!(1)),
        ("$range(-1.7, 2, 1)", json!([-1, 0, 1, 2])),
        ("$range(5, 1, -1.5)", json!([5, 4, 3, 2, 1])),
        ("$count($range(1, 360145, 1))", json!(360_145)),
        ("$hash('', 'MD5')", json!("d41d8cd98f00b204e9800998ecf8427e")),
        (
            "$parse('{\"b\": [1, 2.50], \"a\": null}')",
            json!({"b": [1, 2.5], "a": null}),
        ),
        ("$parse('-0')", json!(0)),
        ("$random(42)", json!(0.727_563_680_032_868_1)),
        ("$random(0.9)", json!(0.730_967_787_376_657)),
        ("$random(7)", json!(0.730_699_042_060_042_1)),
        ("$millis()", json!(1_700_000_000_000_i64)),
        ("$now()", json!("2023-11-14T22:13:20.000Z")),
        ("$now('[Y]-[M01]')", json!("2023-11")),
        ("$now('[H01]:[m01][Z]', '+0530')", json!("03:43+05:30")),
        ("$sort($shuffle([3, 1, 2]))", json!([1, 2, 3])),
        ("$map(['1', '[2]'], $parse)", json!([1, [2]])),
        ("$count($distinct([$uuid(), $uuid(), $random(), $random()]))", json!(4)),
        (
            "$uuid() ~> /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/ ~> $exists()",
            json!(true),
        ),
    ];
    for (expression, expected) in cases {
        assert_eq!(value(expression, json!({})), Ok(expected), "{expression}");
    }
    assert_eq!(
        value("[$uuid(), $random(), $shuffle([1..9])]", json!({})),
        value("[$uuid(), $random(), $shuffle([1..9])]", json!({}))
    );
}

#[test]
fn failures_are_worded_as_at_aws() {
    let nothing = [
        "$nobody",
        "$states.input.a.b",
        "$states.input.list.none",
        "$states.result",
        "$range(5, 1, 1)",
        "$range(1, 5, 0.5)",
        "$range(1, 5)",
        "$partition([], 2)",
        "$partition([1], -0.5)",
        "$hash('a')",
        "$parse()",
    ];
    for expression in nothing {
        assert_eq!(
            failure(expression, json!({"list": [{"v": 1}]})),
            "returned nothing (undefined).",
            "{expression}"
        );
    }
    for expression in ["$f := function($x) { $x }", "$sum", "/a/", "{'a': [$sum]}"] {
        assert_eq!(
            failure(expression, json!({})),
            "returned an unsupported result type.",
            "{expression}"
        );
    }
    let failures = [
        ("$eval('1')", "T1006: Attempted to invoke a non-function"),
        ("$nothing(1)", "T1006: Attempted to invoke a non-function"),
        (
            "1 + 'a'",
            "T2002: The right side of the \"+\" operator must evaluate to a number",
        ),
        (
            "'a' - 1",
            "T2001: The left side of the \"-\" operator must evaluate to a number",
        ),
        ("$number('x')", "D3030: Unable to cast value to a number: \"x\""),
        ("$error('my words')", "D3137: my words"),
        (
            "$sqrt(-1)",
            "D3060: The sqrt function cannot be applied to a negative number: -1",
        ),
        (
            "$split('a', 'b', -1)",
            "D3020: Third argument of split function must evaluate to a positive number",
        ),
        (
            "$abs('x')",
            "T0410: Argument 1 of function \"abs\" does not match function signature",
        ),
        (
            "$abs(1, 2)",
            "T0410: Argument 2 of function \"abs\" does not match function signature",
        ),
        (
            "$sum(['a'])",
            "T0412: Argument 1 of function \"sum\" must be an array of \"numbers\"",
        ),
        (
            "$range('0', 4, 1)",
            "T0410: Argument 1 of function \"range\" does not match function signature",
        ),
        (
            "$range(0, 4, 1, 2)",
            "T0410: Argument 4 of function \"range\" does not match function signature",
        ),
        (
            "$range(1)",
            "T0410: Argument 2 of function \"range\" does not match function signature",
        ),
        (
            "$parse(null)",
            "T0410: Argument 1 of function \"parse\" does not match function signature",
        ),
        ("$parse('{} {}')", "D3137: Invalid JSON"),
        (
            "$uuid('seed')",
            "T0410: Argument 1 of function \"uuid\" does not match function signature",
        ),
        ("$partition([1], -1)", "D3137: Second argument must be zero or greater"),
    ];
    for (expression, expected) in failures {
        let expected = format!("threw an error during evaluation. {expected}");
        assert_eq!(failure(expression, json!({})), expected, "{expression}");
    }
}

#[test]
fn failures_say_where() {
    let error = evaluate(&json!({"a": [{"b": "{% $nobody %}"}]}), json!({})).unwrap_err();
    assert_eq!(
        (error.name(), error.location()),
        ("States.QueryEvaluationError", Some("Output/a[0]/b"))
    );
}

#[test]
fn evaluation_is_bounded() {
    let too_deep = "threw an error during evaluation: Stack overflow error: Check for non-terminating recursive function. \
                    Consider rewriting as tail-recursive";
    let too_large = "threw an error during evaluation: Expression evaluation memory limit exceeded: Check for excessive memory usage";
    let too_long = "threw an error during evaluation: Expression evaluation timeout: Check for infinite loop";
    let cases = [
        (format!("1{}", "+1".repeat(199)), too_deep),
        ("($f := function($n) { 1 + $f($n + 1) }; $f(1))".to_owned(), too_deep),
        (
            "$reduce([1..500], function($all, $one) { {'a': $all} })".to_owned(),
            too_deep,
        ),
        ("[1..900000]".to_owned(), too_large),
        ("$range(1, 1e15, 1)".to_owned(), too_large),
        ("$range(1, 360146, 1)".to_owned(), too_large),
        ("$pad('', 1e12)".to_owned(), too_large),
        (
            "($f := function($s, $n) { $n = 0 ? $s : $f($s & $s, $n - 1) }; $f('x', 40))".to_owned(),
            too_large,
        ),
        (
            "($f := function($s, $n) { $n = 0 ? $s : $f($join([$s, $s]), $n - 1) }; $f('x', 40))".to_owned(),
            too_large,
        ),
    ];
    for (expression, expected) in cases {
        assert_eq!(failure(&expression, json!({})), expected, "{expression}");
    }
    // As far as AWS goes, and not further.
    let recursion = |n: usize| format!("($f := function($x) {{ $x <= 0 ? 0 : 1 + $f($x - 1) }}; $f({n}))");
    let nested = |open: &str, n: usize, close: &str| format!("{}1{}", open.repeat(n), close.repeat(n));
    for (last, next) in [
        (nested("", 99, "+1"), nested("", 100, "+1")),
        (nested("(", 99, ")"), nested("(", 100, ")")),
        (nested("[", 99, "]"), nested("[", 100, "]")),
        (recursion(31), recursion(32)),
    ] {
        assert!(value(&last, json!({})).is_ok(), "{last}");
        assert_eq!(failure(&next, json!({})), too_deep, "{next}");
    }
    let doubled =
        |n: usize| format!("($f := function($s, $n) {{ $n = 0 ? $s : $f($s & $s, $n - 1) }}; $length($f('x', {n})))");
    assert_eq!(value(&doubled(22), json!({})), Ok(json!(1 << 22)));
    assert_eq!(failure(&doubled(23), json!({})), too_large);
    // Literals grow slowly enough for the clock to be first on a busy machine.
    let grown = failure(
        "($f := function($s, $n) { $f([$s, $s], $n - 1) }; $f('x', 40))",
        json!({}),
    );
    assert!([too_large, too_long].contains(&grown.as_str()), "{grown}");
    assert!(value("$count([1..100000])", json!({})).is_ok());
}

#[test]
fn endless_evaluation_is_ended() {
    assert_eq!(
        failure("($f := function($n) { $f($n + 1) }; $f(1))", json!({})),
        "threw an error during evaluation: Expression evaluation timeout: Check for infinite loop"
    );
}

#[test]
fn definitions_are_refused_as_at_aws() {
    let invalid = [
        ("a[1,2)", "Expected \"]\", got \",\"", 4),
        ("\"open", "String literal must be terminated by a matching quote", 1),
        ("1 +", "Unexpected end of expression", 3),
        ("{\"a\":}", "The symbol \"}\" cannot be used as a unary operator", 6),
        (
            "phone %.other",
            "The symbol \".\" cannot be used as a unary operator",
            8,
        ),
        ("", "Unexpected end of expression", 1),
        ("[1 \"zz\"]", "Expected \"]\", got \"zz\"", 7),
    ];
    for (expression, message, offset) in invalid {
        let error = parse(&json!({"v": [format!("{{% {expression} %}}")]})).expect_err(expression);
        let found = (error.code, error.message.as_str(), error.pointer.as_str());
        assert_eq!(
            found,
            ("INVALID_JSONATA_EXPRESSION", message, "/v[0]"),
            "{expression}: {error:?}"
        );
        assert_eq!(
            error.offset,
            offset + 3,
            "{expression}: after the mark and a space: {error:?}"
        );
    }
    let unsupported = [
        ("phone", "Reference to 'phone' at the top level is not supported."),
        ("$f(phone.x)", "Reference to 'phone' at the top level is not supported."),
        (
            "$map($states.input.a, function($x) { b })",
            "Reference to 'b' at the top level is not supported.",
        ),
        ("$$", "Reference to '$$' is not supported."),
        ("$states.input.a[$$.b]", "Reference to '$$' is not supported."),
        ("$states.errorOutput", "Field '$states.errorOutput' does not exist."),
        ("$states.other", "Unknown reserved states field: other"),
    ];
    for (expression, message) in unsupported {
        let error = parse(&json!(format!("{{%{expression}%}}"))).expect_err(expression);
        assert_eq!(
            (error.code, error.message.as_str()),
            ("UNSUPPORTED_JSONATA_EXPRESSION", message),
            "{expression}"
        );
    }
    for supported in [
        "$states.input.items[value > 3]",
        "$states.input^(a)",
        "$states.input{a: b}",
        "$x.(y)",
        "$x ~> |a|{'b': c}|",
        "$x.y[z].$sum(w)",
    ] {
        assert!(parse(&json!(format!("{{% {supported} %}}"))).is_ok(), "{supported}");
    }
}

#[test]
fn references_are_what_the_text_tells() {
    let template = json!({
        "a": "{% $sum($states.input.a.b[c > $limit].d) + ($local := $order.id; $local) %}",
        "b": ["{% $states.context.State.Name & $map($list, function($x) { $x * $states.result }) %}"],
    });
    let references = parse(&template).unwrap().references();
    assert_eq!(
        references.variables,
        ["limit", "list", "order"].map(String::from).into()
    );
    assert_eq!(references.input, ["$['a']['b']['d']"].map(String::from).into());
    assert_eq!(references.context, ["$['State']['Name']"].map(String::from).into());
    assert_eq!(references.functions, ["$map", "$sum"].map(String::from).into());
    assert_eq!(
        references.states,
        ["context", "input", "result"].map(String::from).into()
    );
}

#[test]
fn what_is_not_looked_at_is_not_missed() {
    let input = json!({
        "a": {"b": [{"c": 1, "d": 5}, {"c": 2, "d": 6}], "e": {"f": 3, "g": 4}},
        "h": [{"i": {"j": 1, "k": 2}}],
        "l": 7,
    });
    let cases = [
        ("$states.input.a.b[d > 5].c + 0", json!(2)),
        ("$states.input.a.e.f + $states.input.a.e.g + $states.input.l", json!(14)),
        (
            "$keys($states.input.a.e) & $states.input.a.e.f",
            json!("[\"f\",\"g\"]3"),
        ),
        ("$states.input.h.i.j + $states.input.h.i.k", json!(3)),
        ("$sum($states.input.a.b.(c * d))", json!(17)),
        ("$states.input.a.b.c.(% .d)", json!([5, 6])),
        (
            "$states.input.a.b@$x.{'c': $x.c, 'l': $count($states.input.a.b)}.l",
            json!([2, 2]),
        ),
        ("$states.input.a.e.* ~> $sum()", json!(7)),
        ("$states.input.a.**.g ~> $sum()", json!(4)),
        ("$states.input.a^(>b).e.g", json!(4)),
        ("$states.input.a.e{'x': g}", json!({"x": 4})),
        ("$count($keys($states.input)) + $states.input.l", json!(10)),
        ("$lookup($states.input.a, 'e').f", json!(3)),
        ("($s := $states; $s.input.l)", json!(7)),
    ];
    for (expression, expected) in cases {
        assert_eq!(value(expression, input.clone()), Ok(expected), "{expression}");
    }
}

#[test]
fn states_holds_what_the_field_may_see() {
    let world = World::new(json!({}));
    let (result, error_output) = (json!({"r": [1]}), json!({"Error": "E"}));
    let scope = Scope {
        result: Some(&result),
        error_output: Some(&error_output),
        ..world.scope()
    };
    let template = json!(["{% $states.result.r[0] %}", "{% $states.errorOutput.Error %}"]);
    let template = Template::parse("Catch[0]/Output", &template, Language::Jsonata).unwrap();
    assert_eq!(template.evaluate(&scope).unwrap().into_owned(), json!([1, "E"]));
}

#[test]
fn hostile_texts_overflow_no_stack() {
    let deep = [
        format!("{}1{}", "(".repeat(20_000), ")".repeat(20_000)),
        format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000)),
        format!("{}1", "-".repeat(20_000)),
        format!("$x{}", ".a".repeat(20_000)),
        format!("$x{}", "[0]".repeat(20_000)),
        format!("1{}", "&1".repeat(20_000)),
        format!("{}1", "function($x){".repeat(5_000)),
        format!("1{}", "?1:1".repeat(15_000)),
        "x".repeat(100_000),
    ];
    // A thread of the size that Rust gives by default, whatever the test runner's is.
    let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(move || {
        for text in deep {
            if let Ok(template) = parse(&json!(format!("{{%{text}%}}"))) {
                let world = World::new(json!({}));
                let _ = template.evaluate(&world.scope());
                template.references();
            }
        }
        for depth in [300, 900, 990] {
            let text = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
            let _ = parse(&json!(format!("{{%{text}%}}"))).map(|template| template.references());
        }
    });
    thread.unwrap().join().unwrap();
}

fn any_expression() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "$states.input",
            "$order",
            "$x",
            ".a",
            ".b",
            "[0]",
            "[",
            "]",
            "(",
            ")",
            "{",
            "}",
            "'a'",
            ":",
            ",",
            "1",
            "1e308",
            "-1",
            "+",
            "*",
            "/",
            "&",
            "?",
            "=",
            "<",
            "~>",
            "$",
            "function($x){",
            "$map(",
            "$sum(",
            "$string(",
            "$range(",
            "$partition(",
            "$pad(",
            "$parse(",
            "$random(",
            "$hash(",
            "$now(",
            "$sort(",
            "$shuffle(",
            "$spread(",
            "$formatNumber(",
            "$split(",
            "^(",
            "|",
            "..",
            "**",
            "%",
            "@$v",
            "#$i",
            ":=",
            ";",
            "null",
            "true",
            "in",
            "and",
            "`a b`",
            "/a/",
            "??",
            "?:",
        ])
        .prop_map(String::from),
        "\\PC{0,3}",
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics(expression in any_expression(), input in any_json()) {
        if let Ok(template) = parse(&json!(format!("{{%{expression}%}}"))) {
            let world = World::new(input);
            template.references();
            if let Ok(value) = template.evaluate(&world.scope()) {
                prop_assert!(serde_json::from_str::<Value>(&to_text(&value)).is_ok());
            }
        }
    }
}
