//! Expressions that would take the process with them: its memory, its stack or its time. Without the guards the test
//! does not fail, it does not end.

use serde_json::{Value, json};

use crate::query::jsonata::tests::{failure, value};

/// As large as an input may be.
fn large() -> Value {
    let items: Value = (0..20_000).collect();
    let objects: Value = (0..2_000).map(|n| json!({"k": format!("k{n}"), "v": n})).collect();
    json!({"items": items, "objects": objects, "few": [1, 2, 3], "text": "a".repeat(80_000)})
}

/// What cannot be had is refused in AWS's words, by the memory or by the clock, whichever is first on this machine.
fn is_refused(expression: &str, input: &Value) {
    let refused = failure(expression, input.clone());
    let words = [
        "memory limit exceeded: Check for excessive memory usage",
        "timeout: Check for infinite loop",
        "Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive",
    ];
    assert!(
        words.iter().any(|words| refused.ends_with(words)),
        "{expression}: {refused}"
    );
}

#[test]
fn one_call_cannot_fill_the_memory() {
    let input = large();
    for expression in [
        "$replace($states.input.text, 'a', $states.input.text)",
        "$replace($states.input.text, /a/, $states.input.text)",
        "$replace($states.input.text, /a/, function($m) { $states.input.text })",
        "($f := $states.input.text; $replace($states.input.text, 'a', $f))",
        "$states.input.text ~> $replace('a', $states.input.text)",
        "$map([$states.input.text], $replace(?, 'a', $states.input.text))",
        "$states.input.items.($states.input.items)",
        "$states.input.items.[$states.input.items]",
        "$states.input.items@$a.$states.input.items@$b[$a = $b].$a",
        "[1..800000].[1..800000]",
        "$map([1..800000], function($x) { [1..800000] })",
        "$map([1..800000], function($x) { $x > 0 ? ($x; [1..800000]) : 1 })",
        "$map([1..100000], function($x) { $uppercase($states.input.text) })",
        "$map([1..100000], function($x) { $states.input.items ~> $reverse })",
        "$map([1..100000], function($x) { $split($states.input.text, '') })",
        "$map([1..100000], function($x) { $states.input ~> |$|{'x': $x}| })",
        "$formatInteger(1e300, 'I')",
        "1e15 ~> $formatInteger('i')",
        "$map([1e15], $formatInteger(?, 'I'))",
        "$fromMillis(0, '[Y,*-1000000000]')",
        "$fromMillis(0, '[f,1000000000-1000000000]')",
        "$fromMillis(0, '[Y0 44444444444444444444444444444401]')",
        "$formatNumber(1, $pad('', 1000000, '0'))",
    ] {
        is_refused(expression, &input);
    }
}

#[test]
fn shared_parts_cannot_make_a_value_endless() {
    for expression in [
        "$reduce([1..40], function($a, $i) { {'l': $a, 'r': $a} }, 1).**",
        "$count($reduce([1..40], function($a, $i) { {'l': $a, 'r': $a} }, 1).**.l)",
        "($t := function() { $reduce([1..40], function($a, $i) { {'l': $a, 'r': $a} }, 1) }; $t() = $t())",
        "$reduce([1..40], function($a, $i) { {'l': $a.x, 'r': $a.x, 'x': $a} }, {'x': 1}).**",
        "$reduce([1..400], $zip(?, ?), [1, 2])",
    ] {
        is_refused(expression, &json!({}));
    }
}

#[test]
fn tail_calls_cannot_nest_a_value_deeper_than_the_stack() {
    for grown in [
        "[$l, $l]",
        "[[$l]]",
        "{'a': $l}",
        "{'a': {'b': $l.a}}",
        "$zip($l, $l)",
        "$map([1, 2], function($i) { $l })",
        "$l.[$, $]",
        "$partition($l, 1)",
        "$merge([$l, {'a': $l}])",
        "$each({'a': 1, 'b': 2}, function($v) { $l })",
        "$l ~> |$|{'a': $l, 'b': $l}|",
        "$append([$l], [$l])",
    ] {
        // A stack as small as any that evaluates.
        let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(move || {
            for start in ["[1, 2]", "{'a': 1}"] {
                let expression = format!("($f := function($l) {{ $f({grown}) }}; $f({start}))");
                // What does not grow goes on until its time is over; what the function does not take is an error.
                let ended = value(&expression, json!({}));
                assert!(ended.is_err(), "{expression}: {ended:?}");
            }
        });
        thread.unwrap().join().unwrap();
    }
}

#[test]
fn what_breaks_the_evaluator_is_an_error_of_the_expression() {
    for expression in [
        "$fromMillis(0, '[Y999999999999]')",
        "$fromMillis(0, '[Y,1000000000]')",
        "$fromMillis(1e308)",
        "$fromMillis(-1e18)",
        "$formatBase(1e300, 36)",
        "$substring('a', -1e300, 1e300)",
        "$power(1e300, 1e300)",
        "$round(1e300, -400)",
        "$toMillis('9999999999999999', '[Y]')",
    ] {
        // With a value or without, it returns.
        let _ = value(expression, json!({}));
    }
}

#[test]
fn ordinary_work_on_large_values_is_not_refused() {
    let input = large();
    let sum: i64 = (0..20_000).sum();
    for (expression, expected) in [
        ("$sum($states.input.items)", json!(sum)),
        (
            "$count($distinct($append($states.input.items, $states.input.items)))",
            json!(20_000),
        ),
        (
            "$count($distinct([$states.input.objects, {'v': 1, 'k': 'k1'}, {'k': 'new'}]))",
            json!(2_001),
        ),
        (
            "$count($reduce($states.input.objects, function($all, $o) { $append($all, $o) }, []))",
            json!(2_000),
        ),
        (
            "$count($keys($reduce($states.input.objects[[0..299]], function($all, $o) { $merge([$all, {$o.k: $o.v}]) }, {})))",
            json!(300),
        ),
        ("$length($replace($states.input.text, 'a', 'bcd'))", json!(240_000)),
        (
            "$count($map($states.input.items, function($i) { {'n': $i, 'twice': [$i, $i]} }))",
            json!(20_000),
        ),
        (
            "$length($join($map($states.input.items, $string), ','))",
            json!(108_889),
        ),
        (
            "$states.input.few@$a.$states.input.few@$b[$a < $b].($a * 10 + $b)",
            json!([12, 13, 23]),
        ),
        ("$formatInteger(1999, 'I')", json!("MCMXCIX")),
        (
            "1999 ~> $formatInteger('w')",
            json!("one thousand, nine hundred and ninety-nine"),
        ),
        ("$map(['a-b', 'b-c'], $replace(?, '-', '+'))", json!(["a+b", "b+c"])),
        (
            "['a', 'b'].$replace($, /a|b/, function($m) { $m.match & '!' })",
            json!(["a!", "b!"]),
        ),
        ("$fromMillis(0, '[Y0001]-[M01]-[D01]')", json!("1970-01-01")),
        ("$toMillis('1970-01-02', '[Y0001]-[M01]-[D01]')", json!(86_400_000)),
        ("$formatNumber(12345.678, '#,##0.00')", json!("12,345.68")),
        ("$zip([1, 2], [3, 4])", json!([[1, 3], [2, 4]])),
    ] {
        assert_eq!(value(expression, input.clone()), Ok(expected), "{expression}");
    }
}
