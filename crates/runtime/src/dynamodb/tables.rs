//! The tables of the template: created when missing, compared when there.

use dynoxide::DynoxideError;
use dynoxide::actions::create_table::CreateTableRequest;
use dynoxide::actions::update_time_to_live::{self, TimeToLiveSpecification, UpdateTimeToLiveRequest};
use dynoxide::actions::{delete_table, vector_lifecycle::VectorIndexLifecycle};
use dynoxide::storage::{Storage, TableMetadata};
use serde_json::{Map, Value, json};

use super::{Error, operation};

/// A table as the template has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The request of CreateTable.
    pub create: Value,
    /// The attribute whose epoch second ends an item's life.
    pub ttl_attribute: Option<String>,
}

impl Table {
    pub fn name(&self) -> &str {
        self.create.get("TableName").and_then(Value::as_str).unwrap_or_default()
    }

    fn request(&self) -> Result<CreateTableRequest, Error> {
        let body = self.create.to_string();
        operation::read("CreateTable", body.as_bytes()).map_err(|error| self.wrong(error.to_string()))
    }

    fn wrong(&self, reason: String) -> Error {
        Error::Definition {
            table: self.name().to_owned(),
            reason,
        }
    }

    /// A key of the right types that no item has by intent.
    pub(super) fn probe_key(&self) -> Result<Value, Error> {
        let attributes = self.create["AttributeDefinitions"].as_array();
        let type_of = |name: &Value| {
            let mut attributes = attributes.into_iter().flatten();
            attributes.find(|attribute| attribute["AttributeName"] == *name)?["AttributeType"].as_str()
        };
        let mut key = Map::new();
        for element in self.create["KeySchema"].as_array().into_iter().flatten() {
            let name = &element["AttributeName"];
            let value = match type_of(name) {
                Some("N") => json!({"N": "-1"}),
                Some("B") => json!({"B": "cHJvYmU="}),
                Some(_) => json!({"S": "probe"}),
                None => return Err(self.wrong(format!("key attribute {name} has no definition"))),
            };
            key.insert(name.as_str().unwrap_or_default().to_owned(), value);
        }
        Ok(Value::Object(key))
    }
}

/// Creates what is missing of `tables`; an error for one that is there and differs.
pub(super) fn ensure(storage: &Storage, tables: &[Table]) -> Result<(), Error> {
    for table in tables {
        let request = table.request()?;
        let at = |action| {
            let table = table.name().to_owned();
            move |source| Error::Table { action, table, source }
        };
        match storage.get_table_metadata(table.name()).map_err(at("look up"))? {
            Some(stored) => compare(table, &request, &stored)?,
            None => create(storage, table, request).map_err(at("create"))?,
        }
    }
    Ok(())
}

fn create(storage: &Storage, table: &Table, request: CreateTableRequest) -> Result<(), DynoxideError> {
    operation::create_table(storage, request)?;
    if let Some(attribute) = &table.ttl_attribute {
        let request = UpdateTimeToLiveRequest {
            table_name: table.name().to_owned(),
            time_to_live_specification: TimeToLiveSpecification {
                attribute_name: attribute.clone(),
                enabled: true,
            },
        };
        pollster::block_on(update_time_to_live::execute(storage, request))?;
    }
    Ok(())
}

/// Drops every table there is and creates `tables`.
pub(super) fn reset(storage: &Storage, tables: &[Table]) -> Result<(), DynoxideError> {
    for table_name in storage.list_table_names()? {
        storage.update_deletion_protection(&table_name, false)?;
        let request = delete_table::DeleteTableRequest { table_name };
        pollster::block_on(delete_table::execute(storage, request, &VectorIndexLifecycle::new()))?;
    }
    storage.conn().execute("DELETE FROM _request_tokens", [])?;
    for table in tables {
        let request = table
            .request()
            .map_err(|error| DynoxideError::ValidationException(error.to_string()))?;
        create(storage, table, request)?;
    }
    Ok(())
}

fn compare(table: &Table, wanted: &CreateTableRequest, stored: &TableMetadata) -> Result<(), Error> {
    let parsed = |json: Option<&str>| {
        json.and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_else(|| json!([]))
    };
    let ttl = stored.ttl_attribute.as_deref().filter(|_| stored.ttl_enabled);
    let parts = [
        ("key schema", parsed(Some(&stored.key_schema)), json!(wanted.key_schema)),
        (
            "set of attribute definitions",
            by_name(parsed(Some(&stored.attribute_definitions)), "AttributeName"),
            by_name(json!(wanted.attribute_definitions), "AttributeName"),
        ),
        (
            "set of global secondary indexes",
            indexes(parsed(stored.gsi_definitions.as_deref())),
            indexes(json!(wanted.global_secondary_indexes)),
        ),
        (
            "set of local secondary indexes",
            indexes(parsed(stored.lsi_definitions.as_deref())),
            indexes(json!(wanted.local_secondary_indexes)),
        ),
        ("time-to-live attribute", json!(ttl), json!(table.ttl_attribute)),
    ];
    for (part, stored, wanted) in parts {
        if stored != wanted {
            let (table, stored, wanted) = (table.name().to_owned(), stored.to_string(), wanted.to_string());
            return Err(Error::Changed {
                table,
                part,
                stored,
                wanted,
            });
        }
    }
    Ok(())
}

/// What of the index definitions decides which items they hold, in the order of their names.
fn indexes(definitions: Value) -> Value {
    let mut definitions = by_name(definitions, "IndexName");
    for index in definitions.as_array_mut().into_iter().flatten() {
        if let Some(attributes) = index["Projection"]["NonKeyAttributes"].as_array_mut() {
            attributes.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
        }
        *index = json!({
            "IndexName": index["IndexName"],
            "KeySchema": index["KeySchema"],
            "Projection": index["Projection"],
        });
    }
    definitions
}

fn by_name(list: Value, name: &str) -> Value {
    let mut elements = match list {
        Value::Array(elements) => elements,
        _ => Vec::new(),
    };
    elements.sort_by(|a, b| a[name].as_str().cmp(&b[name].as_str()));
    Value::Array(elements)
}
