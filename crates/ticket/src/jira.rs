//! What Jira sends, read into the canonical event: the only code that knows Jira's JSON.
//!
//! Six shapes come to the same address: a webhook (`webhookEvent`), a workflow's post-function (an `issue` without
//! one), the bare issue of an Automation rule or of the REST API (`fields`), the events of other things, which carry
//! no fact, the seed's flat payload, which [`crate::flat`] reads, and events that are canonical already
//! ([`crate::canonical`]). Fields are told apart by `fieldId`, or else by
//! `field`; names of statuses mean nothing, because people rename and translate them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::adf;
use crate::canonical;
use crate::chain::TOLERANCE_MS;
use crate::event::{Delivery, MAX_CHANGES, Source, TicketEvent};
use crate::fact::{Category, Change, ChangelogId, Clock, Fact, Field, Named, Snapshot, sha256_hex};
use crate::flat;
use crate::ids::{IssueId, IssueKey, SiteId};
use crate::text::{DESCRIPTION_BYTES, NAME_BYTES, SUMMARY_BYTES, Seen, Text, Texts, beginning, excerpt};
use crate::time::Time;
use crate::wire::{self, Object, Path, Shaped, leaf};

pub use crate::wire::{Error, Kind};

/// A body in any of the shapes. What a leaf may be is decided where it is read, so that the error can name it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    webhook_event: Option<Value>,
    timestamp: Option<Value>,
    issue: Option<Shaped<Object<Issue>>>,
    changelog: Option<Shaped<Object<Changelog>>>,
    user: Option<Value>,
    id: Option<Value>,
    key: Option<Value>,
    #[serde(rename = "self")]
    link: Option<Value>,
    fields: Option<Shaped<Object<Fields>>>,
    summary: Option<IgnoredAny>,
    created: Option<IgnoredAny>,
    ticket_event: Option<Value>,
}

#[derive(Deserialize)]
struct Issue {
    id: Option<Value>,
    key: Option<Value>,
    #[serde(rename = "self")]
    link: Option<Value>,
    fields: Option<Shaped<Object<Fields>>>,
    changelog: Option<Shaped<Object<Changelog>>>,
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
    creator: Option<Value>,
    #[serde(default, deserialize_with = "wire::said")]
    resolution: Option<Value>,
    #[serde(default, deserialize_with = "wire::said")]
    priority: Option<Value>,
    #[serde(default, deserialize_with = "wire::said")]
    summary: Option<Value>,
    #[serde(default, deserialize_with = "wire::said")]
    description: Option<Value>,
}

/// A webhook's `{id, items}`, or the `{histories}` of Automation and REST.
#[derive(Default, Deserialize)]
struct Changelog {
    id: Option<Value>,
    items: Option<Items>,
    /// How many histories there are, of which these may be the newest.
    total: Option<Value>,
    histories: Option<Shaped<Vec<Shaped<Object<History>>>>>,
}

#[derive(Deserialize)]
struct History {
    id: Option<Value>,
    author: Option<Value>,
    created: Option<Value>,
    items: Option<Items>,
}

type Items = Shaped<Vec<Shaped<Object<Item>>>>;

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

/// What happened to the issue, as far as the shape says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Happening {
    Created,
    Changed,
    Deleted,
}

/// Reads a delivery.
///
/// The same bytes always give the same event. Whatever the bytes are, the event is at most
/// [`MAX_EVENT_BYTES`](crate::event::MAX_EVENT_BYTES) long.
pub fn read(bytes: &[u8]) -> Result<Delivery, Error> {
    let body: Body = wire::object(bytes)?;
    if let Some(event) = body.ticket_event {
        return canonical::read(&event).map(Delivery::Event);
    }
    let issue = body.issue.map(|issue| issue.object(top("issue"))).transpose()?;
    let (source, happening, issue) = match (body.webhook_event, issue, body.fields) {
        (Some(event), issue, _) => {
            let happening = match event.as_str() {
                Some("jira:issue_created") => Happening::Created,
                Some("jira:issue_updated") => Happening::Changed,
                Some("jira:issue_deleted") => Happening::Deleted,
                Some(event) => {
                    let reason = format!("{} is not about an issue itself", excerpt(event));
                    return Ok(Delivery::Ignored { reason });
                }
                None => {
                    return Err(top("webhookEvent").invalid(&event, "a string, such as jira:issue_updated"));
                }
            };
            (
                Source::Webhook,
                happening,
                issue.ok_or_else(|| top("issue").missing("the issue"))?,
            )
        }
        (None, Some(issue), _) => (Source::PostFunction, Happening::Changed, issue),
        (None, None, Some(fields)) => {
            let (id, key, link) = (body.id, body.key, body.link);
            let issue = Issue {
                id,
                key,
                link,
                fields: Some(fields),
                changelog: None,
            };
            (Source::Issue, Happening::Changed, issue)
        }
        (None, None, None) if body.summary.is_some() || body.created.is_some() => {
            return flat::read(bytes).map(Delivery::Event);
        }
        (None, None, None) => {
            let reason = "it has none of webhookEvent, issue, fields, or summary and created";
            return Err(Error::NoKnownShape(reason.to_owned()));
        }
    };
    let prefix = if source == Source::Issue { "" } else { "issue." };
    let mut changelogs = Vec::new();
    for (path, changelog) in [("changelog", body.changelog), ("issue.changelog", issue.changelog)] {
        let changelog = changelog.map(|changelog| changelog.object(top(path))).transpose()?;
        changelogs.extend(changelog.map(|changelog| (path, changelog)));
    }
    let issue = Issue {
        changelog: None,
        ..issue
    };
    let reading = Reading::of(prefix, issue, delivered_at(body.timestamp.as_ref())?)?;
    reading
        .event(source, happening, changelogs, body.user)
        .map(Delivery::Event)
}

/// Reads an issue as Jira's REST API shows it, with its whole history, in as many events as that takes; what the issue is
/// now is in the last one.
///
/// A history names statuses, and does not say what they are: `categories` are those of the site, by status id. Where it
/// is said to be longer than what is shown of it, its beginning is not known.
pub fn read_issue(bytes: &[u8], categories: &BTreeMap<String, Category>) -> Result<Vec<TicketEvent>, Error> {
    let body: Body = wire::object(bytes)?;
    let issue = Issue {
        id: body.id,
        key: body.key,
        link: body.link,
        fields: body.fields,
        changelog: None,
    };
    let changelog = body.changelog.map(|changelog| changelog.object(top("changelog")));
    let reading = Reading::of("", issue, None)?;
    let mut changes = Changes::default();
    let mut is_cut = false;
    let mut edited = None;
    if let Some(changelog) = changelog.transpose()? {
        is_cut = changelog.is_cut();
        edited = changelog.edited();
        reading.read_changelog("changelog", changelog, false, None, &mut changes)?;
    }
    let Changes { mut all, authors } = changes;
    all.sort_by(|a, b| a.order().cmp(&b.order()));
    if !is_cut {
        all.splice(..0, reading.beginning(&all)?);
    }
    let of_status = all.iter().filter(|change| change.field == Field::Status);
    let statuses: BTreeSet<String> = of_status
        .flat_map(|change| [&change.from, &change.to])
        .flatten()
        .map(|status| status.identity().to_owned())
        .collect();
    let created = reading.created;
    let now = Changes {
        all: Vec::new(),
        authors,
    };
    let mut now = reading.event_of(Source::Issue, Happening::Changed, now, is_cut)?;
    if !is_cut && let Some((seen, written)) = now.texts.description.as_mut().zip(edited.or(created)) {
        // Webhooks may write it in another markup, so that the two cannot be compared; and a comment makes the whole
        // issue newer, but no text. Whatever a webhook wrote since it was last edited is this text.
        seen.observed = seen.observed.min(written);
    }
    let mut facts: Vec<Fact> = all.into_iter().map(Fact::Change).collect();
    facts.extend(statuses.into_iter().filter_map(|status| {
        Some(Fact::Category {
            category: *categories.get(&status)?,
            status,
            observed: now.observed,
        })
    }));
    facts.extend(now.facts.iter().cloned());
    Ok(canonical::events(&now, &facts, &now.texts))
}

/// The answer of Jira's `GET /status` as a map of categories by status id.
pub fn read_categories(bytes: &[u8]) -> Result<BTreeMap<String, Category>, Error> {
    let facts = read_statuses(bytes, Time::FIRST)?.into_iter();
    let category = |fact| match fact {
        Fact::Category { status, category, .. } => Some((status, category)),
        _ => None,
    };
    Ok(facts.filter_map(category).collect())
}

/// Reads the answer of Jira's `GET /status`: the categories of all statuses, as facts for any of its tickets.
pub fn read_statuses(bytes: &[u8], observed: Time) -> Result<Vec<Fact>, Error> {
    let statuses: Vec<Value> = wire::list(bytes)?;
    let mut facts = Vec::new();
    for (index, status) in statuses.iter().enumerate() {
        let prefix = &format!("[{index}].");
        let id = leaf(prefix, "id");
        let id = scalar(id, status.get("id"))?.ok_or_else(|| id.missing("the status's id"))?;
        facts.extend(category(status).map(|category| Fact::Category {
            status: id,
            category,
            observed,
        }));
    }
    Ok(facts)
}

/// The delivery's own time. A string that is none comes from a logger on the way, not from Jira: it says nothing.
fn delivered_at(timestamp: Option<&Value>) -> Result<Option<Time>, Error> {
    match timestamp {
        Some(Value::String(text)) => Ok(text.parse().ok()),
        other => wire::time(top("timestamp"), other),
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

impl<'a> Reading<'a> {
    fn of(prefix: &'a str, issue: Issue, delivered: Option<Time>) -> Result<Self, Error> {
        let fields_prefix = &format!("{prefix}fields.");
        let fields = match issue.fields {
            Some(fields) => fields.object(leaf(prefix, "fields"))?,
            None => Fields::default(),
        };
        let link = leaf(prefix, "self");
        let expected = "a URL whose host names the site";
        let site = match wire::string(link, issue.link.as_ref())? {
            Some(url) => SiteId::of_url(url).map_err(|_| link.invalid(&Value::from(url), expected))?,
            None => return Err(link.missing(expected)),
        };
        let id = leaf(prefix, "id");
        let created = wire::time(leaf(fields_prefix, "created"), fields.created.as_ref())?;
        let updated = wire::time(leaf(fields_prefix, "updated"), fields.updated.as_ref())?;
        let observed = delivered.max(updated).or(created);
        Ok(Self {
            prefix,
            site,
            issue: wire::id(id, issue.id.as_ref(), IssueId::EXPECTED)?.ok_or_else(|| id.missing(IssueId::EXPECTED))?,
            key: wire::id(leaf(prefix, "key"), issue.key.as_ref(), IssueKey::EXPECTED)?,
            created,
            delivered,
            updated,
            observed: observed
                .ok_or_else(|| top("timestamp").missing("milliseconds since 1970, unless `updated` is there"))?,
            fields,
        })
    }

    fn event(
        self,
        source: Source,
        happening: Happening,
        changelogs: Vec<(&str, Changelog)>,
        user: Option<Value>,
    ) -> Result<TicketEvent, Error> {
        let mut changes = Changes::default();
        let is_creation = happening == Happening::Created;
        for (path, changelog) in changelogs {
            self.read_changelog(path, changelog, is_creation, user.as_ref(), &mut changes)?;
        }
        // Of a history too long for one event the newest part is kept: it tells where the ticket is.
        let changes_cut = MAX_CHANGES < changes.all.len();
        if changes_cut {
            changes.all.sort_by(|a, b| a.order().cmp(&b.order()));
            changes.all.drain(..changes.all.len() - MAX_CHANGES);
        }
        let mut event = self.event_of(source, happening, changes, changes_cut)?;
        event.authors = event.authors_of(&event.facts);
        Ok(event)
    }

    fn event_of(
        self,
        source: Source,
        happening: Happening,
        changes: Changes,
        changes_cut: bool,
    ) -> Result<TicketEvent, Error> {
        let Changes { all, mut authors } = changes;
        let creator = self.fields.creator.as_ref().and_then(person);
        authors.extend(creator.map(|name| (ChangelogId::creation(), name)));
        let mut facts: Vec<Fact> = all.into_iter().map(Fact::Change).collect();
        facts.push(Fact::Snapshot(self.snapshot(changes_cut)?));
        facts.extend(self.created.map(|at| Fact::Created { at }));
        if happening == Happening::Deleted {
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
            authors,
        })
    }

    /// The status that the issue was created with, as its whole history shows: what the first change left, or what it
    /// still is, unless the body says that this came later.
    fn beginning(&self, changes: &[Change]) -> Result<Option<Change>, Error> {
        let Some(created) = self.created else { return Ok(None) };
        let snapshot = self.snapshot(false)?;
        let came_later = |at: Option<Time>| at.is_some_and(|at| TOLERANCE_MS < at.since(created));
        let to = match changes.iter().find(|change| change.field == Field::Status) {
            Some(change) => change.from.clone(),
            None if came_later(snapshot.category_changed) || came_later(snapshot.resolved) => None,
            None => snapshot.status,
        };
        Ok(to.map(|to| Change {
            field: Field::Status,
            changelog: ChangelogId::creation(),
            item: 0,
            from: None,
            to: Some(to),
            at: created,
            clock: Clock::History,
            initial: true,
        }))
    }

    fn snapshot(&self, changes_cut: bool) -> Result<Snapshot, Error> {
        let prefix = &format!("{}fields.", self.prefix);
        let path = |name| leaf(prefix, name);
        let fields = &self.fields;
        let status = named(path("status"), fields.status.as_ref())?;
        let said = |name, value: Option<&Value>| value.map(|value| named(path(name), Some(value))).transpose();
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
                let text = wire::string(leaf(prefix, "summary"), value.as_ref())?;
                Some(seen(text.map(|text| Text::new(text, SUMMARY_BYTES))))
            }
        };
        let description = match &self.fields.description {
            None => None,
            Some(Value::Null) => Some(seen(None)),
            Some(Value::String(text)) => Some(seen(Some(Text::new(text, DESCRIPTION_BYTES)))),
            Some(document @ Value::Object(_)) => Some(seen(Some(Text::new(&adf::text(document), DESCRIPTION_BYTES)))),
            Some(other) => {
                return Err(leaf(prefix, "description").invalid(other, "a string, a document or null"));
            }
        };
        Ok(Texts { summary, description })
    }

    /// Adds the changes that are facts, of a webhook's changelog, which its `user` made, and of histories alike.
    fn read_changelog(
        &self,
        path: &str,
        changelog: Changelog,
        initial: bool,
        user: Option<&Value>,
        changes: &mut Changes,
    ) -> Result<(), Error> {
        let (at, clock) = match (self.delivered, self.updated) {
            (Some(at), _) => (at, Clock::Timestamp),
            (None, Some(at)) => (at, Clock::Updated),
            (None, None) => (self.observed, Clock::Updated),
        };
        let edit = History {
            id: changelog.id,
            author: user.cloned(),
            created: None,
            items: changelog.items,
        };
        changes.add(self.read_history(&format!("{path}."), edit, (at, clock), initial)?);
        let histories = match changelog.histories {
            Some(histories) => histories.list(leaf(&format!("{path}."), "histories"))?,
            None => Vec::new(),
        };
        for (index, history) in histories.into_iter().enumerate() {
            let path = format!("{path}.histories[{index}]");
            let history = history.object(top(&path))?;
            let prefix = &format!("{path}.");
            let created = wire::time(leaf(prefix, "created"), history.created.as_ref())?;
            let dated = created.map_or((at, clock), |created| (created, Clock::History));
            changes.add(self.read_history(prefix, history, dated, false)?);
        }
        Ok(())
    }

    fn read_history(
        &self,
        prefix: &str,
        history: History,
        (at, clock): (Time, Clock),
        initial: bool,
    ) -> Result<(Vec<Change>, Option<String>), Error> {
        let id = leaf(prefix, "id");
        // A changelog's id is made like an issue's.
        let id: Option<IssueId> = wire::id(id, history.id.as_ref(), "a changelog id: digits")?;
        let changelog = ChangelogId(id.map_or_else(String::new, String::from));
        let mut changes: Vec<Change> = Vec::new();
        let mut item_counts = BTreeMap::new();
        let items = match history.items {
            Some(items) => items.list(leaf(prefix, "items"))?,
            None => Vec::new(),
        };
        for (index, item) in items.into_iter().enumerate() {
            let path = format!("{prefix}items[{index}]");
            let item = item.object(top(&path))?;
            let Some(field) = item.field() else { continue };
            let prefix = &format!("{path}.");
            let value = |id, id_value: &Option<Value>, name, name_value: &Option<Value>| {
                let id = scalar(leaf(prefix, id), id_value.as_ref())?;
                let name = scalar(leaf(prefix, name), name_value.as_ref())?;
                Ok(Some(Named { id, name }).filter(Named::is_something))
            };
            let from = value("from", &item.from, "fromString", &item.from_string)?;
            let to = value("to", &item.to, "toString", &item.to_string)?;
            // An issue always has a status: an item that leads to none says nothing.
            if field == Field::Status && to.is_none() {
                continue;
            }
            let count = item_counts.entry(field).or_insert(0);
            changes.push(Change {
                field,
                changelog: changelog.clone(),
                item: *count,
                from,
                to,
                at,
                clock,
                initial,
            });
            *count += 1;
        }
        if changelog.0.is_empty() {
            let hash = ChangelogId(sha256_hex(&(&self.issue, &changes)));
            changes.iter_mut().for_each(|change| change.changelog = hash.clone());
        }
        Ok((changes, history.author.as_ref().and_then(person)))
    }
}

/// The changes that a body tells of.
#[derive(Default)]
struct Changes {
    all: Vec<Change>,
    /// Who made them.
    authors: BTreeMap<ChangelogId, String>,
}

impl Changes {
    /// Adds those of one changelog, which one person made.
    fn add(&mut self, (changes, author): (Vec<Change>, Option<String>)) {
        if let (Some(change), Some(name)) = (changes.first(), author) {
            self.authors.insert(change.changelog.clone(), name);
        }
        self.all.extend(changes);
    }
}

impl Changelog {
    /// When the description was last edited.
    fn edited(&self) -> Option<Time> {
        let Some(Shaped::Right(histories)) = &self.histories else {
            return None;
        };
        let edits = histories.iter().filter_map(|history| {
            let Shaped::Right(Object(history)) = history else {
                return None;
            };
            let Some(Shaped::Right(items)) = &history.items else {
                return None;
            };
            let mut names = items.iter().filter_map(|item| match item {
                Shaped::Right(Object(item)) => item.name(),
                Shaped::Wrong(_) => None,
            });
            names.find(|name| name == "description")?;
            wire::time(top("created"), history.created.as_ref()).ok()?
        });
        edits.max()
    }

    /// Whether there are more histories than it shows.
    fn is_cut(&self) -> bool {
        let shown = match &self.histories {
            Some(Shaped::Right(histories)) => histories.len(),
            _ => 0,
        };
        let total = self.total.as_ref().and_then(Value::as_u64);
        total.is_some_and(|total| (shown as u64) < total)
    }
}

impl Item {
    /// What the field that the item is about is called.
    fn name(&self) -> Option<String> {
        let text = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).map(str::to_ascii_lowercase);
        // A custom field may be called "Status", too.
        let custom = text(&self.fieldtype).is_some_and(|kind| kind == "custom");
        text(&self.field_id)
            .filter(|id| !id.is_empty())
            .or_else(|| text(&self.field).filter(|_| !custom))
    }

    /// Which field that is, if it is one whose changes are facts.
    fn field(&self) -> Option<Field> {
        match self.name()?.as_str() {
            "status" => Some(Field::Status),
            "priority" => Some(Field::Priority),
            "resolution" => Some(Field::Resolution),
            "key" | "issuekey" => Some(Field::Key),
            "project" => Some(Field::Project),
            _ => None,
        }
    }
}

/// A field of the body itself.
fn top(name: &str) -> Path<'_> {
    leaf("", name)
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
    let id = scalar(leaf(prefix, "id"), object.get("id"))?;
    let name = scalar(leaf(prefix, "name"), object.get("name"))?;
    Ok(Some(Named { id, name }).filter(Named::is_something))
}

/// The category of a body's status, by key or else by id. Jira's fourth, "No Category", is none.
fn category(status: &Value) -> Option<Category> {
    let category = status.get("statusCategory")?;
    match (
        category.get("key").and_then(Value::as_str),
        category.get("id").and_then(Value::as_u64),
    ) {
        (Some("new"), _) | (None, Some(2)) => Some(Category::New),
        (Some("indeterminate"), _) | (None, Some(4)) => Some(Category::Indeterminate),
        (Some("done"), _) | (None, Some(3)) => Some(Category::Done),
        _ => None,
    }
}

/// What a person is called: Data Center's `name` where no other is shown. Nothing else is taken of a person, and what is
/// none is nobody: no delivery is refused for it.
fn person(value: &Value) -> Option<String> {
    let text = |field| value.get(field).and_then(Value::as_str);
    let mut names = ["displayName", "name"].into_iter().filter_map(text).map(str::trim);
    names.find(|name| !name.is_empty()).map(str::to_owned)
}

fn name(text: &str) -> String {
    beginning(text, NAME_BYTES).to_owned()
}
