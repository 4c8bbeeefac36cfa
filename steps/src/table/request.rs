//! Requests to the table, built so that every attribute name is an alias: no reserved word can get in the way.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, Put, TransactWriteItem, Update};

use super::attribute::{from_json, string, to_json};
use super::{Error, Item, Table, failed};

pub(super) const PARTITION: &str = "pk";
pub(super) const SORT: &str = "sk";

/// BatchGetItem's own limit.
pub(super) const BATCH: usize = 100;
/// How often a batch is asked again for what it left out, before it counts as unavailable.
const BATCH_ATTEMPTS: usize = 4;

/// What became of a conditional write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Written,
    /// The condition of the n-th of its items did not hold; nothing was written.
    Refused(usize),
    /// Another transaction was at one of the items; nothing was written.
    Contended,
}

/// A change of one item: `SET`, `REMOVE`, `ADD` and a condition.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) key: (String, String),
    set: Vec<(String, AttributeValue)>,
    kept: Vec<(&'static str, AttributeValue)>,
    counted: Option<&'static str>,
    remove: BTreeSet<&'static str>,
    condition: Option<&'static str>,
    values: HashMap<String, AttributeValue>,
}

impl Change {
    pub(super) fn new(partition: String, sort: String) -> Self {
        Self {
            key: (partition, sort),
            set: Vec::new(),
            kept: Vec::new(),
            counted: None,
            remove: BTreeSet::new(),
            condition: None,
            values: HashMap::new(),
        }
    }

    pub(super) fn set(&mut self, name: impl Into<String>, value: AttributeValue) -> &mut Self {
        self.set.push((name.into(), value));
        self
    }

    /// Sets what is not there yet.
    pub(super) fn keep(&mut self, name: &'static str, value: AttributeValue) -> &mut Self {
        self.kept.push((name, value));
        self
    }

    /// Adds one to a number, which is zero before the first time.
    pub(super) fn count(&mut self, name: &'static str) -> &mut Self {
        self.counted = Some(name);
        self.compared([(name, AttributeValue::N("1".to_owned()))])
    }

    /// Sets what there is, removes what there is not.
    pub(super) fn set_or_remove(&mut self, name: &'static str, value: Option<AttributeValue>) -> &mut Self {
        match value {
            Some(value) => self.set(name, value),
            None => self.remove(name),
        }
    }

    pub(super) fn remove(&mut self, name: &'static str) -> &mut Self {
        self.remove.insert(name);
        self
    }

    /// `condition` spells attributes `#name` and values `:name`; those it needs beside the values that are set come
    /// in `values`.
    pub(super) fn condition<const N: usize>(
        &mut self,
        condition: &'static str,
        values: [(&'static str, AttributeValue); N],
    ) -> &mut Self {
        self.condition = Some(condition);
        self.compared(values)
    }

    /// Further values that the condition compares with.
    pub(super) fn compared<const N: usize>(&mut self, values: [(&'static str, AttributeValue); N]) -> &mut Self {
        self.values
            .extend(values.map(|(name, value)| (format!(":{name}"), value)));
        self
    }

    pub(super) fn expression(&self) -> String {
        let set = self.set.iter().map(|(name, _)| format!("#{name} = :{name}"));
        let kept = self.kept.iter();
        let kept = kept.map(|(name, _)| format!("#{name} = if_not_exists(#{name}, :{name})"));
        let set: Vec<String> = set.chain(kept).collect();
        let mut expression = format!("SET {}", set.join(", "));
        if !self.remove.is_empty() {
            let names: Vec<String> = self.remove.iter().map(|name| format!("#{name}")).collect();
            expression.push_str(" REMOVE ");
            expression.push_str(&names.join(", "));
        }
        if let Some(name) = self.counted {
            expression.push_str(&format!(" ADD #{name} :{name}"));
        }
        expression
    }

    pub(super) fn names(&self) -> HashMap<String, String> {
        let set = self.set.iter().map(|(name, _)| name.as_str());
        let used = set
            .chain(self.kept.iter().map(|(name, _)| *name))
            .chain(self.counted)
            .chain(self.remove.iter().copied())
            .chain(self.condition.into_iter().flat_map(aliases));
        used.map(|name| (format!("#{name}"), name.to_owned())).collect()
    }

    pub(super) fn values(&self) -> HashMap<String, AttributeValue> {
        let set = self.set.iter().map(|(name, value)| (format!(":{name}"), value.clone()));
        let kept = self
            .kept
            .iter()
            .map(|(name, value)| (format!(":{name}"), value.clone()));
        self.values.clone().into_iter().chain(set).chain(kept).collect()
    }
}

/// The attribute names that an expression spells with `#`.
pub(super) fn aliases(expression: &str) -> impl Iterator<Item = &str> {
    expression.split('#').skip(1).map(|rest| {
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        &rest[..end]
    })
}

/// One write of a transaction.
#[derive(Clone, Debug)]
pub(super) enum Write {
    Change(Change),
    Put(Item),
}

pub(super) fn key(partition: String, sort: String) -> Item {
    [
        (PARTITION.to_owned(), string(partition)),
        (SORT.to_owned(), string(sort)),
    ]
    .into()
}

impl Table {
    /// All of the items that are there; `keys` at most [`BATCH`].
    pub(super) async fn batch(&self, doing: &'static str, keys: Vec<Item>) -> Result<Vec<Item>, Error> {
        let mut items = Vec::with_capacity(keys.len());
        let mut wanted = keys;
        for _ in 0..BATCH_ATTEMPTS {
            if wanted.is_empty() {
                return Ok(items);
            }
            let request = KeysAndAttributes::builder()
                .set_keys(Some(wanted))
                .consistent_read(true);
            let request = request.build().expect("the builder has all that it requires");
            let output = self
                .client
                .batch_get_item()
                .request_items(&self.name, request)
                .send()
                .await;
            let output = output.map_err(failed(doing))?;
            items.extend(
                output
                    .responses
                    .unwrap_or_default()
                    .remove(&self.name)
                    .unwrap_or_default(),
            );
            let left = output.unprocessed_keys.unwrap_or_default().remove(&self.name);
            wanted = left.map(|left| left.keys).unwrap_or_default();
        }
        if wanted.is_empty() {
            return Ok(items);
        }
        let source = format!("{} items were left out {BATCH_ATTEMPTS} times", wanted.len()).into();
        Err(Error::Unavailable { doing, source })
    }

    pub(super) async fn get(
        &self,
        doing: &'static str,
        partition: String,
        sort: String,
    ) -> Result<Option<Item>, Error> {
        let request = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key(partition, sort)));
        let output = request.consistent_read(true).send().await.map_err(failed(doing))?;
        Ok(output.item)
    }

    /// Changes one item; whether its condition held.
    pub(super) async fn change(&self, doing: &'static str, change: Change) -> Result<Outcome, Error> {
        let (expression, names, values) = (change.expression(), change.names(), change.values());
        let (partition, sort) = change.key;
        let request = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(partition, sort)))
            .update_expression(expression)
            .set_condition_expression(change.condition.map(str::to_owned))
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values));
        match request.send().await {
            Ok(_) => Ok(Outcome::Written),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                Ok(Outcome::Refused(0))
            }
            Err(error) => Err(failed(doing)(error)),
        }
    }

    /// Writes all of `writes`, or none.
    pub(super) async fn transact(&self, doing: &'static str, writes: Vec<Write>) -> Result<Outcome, Error> {
        let request = self.client.transact_write_items();
        let request = writes
            .into_iter()
            .fold(request, |request, write| request.transact_items(self.item(write)));
        match request.send().await {
            Ok(_) => Ok(Outcome::Written),
            Err(error) => match cancelled(&error) {
                Some(Cancelled::As(outcome)) => Ok(outcome),
                Some(Cancelled::Throttled) => Err(Error::Unavailable {
                    doing,
                    source: Box::new(error),
                }),
                None => Err(failed(doing)(error)),
            },
        }
    }

    fn item(&self, write: Write) -> TransactWriteItem {
        let missing = "the builder has all that it requires";
        match write {
            Write::Put(item) => {
                let put = Put::builder()
                    .table_name(&self.name)
                    .set_item(Some(item))
                    .build()
                    .expect(missing);
                TransactWriteItem::builder().put(put).build()
            }
            Write::Change(change) => {
                let (expression, names, values) = (change.expression(), change.names(), change.values());
                let (partition, sort) = change.key;
                let update = Update::builder()
                    .table_name(&self.name)
                    .set_key(Some(key(partition, sort)))
                    .update_expression(expression)
                    .set_condition_expression(change.condition.map(str::to_owned))
                    .set_expression_attribute_names(Some(names))
                    .set_expression_attribute_values(Some(values))
                    .build()
                    .expect(missing);
                TransactWriteItem::builder().update(update).build()
            }
        }
    }
}

/// Why a transaction was cancelled, where the table is not to blame.
enum Cancelled {
    As(Outcome),
    Throttled,
}

fn cancelled(error: &SdkError<TransactWriteItemsError>) -> Option<Cancelled> {
    let SdkError::ServiceError(service) = error else {
        return None;
    };
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = service.err() else {
        return None;
    };
    let code = |code| {
        cancelled
            .cancellation_reasons()
            .iter()
            .position(|reason| reason.code() == Some(code))
    };
    if let Some(index) = code("ConditionalCheckFailed") {
        return Some(Cancelled::As(Outcome::Refused(index)));
    }
    if code("TransactionConflict").is_some() {
        return Some(Cancelled::As(Outcome::Contended));
    }
    let throttled = code("ThrottlingError").or(code("ProvisionedThroughputExceeded"));
    throttled.map(|_| Cancelled::Throttled)
}

/// An item that is being read: every attribute that is not as it should be is an error that names it.
pub(super) struct Reading<'a>(pub(super) &'a Item);

impl Reading<'_> {
    pub(super) fn unreadable(&self, attribute: &'static str) -> Error {
        let text = |name| {
            self.0
                .get(name)
                .and_then(|value| value.as_s().ok())
                .cloned()
                .unwrap_or_default()
        };
        Error::Unreadable {
            partition: text(PARTITION),
            sort: text(SORT),
            attribute,
        }
    }

    pub(super) fn optional<T: serde::de::DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>, Error> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let json = to_json(value).ok_or_else(|| self.unreadable(name))?;
        serde_json::from_value(json)
            .map(Some)
            .map_err(|_| self.unreadable(name))
    }

    pub(super) fn required<T: serde::de::DeserializeOwned>(&self, name: &'static str) -> Result<T, Error> {
        self.optional(name)?.ok_or_else(|| self.unreadable(name))
    }
}

/// Any value of ours as an attribute.
pub(super) fn attribute(value: &impl serde::Serialize) -> AttributeValue {
    from_json(serde_json::to_value(value).expect("what is stored has string keys and finite numbers"))
}
