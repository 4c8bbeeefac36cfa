use serde_json::json;

use super::*;

/// What a service's operation says of a value, with every field asked for.
fn strictly(service: &str, operation: &str, value: Value) -> Result<(), String> {
    output(service, operation)
        .expect("a known operation")
        .check(&value, Demand::Complete)
}

#[test]
fn the_table_leads_nowhere_but_into_itself() {
    let mut operations = 0;
    for section in OUTPUTS.split("# ").skip(1) {
        let (service, _) = section.split_once('\n').expect("a service's name");
        let named = section.lines().filter_map(|line| line.strip_prefix("= "));
        let names: Vec<_> = named.filter_map(|line| line.split_once(' ')).collect();
        operations += names.len();
        let (first, _) = names.first().expect("an operation");
        let shape = output(service, first).expect("an operation is found");
        for (operation, type_) in names {
            assert!(leads_somewhere(&shape, type_), "{service} {operation}: {type_}");
        }
        for (number, line) in shape.structures.iter().enumerate() {
            let (own, fields) = line.split_once(' ').unwrap_or((line, ""));
            assert_eq!(own, number.to_string(), "{service} {line}");
            for field in fields.split(' ').filter(|field| !field.is_empty()) {
                let (_, type_) = field.split_once(':').expect("a type");
                assert!(leads_somewhere(&shape, type_.trim_end_matches('!')), "{service} {line}");
            }
        }
    }
    assert!(operations > 1_000, "{operations} operations");
}

fn leads_somewhere(shape: &Shape<'_>, type_: &str) -> bool {
    match type_.trim_start_matches(['[', '{']) {
        "?" | "b" => true,
        text if text.starts_with('s') || text.starts_with('n') => {
            let allowed = &text[1..];
            let (least, most) = bounds(allowed);
            allowed.is_empty() || allowed.starts_with('|') || least.or(most).is_some()
        }
        number => number
            .parse()
            .is_ok_and(|number: usize| number < shape.structures.len()),
    }
}

#[test]
fn values_are_of_their_types_and_within_their_bounds() {
    let invoke = |value| strictly("lambda", "invoke", value);
    assert_eq!(invoke(json!({"StatusCode": 200, "Payload": "{}"})), Ok(()));
    assert_eq!(
        invoke(json!({"StatusCode": true})),
        Err("Field 'StatusCode' must be a number".into())
    );
    assert_eq!(
        invoke(json!({"Payload": {}})),
        Err("Field 'Payload' must be a string".into())
    );
    let memory = |size| strictly("lambda", "getFunction", json!({"Configuration": {"MemorySize": size}}));
    assert_eq!(memory(512), Ok(()));
    assert_eq!(
        memory(64),
        Err("Field 'MemorySize' is less than the minimum value".into())
    );
    assert_eq!(
        memory(99_999),
        Err("Field 'MemorySize' exceeds the maximum value".into())
    );
    let class = |class: &str| strictly("s3", "getObject", json!({ "StorageClass": class }));
    assert_eq!(class("GLACIER"), Ok(()));
    assert_eq!(
        class("PAPER"),
        Err("Field 'StorageClass' is not an expected value".into())
    );
    let long = "a".repeat(10_000);
    let hash = strictly("kms", "encrypt", json!({ "KeyId": long }));
    assert_eq!(hash, Err("Field 'KeyId' exceeds the maximum length".into()));
    let deleted = strictly("s3", "getObject", json!({"DeleteMarker": "no"}));
    assert_eq!(deleted, Err("Field 'DeleteMarker' must be a boolean".into()));
}

#[test]
fn lists_and_maps_are_looked_into() {
    let item = |value: Value| strictly("dynamodb", "getItem", json!({"Item": {"id": value}}));
    assert_eq!(item(json!({"S": "a"})), Ok(()));
    assert_eq!(item(json!({"S": 1})), Err("Field 'S' must be a string".into()));
    assert_eq!(item(json!("a")), Err("Field 'Item' must be an object".into()));
    assert_eq!(item(json!({"L": [{"N": 1}]})), Err("Field 'N' must be a string".into()));
    assert_eq!(item(json!({"SS": ["a", 1]})), Err("Field 'SS' must be a string".into()));
}

#[test]
fn required_fields_are_asked_for_only_strictly_and_unknown_ones_are_let_be() {
    let value = json!({"StartDate": "2026-01-01T00:00:00Z", "More": 1});
    let start = output("sfn", "startExecution").expect("a known operation");
    assert_eq!(start.check(&value, Demand::Right), Ok(()));
    let missing = "Required field 'ExecutionArn' is missing";
    assert_eq!(start.check(&value, Demand::Complete), Err(missing.into()));
    assert!(output("sfn", "unheardOf").is_none() && output("unheardof", "getObject").is_none());
}

#[test]
fn a_context_has_only_what_it_may_have() {
    let check = |value: Value| context().check(&value, Demand::Known);
    assert_eq!(
        check(json!({"State": {"RetryCount": 1}, "Map": {"Item": {"Index": 0, "Value": [1]}}})),
        Ok(())
    );
    assert_eq!(check(json!({"Other": {}})), Err("Field 'Other' is not allowed".into()));
    assert_eq!(
        check(json!({"Execution": {"Arn": "a"}})),
        Err("Field 'Arn' is not allowed".into())
    );
    assert_eq!(
        check(json!({"Task": "token"})),
        Err("Field 'Task' must be an object".into())
    );
}
