//! The document is about the routes that there are. That it says the truth about them is for the system tests, which
//! ask the running functions.

use super::*;

const TEMPLATE: &str = include_str!("../../../template.yaml");

/// Every route of the API in the template, with the scope that its tokens need. The console's files are pages, not
/// part of it.
fn routes_of_the_template() -> BTreeMap<String, Option<String>> {
    let lines: Vec<&str> = TEMPLATE.lines().map(str::trim).collect();
    let routes = lines.windows(3).filter_map(|lines| {
        let (method, path) = (lines[0].strip_prefix("Method: ")?, lines[1].strip_prefix("Path: ")?);
        let scope = lines[2]
            .split_once("AuthorizationScopes: [")
            .and_then(|(_, rest)| rest.split(']').next());
        // Pages are no operations.
        let is_page = path == "/" || path.starts_with("/console");
        (!is_page).then(|| (format!("{method} {path}"), scope.map(str::to_owned)))
    });
    routes.collect()
}

#[test]
fn every_route_is_described_and_no_other() {
    let described = OPERATIONS.map(|operation| {
        let scope = security(operation.access)[0][TOKEN][0].as_str().map(str::to_owned);
        (operation.route.to_owned(), scope)
    });
    let described: BTreeMap<_, _> = described.into();
    assert_eq!(described, routes_of_the_template());
    let ids: BTreeSet<&str> = OPERATIONS.iter().map(|operation| operation.id).collect();
    assert_eq!(ids.len(), OPERATIONS.len());
}

#[test]
fn every_reference_leads_to_a_schema_and_every_schema_is_referred_to() {
    let document = document();
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let referred: BTreeSet<&str> = text
        .split("\"$ref\":\"#/components/schemas/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let there: BTreeSet<&str> = schemas.keys().map(String::as_str).collect();
    assert_eq!(referred, there);
    assert!(!text.contains("#/$defs"), "{text}");
}

#[test]
fn a_route_says_which_variable_part_its_path_has() {
    for operation in OPERATIONS {
        let variable = operation
            .route
            .split_once('{')
            .and_then(|(_, rest)| rest.split('}').next());
        assert_eq!(
            operation.path.as_ref().map(|path| path.name),
            variable,
            "{}",
            operation.route
        );
    }
}
