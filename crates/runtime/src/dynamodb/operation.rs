//! The operations: a JSON body becomes a typed request, its response a JSON body.
//!
//! Parsing and checking a body happens on the caller's thread; only what touches the store runs on its threads.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use dynoxide::DynoxideError;
use dynoxide::actions::create_table::{CreateTableRequest, CreateTableResponse};
use dynoxide::actions::{self, vector_lifecycle::VectorIndexLifecycle};
use dynoxide::storage::Storage;
use dynoxide::types::ConsumedCapacity;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{Error, Table, tokens};

/// How an operation meets SQLite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Changes nothing: runs in a snapshot on a reader.
    Read,
    /// Shares a transaction with others.
    Write,
    /// Changes tables: a transaction to itself, after which every connection forgets what it knew of them.
    Schema,
    /// Commits and rolls back parts of itself (a batch of independent statements), so it cannot be in a transaction.
    OwnTransactions,
}

/// What was asked, ready for a thread of the store.
pub(super) struct Work {
    pub(super) kind: Kind,
    perform: Box<dyn FnOnce(&Storage) -> Outcome + Send>,
}

pub(super) type Outcome = Result<Reply, DynoxideError>;

/// A response, and what AWS would have charged for it.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) body: Bytes,
    pub(super) read_units: f64,
    pub(super) write_units: f64,
}

impl Work {
    pub(super) fn perform(self, storage: &Storage) -> Outcome {
        (self.perform)(storage)
    }

    /// A change of tables that is no operation of the API.
    pub(super) fn schema(change: impl FnOnce(&Storage) -> Result<(), DynoxideError> + Send + 'static) -> Self {
        let perform = Box::new(|storage: &Storage| change(storage).map(|()| Reply::default()));
        Self {
            kind: Kind::Schema,
            perform,
        }
    }

    /// A look at the store that is no operation of the API, answered in `body`.
    pub(super) fn read(look: impl FnOnce(&Storage) -> Result<Bytes, DynoxideError> + Send + 'static) -> Self {
        let perform = Box::new(|storage: &Storage| {
            look(storage).map(|body| Reply {
                body,
                ..Reply::default()
            })
        });
        Self {
            kind: Kind::Read,
            perform,
        }
    }

    /// A write that is no operation of the API.
    pub(super) fn write(change: impl FnOnce(&Storage) -> Result<(), DynoxideError> + Send + 'static) -> Self {
        let perform = Box::new(|storage: &Storage| change(storage).map(|()| Reply::default()));
        Self {
            kind: Kind::Write,
            perform,
        }
    }
}

/// A request whose response says what it consumed, if asked.
trait Metered {
    fn capacity_mode(&mut self) -> &mut Option<String>;
}

/// A response that says what its request consumed.
trait Charged {
    /// Takes the charge out of the response unless the caller asked for it; the units either way.
    fn units(&mut self, asked: bool) -> f64;
}

/// What `ConsumedCapacity` may be: of one table, or of several.
trait Units {
    fn units(&self) -> f64;
}

impl Units for ConsumedCapacity {
    fn units(&self) -> f64 {
        self.capacity_units
    }
}

impl Units for Vec<ConsumedCapacity> {
    fn units(&self) -> f64 {
        self.iter().map(|table| table.capacity_units).sum()
    }
}

macro_rules! metered {
    ($($module:ident: $request:ident -> $response:ident;)*) => {$(
        impl Metered for actions::$module::$request {
            fn capacity_mode(&mut self) -> &mut Option<String> {
                &mut self.return_consumed_capacity
            }
        }
        impl Charged for actions::$module::$response {
            fn units(&mut self, asked: bool) -> f64 {
                let units = self.consumed_capacity.as_ref().map_or(0.0, Units::units);
                if !asked {
                    self.consumed_capacity = None;
                }
                units
            }
        }
    )*};
}

metered! {
    batch_execute_statement: BatchExecuteStatementRequest -> BatchExecuteStatementResponse;
    batch_get_item: BatchGetItemRequest -> BatchGetItemResponse;
    batch_write_item: BatchWriteItemRequest -> BatchWriteItemResponse;
    delete_item: DeleteItemRequest -> DeleteItemResponse;
    execute_statement: ExecuteStatementRequest -> ExecuteStatementResponse;
    execute_transaction: ExecuteTransactionRequest -> ExecuteTransactionResponse;
    get_item: GetItemRequest -> GetItemResponse;
    put_item: PutItemRequest -> PutItemResponse;
    query: QueryRequest -> QueryResponse;
    scan: ScanRequest -> ScanResponse;
    transact_get_items: TransactGetItemsRequest -> TransactGetItemsResponse;
    transact_write_items: TransactWriteItemsRequest -> TransactWriteItemsResponse;
    update_item: UpdateItemRequest -> UpdateItemResponse;
}

/// Reads `body` as a request of `operation`; `None` for an operation that is not there.
pub(super) fn prepare(operation: &str, body: &[u8], now: DateTime<Utc>) -> Option<Result<Work, DynoxideError>> {
    use Kind::{OwnTransactions, Read, Schema, Write};

    // dynoxide's futures never suspend (its module `rusqlite_impl` promises it): block_on only polls them once.
    macro_rules! run {
        ($module:ident) => {
            |storage, request| pollster::block_on(actions::$module::execute(storage, request))
        };
        ($module:ident, vectors) => {
            |storage, request| {
                let vectors = VectorIndexLifecycle::new();
                pollster::block_on(actions::$module::execute(storage, request, &vectors))
            }
        };
    }
    Some(match operation {
        "GetItem" => metered(operation, Read, body, run!(get_item)),
        "BatchGetItem" => metered(operation, Read, body, run!(batch_get_item)),
        "TransactGetItems" => metered(operation, Read, body, run!(transact_get_items)),
        "Query" => metered(operation, Read, body, run!(query)),
        "Scan" => metered(operation, Read, body, run!(scan)),
        "DescribeTable" => plain(operation, Read, body, run!(describe_table, vectors)),
        "ListTables" => plain(operation, Read, body, run!(list_tables)),
        "DescribeTimeToLive" => plain(operation, Read, body, run!(describe_time_to_live)),
        "ListTagsOfResource" => plain(operation, Read, body, run!(list_tags_of_resource)),
        "ListStreams" => plain(operation, Read, body, run!(list_streams)),
        "DescribeStream" => plain(operation, Read, body, run!(describe_stream)),
        "GetShardIterator" => plain(operation, Read, body, run!(get_shard_iterator)),
        "GetRecords" => plain(operation, Read, body, run!(get_records)),
        "PutItem" => metered(operation, Write, body, run!(put_item)),
        "UpdateItem" => metered(operation, Write, body, run!(update_item)),
        "DeleteItem" => metered(operation, Write, body, run!(delete_item)),
        "BatchWriteItem" => metered(operation, Write, body, run!(batch_write_item)),
        "TransactWriteItems" => {
            let work = metered(operation, Write, body, run!(transact_write_items));
            work.and_then(|work| once(operation, body, now, work))
        }
        "ExecuteStatement" => metered(operation, Write, body, run!(execute_statement)),
        "ExecuteTransaction" => {
            let work = metered(operation, Write, body, run!(execute_transaction));
            work.and_then(|work| once(operation, body, now, work))
        }
        "BatchExecuteStatement" => metered(operation, OwnTransactions, body, run!(batch_execute_statement)),
        "CreateTable" => plain(operation, Schema, body, create_table),
        "DeleteTable" => plain(operation, Schema, body, run!(delete_table, vectors)),
        "UpdateTable" => plain(operation, Schema, body, run!(update_table, vectors)),
        "UpdateTimeToLive" => plain(operation, Schema, body, run!(update_time_to_live)),
        "TagResource" => plain(operation, Schema, body, run!(tag_resource)),
        "UntagResource" => plain(operation, Schema, body, run!(untag_resource)),
        _ => return None,
    })
}

fn plain<Request, Response>(
    operation: &str,
    kind: Kind,
    body: &[u8],
    run: fn(&Storage, Request) -> Result<Response, DynoxideError>,
) -> Result<Work, DynoxideError>
where
    Request: DeserializeOwned + Send + 'static,
    Response: Serialize + 'static,
{
    let request: Request = read(operation, body)?;
    let perform = Box::new(move |storage: &Storage| {
        let response = run(storage, request)?;
        Ok(Reply {
            body: write(&response)?,
            ..Reply::default()
        })
    });
    Ok(Work { kind, perform })
}

fn metered<Request, Response>(
    operation: &str,
    kind: Kind,
    body: &[u8],
    run: fn(&Storage, Request) -> Result<Response, DynoxideError>,
) -> Result<Work, DynoxideError>
where
    Request: DeserializeOwned + Metered + Send + 'static,
    Response: Serialize + Charged + 'static,
{
    let mut request: Request = read(operation, body)?;
    let mode = request.capacity_mode();
    let asked = mode.as_deref().is_some_and(|mode| mode != "NONE");
    // dynoxide checks the mode itself, so only an absent one may be set.
    if mode.as_deref().is_none_or(|mode| mode == "NONE") {
        *mode = Some("TOTAL".to_owned());
    }
    let perform = Box::new(move |storage: &Storage| {
        let mut response = run(storage, request)?;
        let units = response.units(asked);
        let (read_units, write_units) = match kind {
            Kind::Read => (units, 0.0),
            Kind::Write | Kind::Schema | Kind::OwnTransactions => (0.0, units),
        };
        Ok(Reply {
            body: write(&response)?,
            read_units,
            write_units,
        })
    });
    Ok(Work { kind, perform })
}

/// Makes `work` happen once for its `ClientRequestToken`, if it has one.
fn once(operation: &str, body: &[u8], now: DateTime<Utc>, work: Work) -> Result<Work, DynoxideError> {
    let Some(token) = tokens::Token::of(operation, body)? else {
        return Ok(work);
    };
    let kind = work.kind;
    let perform = Box::new(move |storage: &Storage| tokens::once(storage, &token, now, || work.perform(storage)));
    Ok(Work { kind, perform })
}

pub(super) fn create_table(
    storage: &Storage,
    request: CreateTableRequest,
) -> Result<CreateTableResponse, DynoxideError> {
    refuse_what_sqlite_cannot_name(storage, &request.table_name)?;
    pollster::block_on(actions::create_table::execute(storage, request))
}

/// Refuses names that are DynamoDB's, and not SQLite's: dynoxide gives each table one of the same name there.
fn refuse_what_sqlite_cannot_name(storage: &Storage, name: &str) -> Result<(), DynoxideError> {
    let is_reserved = name.starts_with('_') || name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("sqlite_"));
    if is_reserved {
        return Err(DynoxideError::ValidationException(format!(
            "TableName {name}: names that begin with _ or sqlite_ are not supported here"
        )));
    }
    let names = storage.list_table_names()?;
    match names
        .iter()
        .find(|other| *other != name && other.eq_ignore_ascii_case(name))
    {
        None => Ok(()),
        Some(other) => Err(DynoxideError::ValidationException(format!(
            "TableName {name}: there is a table {other}, and names that differ in case only are not supported here"
        ))),
    }
}

/// A GetItem of an item that is not there.
pub(super) fn probe(table: &Table, kind: Kind) -> Result<Work, Error> {
    let key = table.probe_key()?;
    let body = json!({"TableName": table.name(), "Key": key}).to_string();
    let work = metered("GetItem", kind, body.as_bytes(), |storage, request| {
        pollster::block_on(actions::get_item::execute(storage, request))
    });
    work.map_err(|error| Error::Unwell(error.to_string()))
}

fn write<Response: Serialize>(response: &Response) -> Result<Bytes, DynoxideError> {
    serde_json::to_vec(response)
        .map(Bytes::from)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// Parses a body, with DynamoDB's error for one that is none.
///
/// dynoxide's `Deserialize` marks its messages with the class of error that DynamoDB gives.
pub(super) fn read<Request: DeserializeOwned>(operation: &str, body: &[u8]) -> Result<Request, DynoxideError> {
    serde_json::from_slice(body).map_err(|error| {
        if error.is_syntax() || error.is_eof() {
            return DynoxideError::SerializationException(String::new());
        }
        let message = error.to_string();
        let text = without_position(&message);
        let as_read = |marker| text.strip_prefix(marker).map(str::to_owned);
        if let Some(text) = as_read("SERIALIZATION:").or_else(|| as_read("SERIALIZATION_AS_READ:")) {
            DynoxideError::SerializationException(text)
        } else if let Some(text) = as_read("VALIDATION:").or_else(|| as_read("VALIDATION_AS_READ:")) {
            DynoxideError::ValidationException(text)
        } else if let Some(text) = as_read("VALIDATION_REQUEST:") {
            DynoxideError::ValidationException(match operation {
                "PutItem" | "UpdateItem" | "DeleteItem" => format!("1 validation error detected: {text}"),
                _ => text,
            })
        } else if text.contains("missing field")
            || text.contains("unknown variant")
            || text.contains("invalid type: null")
            || text.contains("Supplied AttributeValue")
        {
            DynoxideError::ValidationException(text.to_owned())
        } else {
            DynoxideError::SerializationException(text.to_owned())
        }
    })
}

/// A serde_json message without its ` at line 1 column 2`.
fn without_position(message: &str) -> &str {
    match message.rfind(" at line ") {
        Some(at) => &message[..at],
        None => message,
    }
}
