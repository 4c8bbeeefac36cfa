//! Lists of the API, page after page.

use std::num::NonZeroUsize;

use anyhow::Context;
use serde_json::Value;

use crate::Target;
use crate::client::Client;
use crate::output::note;

/// The most that the API gives at once.
const PAGE: usize = 200;

/// How much of a list is shown.
#[derive(clap::Args)]
pub(crate) struct Length {
    /// How many at most.
    #[arg(long, value_name = "NUMBER", default_value = "50", conflicts_with = "all")]
    limit: NonZeroUsize,
    /// All there are.
    #[arg(long)]
    all: bool,
}

/// What of a list was shown.
pub(crate) struct Shown {
    count: usize,
    is_all: bool,
}

impl Shown {
    /// Says to a person that there is more, or with `none` that there is nothing.
    pub(crate) fn note(&self, target: &Target, none: impl FnOnce() -> String) {
        match (target.json, self.is_all, self.count) {
            (true, ..) => {}
            (false, true, 0) => note!("{}", none()),
            (false, true, _) => {}
            (false, false, _) => note!("There are more: --limit or --all shows them."),
        }
    }
}

impl Length {
    pub(crate) const ALL: Self = Self {
        limit: NonZeroUsize::MAX,
        all: true,
    };

    /// Gives so many of the list at `path`, which may have a query, to `each`, in their order; `items` is the answer's
    /// field that holds them.
    pub(crate) async fn walk(
        &self,
        client: &Client,
        path: &str,
        items: &str,
        mut each: impl FnMut(&Value),
    ) -> anyhow::Result<Shown> {
        let wanted = if self.all { usize::MAX } else { self.limit.get() };
        let separator = if path.contains('?') { '&' } else { '?' };
        let (mut count, mut cursor) = (0, String::new());
        while count < wanted {
            let limit = PAGE.min(wanted - count);
            let page = client.get(&format!("{path}{separator}limit={limit}{cursor}")).await?;
            let listed = page[items]
                .as_array()
                .with_context(|| format!("the answer has no list of {items}"))?;
            listed.iter().for_each(&mut each);
            count += listed.len();
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(Shown { count, is_all: true }),
            }
        }
        Ok(Shown { count, is_all: false })
    }
}
