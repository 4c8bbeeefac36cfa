//! How much work the paths, templates and calls of one state may be: definitions and inputs are anybody's, and a path
//! of a few characters can name more values than fit into memory.

use std::cell::Cell;

use serde_json::Value;

/// Values that may be looked at: half a second's work, far more than a filter over every element of the largest
/// payload takes.
const MAX_LOOKS: usize = 30_000_000;

/// Values that may be copied: several times what a payload of AWS's largest size can hold, and some 64 MB at most.
const MAX_COPIES: usize = 1_000_000;

/// Bytes of text that weigh as much as a value.
const TEXT_WEIGHT: usize = 32;

/// What is left to one state's expressions. JSONata has bounds of its own.
#[derive(Debug)]
pub struct Budget {
    looks: Cell<usize>,
    copies: Cell<usize>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            looks: Cell::new(MAX_LOOKS),
            copies: Cell::new(MAX_COPIES),
        }
    }
}

impl Budget {
    /// Spends looks at so many values; whether there were as many left.
    pub(super) fn look(&self, values: usize) -> bool {
        spend(&self.looks, values)
    }

    /// Spends so many looks at everything in a value.
    pub(super) fn look_through(&self, value: &Value, times: usize) -> bool {
        let before = self.looks.get();
        let once = weigh(value, &self.looks);
        let weight = before - self.looks.get();
        once && self.look(weight.saturating_mul(times.saturating_sub(1)))
    }

    /// Spends a copy of a value.
    pub(super) fn copy(&self, value: &Value) -> bool {
        weigh(value, &self.copies)
    }

    /// Whether more was asked for than there was. What was found since is not all there is.
    pub(super) fn is_spent(&self) -> bool {
        self.looks.get() == 0 || self.copies.get() == 0
    }
}

fn spend(purse: &Cell<usize>, amount: usize) -> bool {
    purse.set(purse.get().saturating_sub(amount));
    purse.get() > 0
}

/// Spends the weight of a value, and no longer time on it than there is to spend. Values nest as deep as the reader of
/// JSON allows.
fn weigh(value: &Value, purse: &Cell<usize>) -> bool {
    match value {
        Value::String(text) => spend(purse, 1 + text.len() / TEXT_WEIGHT),
        Value::Array(items) => spend(purse, 1) && items.iter().all(|item| weigh(item, purse)),
        Value::Object(fields) => {
            spend(purse, 1)
                && fields
                    .iter()
                    .all(|(name, field)| spend(purse, 1 + name.len() / TEXT_WEIGHT) && weigh(field, purse))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => spend(purse, 1),
    }
}
