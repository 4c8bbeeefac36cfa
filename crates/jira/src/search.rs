//! Searching: pages of issues with their whole histories.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use ticket::Time;

use crate::client::{Deployment, Jira};
use crate::error::Error;
use crate::issue::Issue;

/// What is asked of an issue: what facts and texts are made of, and nothing else.
pub(crate) const FIELDS: [&str; 10] = [
    "created",
    "description",
    "priority",
    "project",
    "resolution",
    "resolutiondate",
    "status",
    "statuscategorychangedate",
    "summary",
    "updated",
];
/// The order of every search: one that no edit changes, and that many issues imported at one moment do not blur.
const ORDER: &str = "ORDER BY created ASC, key ASC";
/// How many issues of the page before a Data Center shows again, so that a gap between two pages is seen.
const OVERLAP: u64 = 5;

const BY_TOKEN: &str = "/rest/api/3/search/jql";
const BY_OFFSET: &str = "/rest/api/2/search";

/// Where a search goes on. It may be kept: JIRA honours it for days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cursor {
    /// Of Cloud.
    Token(Token),
    /// Of Data Center.
    Behind(Place),
}

/// What Cloud gave with the page before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    text: String,
    pages: u64,
    /// An earlier one: should it come again, there is no end to it. Moved on after every doubling of the pages, so that
    /// a circle of any size is found by remembering one place (after Brent).
    mark: String,
}

/// Behind so many issues, of which this was the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    at: u64,
    last: String,
    created: Time,
}

/// A page of issues.
#[derive(Clone, Debug)]
pub struct Page {
    pub issues: Vec<Issue>,
    pub next: Option<Cursor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenPage {
    issues: Vec<Map<String, Value>>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct OffsetPage {
    issues: Vec<Map<String, Value>>,
    total: u64,
}

#[derive(Deserialize)]
struct Count {
    count: u64,
}

/// The JQL clause for what was changed since a moment.
///
/// In milliseconds: a date in JQL is one in the time zone that the user has chosen in their profile, and one that counts
/// back from now moves on while pages are read, past what was changed first.
pub fn since(moment: Time) -> String {
    format!("updated >= {}", moment.millis())
}

/// The JQL of what `jql` finds, if it says anything, and `clauses` all hold for, in an order that never changes.
///
/// Pages are read one by one: ordered by what changes meanwhile, an issue could slip from one page to the one before.
pub fn query(jql: &str, clauses: &[String]) -> String {
    let own = jql[..order(jql).unwrap_or(jql.len())].trim();
    let own = (!own.is_empty()).then(|| format!("({own})"));
    let all: Vec<String> = own.into_iter().chain(clauses.iter().cloned()).collect();
    format!("{} {ORDER}", all.join(" AND ")).trim_start().to_owned()
}

/// Where the order begins that a JQL asks for: at words of its own, not within a quoted text.
fn order(jql: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    let mut before = ' ';
    for (index, character) in jql.char_indices() {
        let is_start = before.is_whitespace() || before == ')' || before == '"' || before == '\'';
        match (quote, character) {
            _ if escaped => escaped = false,
            (_, '\\') => escaped = true,
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, 'o' | 'O') if is_start && is_order(&jql[index..]) => return Some(index),
            (None, _) => {}
        }
        before = character;
    }
    None
}

fn is_order(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let mut is_next = |word: &str| words.next().is_some_and(|next| next.eq_ignore_ascii_case(word));
    is_next("order") && is_next("by")
}

impl Token {
    /// The one after `before`, of the search by `path`.
    fn after(before: Option<&Self>, text: String, path: &str) -> Result<Self, Error> {
        let pages = before.map_or(0, |before| before.pages) + 1;
        if before.is_some_and(|before| before.mark == text) {
            return Err(Error::Circle {
                path: path.to_owned(),
                pages,
            });
        }
        let mark = match before {
            Some(before) if !pages.is_power_of_two() => before.mark.clone(),
            _ => text.clone(),
        };
        Ok(Self { text, pages, mark })
    }
}

fn id(issue: &Map<String, Value>) -> Option<&str> {
    issue.get("id").and_then(Value::as_str)
}

fn created(issue: &Map<String, Value>) -> Option<Time> {
    issue.get("fields")?.get("created")?.as_str()?.parse().ok()
}

impl Jira {
    /// A page of the issues that `jql` finds, each with its whole history.
    ///
    /// Let [`query`] make the `jql`, once for all pages, so that these do not shift while they are read.
    pub async fn search(&self, jql: &str, most: u32, from: Option<&Cursor>) -> Result<Page, Error> {
        match (self.deployment(), from) {
            (Deployment::Cloud, Some(Cursor::Token(token))) => self.search_by_token(jql, most, Some(token)).await,
            (Deployment::Cloud, _) => self.search_by_token(jql, most, None).await,
            (Deployment::DataCenter, Some(Cursor::Behind(place))) => {
                self.search_by_offset(jql, most, Some(place)).await
            }
            (Deployment::DataCenter, _) => self.search_by_offset(jql, most, None).await,
        }
    }

    async fn search_by_token(&self, jql: &str, most: u32, from: Option<&Token>) -> Result<Page, Error> {
        let mut body = json!({ "jql": jql, "maxResults": most, "fields": FIELDS });
        if let Some(token) = from {
            body["nextPageToken"] = token.text.clone().into();
        }
        let page: TokenPage = self.post(BY_TOKEN, &body).await?;
        let next = page.next_page_token;
        let next = next.map(|text| Token::after(from, text, BY_TOKEN)).transpose()?;
        Ok(Page {
            issues: self.with_histories(page.issues).await?,
            next: next.map(Cursor::Token),
        })
    }

    /// Pages by number: an issue that leaves what is found moves all that come after it up by one, past the place. So a
    /// page begins a little before its place, and further back until it shows what was seen already.
    async fn search_by_offset(&self, jql: &str, most: u32, from: Option<&Place>) -> Result<Page, Error> {
        let mut back = OVERLAP;
        loop {
            let start = from.map_or(0, |place| place.at.saturating_sub(back));
            let wanted = u64::from(most) + from.map_or(0, |place| place.at - start);
            let page = self.offset_page(jql, start, wanted).await?;
            let end = start + page.issues.len() as u64;
            let mut issues = page.issues;
            let next = issues.last().and_then(|last| {
                Some(Place {
                    at: end,
                    last: id(last)?.to_owned(),
                    created: created(last)?,
                })
            });
            if let Some(place) = from {
                let is_seen = |issue: &Map<String, Value>| created(issue).is_some_and(|at| at <= place.created);
                if 0 < back && 0 < start && !issues.first().is_some_and(is_seen) {
                    back = back.saturating_mul(OVERLAP);
                    continue;
                }
                let last = issues.iter().rposition(|issue| id(issue) == Some(&place.last));
                let is_before = |issue: &&Map<String, Value>| created(issue).is_some_and(|at| at < place.created);
                let seen = last.map_or_else(|| issues.iter().take_while(is_before).count(), |last| last + 1);
                issues.drain(..seen);
                if issues.is_empty() && end < page.total && 0 < back {
                    // It gives pages so small that a step back takes all of one.
                    back = 0;
                    continue;
                }
            }
            return Ok(Page {
                next: next.filter(|_| end < page.total).map(Cursor::Behind),
                issues: self.with_histories(issues).await?,
            });
        }
    }

    /// Issues with their histories may be longer than what is read at once: then they are asked for in smaller parts.
    async fn offset_page(&self, jql: &str, start: u64, wanted: u64) -> Result<OffsetPage, Error> {
        let mut wanted = wanted;
        loop {
            let body = json!({ "jql": jql, "startAt": start, "maxResults": wanted, "fields": FIELDS,
                               "expand": ["changelog"] });
            match self.post(BY_OFFSET, &body).await {
                Err(Error::TooLarge { .. }) if 1 < wanted => wanted /= 2,
                answer => return answer,
            }
        }
    }

    /// How many issues `jql` finds; on Cloud about so many.
    pub async fn count(&self, jql: &str) -> Result<u64, Error> {
        match self.deployment() {
            Deployment::Cloud => {
                let path = "/rest/api/3/search/approximate-count";
                let count: Count = self.post(path, &json!({ "jql": jql })).await?;
                Ok(count.count)
            }
            Deployment::DataCenter => {
                let body = json!({ "jql": jql, "maxResults": 0 });
                let page: OffsetPage = self.post(BY_OFFSET, &body).await?;
                Ok(page.total)
            }
        }
    }
}

#[cfg(test)]
mod tests;
