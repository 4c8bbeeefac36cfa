//! A site's items: the map of its statuses' categories.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::types::AttributeValue;
use ticket::categories::Teacher;
use ticket::{Categories, Fact, SiteId};

use super::attribute::string;
use super::request::{Change, Outcome, PARTITION, Reading, SORT, Write, attribute, key};
use super::{Error, Item, Table, failed};

const CATEGORIES: &str = "CATEGORIES";
/// The partition that lists the sites.
const SITES: &str = "SITES";

/// A map is written over the one that was read, and over no other.
pub(super) const MAP_GUARD: &str = "#revision = :read";
const NO_MAP_GUARD: &str = "attribute_not_exists(#pk)";
/// How often a map is read and taught again after another writer was quicker, before the table counts as busy. Maps
/// change rarely, but a site's first deliveries all teach.
const TRIES: u32 = 10;

/// Sites whose map a function keeps at hand: more than anyone has.
const MAX_CACHED: usize = 100;

fn partition(site: &SiteId) -> String {
    format!("SITE#{site}")
}

/// Where a site's map is.
pub(super) fn map_key(site: &SiteId) -> Item {
    key(partition(site), CATEGORIES.to_owned())
}

/// A map as it was read, with the revision that a writer must still find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map {
    pub categories: Categories,
    revision: u64,
}

impl Map {
    pub(super) fn read(item: &Item) -> Result<Self, Error> {
        let reading = Reading(item);
        Ok(Self {
            categories: reading.required("categories")?,
            revision: reading.required("revision")?,
        })
    }

    /// Writes `after` over this map; the first map of a site also puts the site on the list.
    pub(super) fn writes(&self, site: &SiteId, after: &Categories) -> Vec<Write> {
        let mut change = Change::new(partition(site), CATEGORIES.to_owned());
        change
            .set("categories", attribute(after))
            .set("revision", AttributeValue::N((self.revision + 1).to_string()));
        if self.revision == 0 {
            change.condition(NO_MAP_GUARD, []);
            let listed = key(SITES.to_owned(), site.to_string());
            return vec![Write::Change(change), Write::Put(listed)];
        }
        change.condition(MAP_GUARD, [("read", AttributeValue::N(self.revision.to_string()))]);
        vec![Write::Change(change)]
    }
}

impl Table {
    /// What is known of the categories of a site's statuses.
    pub async fn map(&self, site: &SiteId) -> Result<Map, Error> {
        let item = self
            .get("read a site's categories", partition(site), CATEGORIES.to_owned())
            .await?;
        item.as_ref().map_or(Ok(Map::default()), Map::read)
    }

    /// Adds to a site's map what `facts` say of categories, and gives the map as it then is.
    ///
    /// `map` is what was read of it before; where that teaches nothing, nothing is asked of the table.
    pub async fn teach(
        &self,
        site: &SiteId,
        mut map: Map,
        facts: &[Fact],
        teacher: Teacher,
    ) -> Result<Categories, Error> {
        let doing = "write a site's categories";
        for _ in 0..TRIES {
            let after = match map.categories.taught(facts, teacher) {
                Some(after) => after,
                // A site whose bodies show no category is listed, too: its tickets wait for one.
                None if map.revision == 0 => map.categories.clone(),
                None => return Ok(map.categories),
            };
            if self.transact(doing, map.writes(site, &after)).await? == Outcome::Written {
                tracing::info!(%site, version = after.version, statuses = after.len(), "the site's categories");
                return Ok(after);
            }
            map = self.map(site).await?;
        }
        let source = format!("{TRIES} times another writer was quicker").into();
        Err(Error::Unavailable { doing, source })
    }

    /// The sites that any ticket is of.
    pub async fn sites(&self) -> Result<Vec<SiteId>, Error> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", PARTITION)
            .expression_attribute_values(":pk", string(SITES))
            .into_paginator()
            .send();
        let mut sites = Vec::new();
        while let Some(page) = pages.next().await {
            for item in page.map_err(failed("list the sites"))?.items() {
                sites.push(Reading(item).required(SORT)?);
            }
        }
        Ok(sites)
    }
}

/// Maps that were read before: a delivery normally asks for none.
#[derive(Debug)]
pub struct Maps {
    table: Table,
    known: Mutex<BTreeMap<SiteId, Arc<Categories>>>,
}

impl Maps {
    pub fn new(table: Table) -> Self {
        Self {
            table,
            known: Mutex::default(),
        }
    }

    /// The site's map, of this version or a later one; without a version, as it is now.
    pub async fn at_least(&self, site: &SiteId, version: Option<u64>) -> Result<Arc<Categories>, Error> {
        let known = self.known().get(site).cloned();
        if let Some(map) = known.filter(|map| version.is_some_and(|version| version <= map.version)) {
            return Ok(map);
        }
        let map = Arc::new(self.table.map(site).await?.categories);
        let mut known = self.known();
        if MAX_CACHED <= known.len() {
            known.clear();
        }
        known.insert(site.clone(), map.clone());
        Ok(map)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<SiteId, Arc<Categories>>> {
        // A map is replaced as a whole: there is nothing that a panic could leave half done.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
