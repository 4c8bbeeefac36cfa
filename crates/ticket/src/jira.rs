//! What Jira sends, read into the canonical event: the only code that knows Jira's JSON.
//!
//! Five shapes come to the same address: a webhook (`webhookEvent`), a workflow's post-function (an `issue` without
//! one), the bare issue of an Automation rule or of the REST API (`fields`), the events of other things, which carry
//! no fact, and the seed's flat payload, which [`crate::flat`] reads. Fields are told apart by `fieldId`, or else by
//! `field`; names of statuses mean nothing, because people rename and translate them.

use serde::Deserialize;
use serde_json::Value;

use crate::adf;
use crate::event::{Delivery, MAX_CHANGES, Source, TicketEvent};
use crate::fact::{Category, Change, ChangelogId, Clock, Fact, Field, Named, Snapshot, sha256_hex};
use crate::flat;
use crate::ids::{IssueId, IssueKey, SiteId};
use crate::text::{
    DESCRIPTION_BYTES, NAME_BYTES, SUMMARY_BYTES, Seen, Text, Texts, beginning, excerpt,
};
use crate::time::Time;
use crate::wire::{self, Path};

pub use crate::wire::{Error, Kind};

const ISSUE_EVENTS: [&str; 3] = [
    "jira:issue_created",
    "jira:issue_updated",
    "jira:issue_deleted",
];

/// A body in any of the shapes. What a leaf may be is decided where it is read, so that the error can name it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    webhook_event: Option<Value>,
    timestamp: Option<Value>,
    issue: Option<Issue>,
    changelog: Option<Changelog>,
    id: Option<Value>,
    key: Option<Value>,
    #[serde(rename = "self")]
    link: Option<Value>,
    fields: Option<Fields>,
    summary: Option<Value>,
    created: Option<Value>,
    completed: Option<Value>,
    description: Option<Value>,
    priority: Option<Value>,
}

#[derive(Deserialize)]
struct Issue {
    id: Option<Value>,
    key: Option<Value>,
    #[serde(rename = "self")]
    link: Option<Value>,
    fields: Option<Fields>,
}

/// The fields that matter. Of those a body may say that there is nothing, `Some(Null)` is one that says so.
#[derive(Default, Deserialize)]
struct Fields {
    created: Option<Value>,
    updated: Option<Value>,
    status: Option<Value>,
    statuscategorychangedate: Option<Value>,
    resolutiondate: Option<Value>,
    project: Option<Value>,
    #[serde(default, deserialize_with = "said")]
    resolution: Option<Value>,
    #[serde(default, deserialize_with = "said")]
    priority: Option<Value>,
    #[serde(default, deserialize_with = "said")]
    summary: Option<Value>,
    #[serde(default, deserialize_with = "said")]
    description: Option<Value>,
}

/// A webhook's `{id, items}`, or the `{histories}` of Automation and REST.
#[derive(Default, Deserialize)]
struct Changelog {
    id: Option<Value>,
    items: Option<Vec<Item>>,
    histories: Option<Vec<History>>,
}

#[derive(Deserialize)]
struct History {
    id: Option<Value>,
    created: Option<Value>,
    items: Option<Vec<Item>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    field: Option<Value>,
    field_id: Option<Value>,
    fieldtype: Option<Value>,
    from: Option<Value>,
    from_string: Option<Value>,
    to: Option<Value>,
    to_string: Option<Value>,
}

fn said<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Reads a delivery.
///
/// The same bytes always give the same event. Whatever the bytes are, the event is at most
/// [`MAX_EVENT_BYTES`](crate::event::MAX_EVENT_BYTES) long.
pub fn read(body: &[u8]) -> Result<Delivery, Error> {
    let body: Body = serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            Error::NoKnownShape(error.to_string())
        } else {
            Error::NotJson(error)
        }
    })?;
    let changelog = body.changelog.unwrap_or_default();
    let (source, deleted, created, issue) = match (&body.webhook_event, body.issue, body.fields) {
        (Some(Value::String(event)), issue, _) => {
            if !ISSUE_EVENTS.contains(&event.as_str()) {
                return Ok(Delivery::Ignored {
                    reason: format!("{} is not about an issue itself", excerpt(event)),
                });
            }
            let issue = issue.ok_or(Error::Missing {
                field: "issue".to_owned(),
                expected: "the issue",
            })?;
            (
                Source::Webhook,
                event == "jira:issue_deleted",
                event == "jira:issue_created",
                issue,
            )
        }
        (Some(other), ..) => {
            let path = Path {
                prefix: "",
                name: "webhookEvent",
            };
            return Err(path.invalid(other, "the name of an event, such as jira:issue_updated"));
        }
        (None, Some(issue), _) => (Source::PostFunction, false, false, issue),
        (None, None, Some(fields)) => (
            Source::Issue,
            false,
            false,
            Issue {
                id: body.id,
                key: body.key,
                link: body.link,
                fields: Some(fields),
            },
        ),
        (None, None, None) if body.summary.is_some() || body.created.is_some() => {
            let event = flat::event(&flat::Payload {
                summary: body.summary,
                created: body.created,
                completed: body.completed,
                description: body.description,
                priority: body.priority,
            })?;
            return Ok(Delivery::Event(event));
        }
        (None, None, None) => {
            let reason =
                "it has none of webhookEvent, issue, fields, or summary and created".to_owned();
            return Err(Error::NoKnownShape(reason));
        }
    };
    let prefix = if source == Source::Issue {
        ""
    } else {
        "issue."
    };
    let delivered = delivered_at(body.timestamp.as_ref())?;
    reading(prefix, issue, delivered)?
        .event(source, deleted, created, changelog)
        .map(Delivery::Event)
}

/// The delivery's own time. A string that is none comes from a logger on the way, not from Jira: it says nothing.
fn delivered_at(timestamp: Option<&Value>) -> Result<Option<Time>, Error> {
    match timestamp {
        Some(Value::String(text)) => Ok(text.parse().ok()),
        other => wire::time(
            Path {
                prefix: "",
                name: "timestamp",
            },
            other,
        ),
    }
}

/// An issue whose identity and times are known.
struct Reading<'a> {
    prefix: &'a str,
    site: SiteId,
    issue: IssueId,
    key: Option<IssueKey>,
    fields: Fields,
    created: Option<Time>,
    delivered: Option<Time>,
    updated: Option<Time>,
    observed: Time,
}

fn reading(prefix: &str, issue: Issue, delivered: Option<Time>) -> Result<Reading<'_>, Error> {
    let fields_prefix = format!("{prefix}fields.");
    let fields = issue.fields.unwrap_or_default();
    let link = Path {
        prefix,
        name: "self",
    };
    let expected = "a URL whose host names the site";
    let site = match wire::string(link, issue.link.as_ref())? {
        Some(url) => SiteId::of_url(url).map_err(|_| link.invalid(&Value::from(url), expected))?,
        None => return Err(link.missing(expected)),
    };
    let id = Path { prefix, name: "id" };
    let created = wire::time(
        Path {
            prefix: &fields_prefix,
            name: "created",
        },
        fields.created.as_ref(),
    )?;
    let updated = wire::time(
        Path {
            prefix: &fields_prefix,
            name: "updated",
        },
        fields.updated.as_ref(),
    )?;
    Ok(Reading {
        prefix,
        site,
        issue: wire::id(id, issue.id.as_ref(), IssueId::EXPECTED)?
            .ok_or_else(|| id.missing(IssueId::EXPECTED))?,
        key: wire::id(
            Path {
                prefix,
                name: "key",
            },
            issue.key.as_ref(),
            IssueKey::EXPECTED,
        )?,
        created,
        delivered,
        updated,
        observed: delivered.max(updated).or(created).ok_or_else(|| {
            Path {
                prefix: "",
                name: "timestamp",
            }
            .missing("milliseconds since 1970, unless the issue says `updated`")
        })?,
        fields,
    })
}

impl Reading<'_> {
    fn event(
        self,
        source: Source,
        deleted: bool,
        on_creation: bool,
        changelog: Changelog,
    ) -> Result<TicketEvent, Error> {
        let mut changes = self.changes(changelog, on_creation)?;
        // Of a history too long for one event the newest part is kept: it tells where the ticket is.
        let changes_cut = MAX_CHANGES < changes.len();
        if changes_cut {
            changes.sort_by(|a, b| (a.at, &a.changelog, a.item).cmp(&(b.at, &b.changelog, b.item)));
            changes.drain(..changes.len() - MAX_CHANGES);
        }
        let mut facts: Vec<Fact> = changes.into_iter().map(Fact::Change).collect();
        facts.push(Fact::Snapshot(self.snapshot(changes_cut)?));
        facts.extend(self.created.map(|at| Fact::Created { at }));
        if deleted {
            // `fields.updated` is that of the last edit, minutes before.
            facts.push(Fact::Deleted {
                at: self.delivered.unwrap_or(self.observed),
            });
        }
        facts.sort();
        facts.dedup();
        Ok(TicketEvent {
            texts: self.texts()?,
            site: self.site,
            issue: self.issue,
            key: self.key,
            observed: self.observed,
            source,
            facts,
        })
    }

    fn snapshot(&self, changes_cut: bool) -> Result<Snapshot, Error> {
        let prefix = &format!("{}fields.", self.prefix);
        let path = |name| Path { prefix, name };
        let fields = &self.fields;
        let status = named(path("status"), fields.status.as_ref())?;
        let said = |name, value: Option<&Value>| {
            value
                .map(|value| named(path(name), Some(value)))
                .transpose()
        };
        let project = match &fields.project {
            None | Some(Value::Null) => None,
            Some(Value::Object(project)) => wire::string(path("project.key"), project.get("key"))?,
            Some(other) => return Err(path("project").invalid(other, "a project: {\"key\": …}")),
        };
        Ok(Snapshot {
            observed: self.observed,
            category: fields.status.as_ref().and_then(category),
            status,
            category_changed: wire::time(
                path("statuscategorychangedate"),
                fields.statuscategorychangedate.as_ref(),
            )?,
            resolution: said("resolution", fields.resolution.as_ref())?,
            resolved: wire::time(path("resolutiondate"), fields.resolutiondate.as_ref())?,
            priority: said("priority", fields.priority.as_ref())?,
            key: self.key.clone(),
            project: project.map(name),
            changes_cut,
        })
    }

    fn texts(&self) -> Result<Texts, Error> {
        let prefix = &format!("{}fields.", self.prefix);
        let seen = |text: Option<Text>| Seen {
            observed: self.observed,
            text,
        };
        let summary = match &self.fields.summary {
            None => None,
            value => {
                let text = wire::string(
                    Path {
                        prefix,
                        name: "summary",
                    },
                    value.as_ref(),
                )?;
                Some(seen(text.map(|text| Text::new(text, SUMMARY_BYTES))))
            }
        };
        let description = match &self.fields.description {
            None => None,
            Some(Value::Null) => Some(seen(None)),
            Some(Value::String(text)) => Some(seen(Some(Text::new(text, DESCRIPTION_BYTES)))),
            Some(document @ Value::Object(_)) => Some(seen(Some(Text::new(
                &adf::text(document),
                DESCRIPTION_BYTES,
            )))),
            Some(other) => {
                return Err(Path {
                    prefix,
                    name: "description",
                }
                .invalid(other, "a string, a document or null"));
            }
        };
        Ok(Texts {
            summary,
            description,
        })
    }

    /// The changes that are facts, of a webhook's changelog and of histories alike.
    fn changes(&self, changelog: Changelog, on_creation: bool) -> Result<Vec<Change>, Error> {
        let (at, clock) = match (self.delivered, self.updated) {
            (Some(at), _) => (at, Clock::Timestamp),
            (None, Some(at)) => (at, Clock::Updated),
            (None, None) => (self.observed, Clock::Updated),
        };
        let mut changes = Vec::new();
        let items = changelog.items.unwrap_or_default();
        let id = changelog_id("changelog.id", changelog.id.as_ref())?;
        self.read_items(
            "changelog.items",
            id,
            &items,
            at,
            clock,
            on_creation,
            &mut changes,
        )?;
        for (index, history) in changelog.histories.unwrap_or_default().iter().enumerate() {
            let prefix = &format!("changelog.histories[{index}].");
            let (at, clock) = match wire::time(
                Path {
                    prefix,
                    name: "created",
                },
                history.created.as_ref(),
            )? {
                Some(at) => (at, Clock::History),
                None => (at, clock),
            };
            let id = changelog_id(&format!("{prefix}id"), history.id.as_ref())?;
            let items = history.items.as_deref().unwrap_or_default();
            self.read_items(
                &format!("{prefix}items"),
                id,
                items,
                at,
                clock,
                false,
                &mut changes,
            )?;
        }
        Ok(changes)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what a changelog is depends on where it was found"
    )]
    fn read_items(
        &self,
        prefix: &str,
        id: Option<ChangelogId>,
        items: &[Item],
        at: Time,
        clock: Clock,
        initial: bool,
        changes: &mut Vec<Change>,
    ) -> Result<(), Error> {
        let first = changes.len();
        let mut count = [0_u32; 5];
        for (index, item) in items.iter().enumerate() {
            let Some(field) = item.field() else { continue };
            let prefix = &format!("{prefix}[{index}].");
            let value = |id_name, id: &Option<Value>, label_name, label: &Option<Value>| {
                let id = scalar(
                    Path {
                        prefix,
                        name: id_name,
                    },
                    id.as_ref(),
                )?;
                let name = scalar(
                    Path {
                        prefix,
                        name: label_name,
                    },
                    label.as_ref(),
                )?;
                Ok(Some(Named { id, name })
                    .filter(|named| named.id.is_some() || named.name.is_some()))
            };
            let from = value("from", &item.from, "fromString", &item.from_string)?;
            let to = value("to", &item.to, "toString", &item.to_string)?;
            let nth = &mut count[field as usize];
            let changelog = id.clone().unwrap_or(ChangelogId(String::new()));
            changes.push(Change {
                field,
                changelog,
                item: *nth,
                from,
                to,
                at,
                clock,
                initial,
            });
            *nth += 1;
        }
        if id.is_none() && first < changes.len() {
            let hash = ChangelogId(sha256_hex(&(&self.issue, &changes[first..])));
            changes[first..]
                .iter_mut()
                .for_each(|change| change.changelog = hash.clone());
        }
        Ok(())
    }
}

impl Item {
    /// Which field the item is about, if it is one whose changes are facts.
    fn field(&self) -> Option<Field> {
        let text = |value: &Option<Value>| {
            value
                .as_ref()
                .and_then(Value::as_str)
                .map(str::to_ascii_lowercase)
        };
        // A custom field may be called "Status", too.
        let custom = text(&self.fieldtype).is_some_and(|kind| kind == "custom");
        let name = text(&self.field_id)
            .filter(|id| !id.is_empty())
            .or_else(|| text(&self.field).filter(|_| !custom));
        match name?.as_str() {
            "status" => Some(Field::Status),
            "priority" => Some(Field::Priority),
            "resolution" => Some(Field::Resolution),
            "key" | "issuekey" => Some(Field::Key),
            "project" => Some(Field::Project),
            _ => None,
        }
    }
}

fn changelog_id(field: &str, value: Option<&Value>) -> Result<Option<ChangelogId>, Error> {
    // The same alphabet and length as an issue's id.
    let id: Option<IssueId> = wire::id(
        Path {
            prefix: "",
            name: field,
        },
        value,
        "a changelog id: digits",
    )?;
    Ok(id.map(|id| ChangelogId(String::from(id))))
}

/// A string, or a number that stands for one; nothing where it is absent, `null` or empty.
fn scalar(path: Path<'_>, value: Option<&Value>) -> Result<Option<String>, Error> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(name(text))),
        Some(Value::Number(number)) => Ok(Some(name(&number.to_string()))),
        Some(other) => Err(path.invalid(other, "a string or null")),
    }
}

/// A `{id, name}` object; nothing where it is absent, `null` or empty.
fn named(path: Path<'_>, value: Option<&Value>) -> Result<Option<Named>, Error> {
    let object = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(object)) => object,
        Some(other) => return Err(path.invalid(other, "an object with id and name, or null")),
    };
    let prefix = &format!("{path}.");
    let id = scalar(Path { prefix, name: "id" }, object.get("id"))?;
    let name = scalar(
        Path {
            prefix,
            name: "name",
        },
        object.get("name"),
    )?;
    Ok(Some(Named { id, name }).filter(|named| named.id.is_some() || named.name.is_some()))
}

/// The category of a body's status. Jira's fourth, "No Category", is none.
fn category(status: &Value) -> Option<Category> {
    match status.get("statusCategory")?.get("key")?.as_str()? {
        "new" => Some(Category::New),
        "indeterminate" => Some(Category::Indeterminate),
        "done" => Some(Category::Done),
        _ => None,
    }
}

fn name(text: &str) -> String {
    beginning(text, NAME_BYTES).to_owned()
}
