//! Failures that tests inject into the writer; nothing in a build that is not a test's.

#[cfg(not(test))]
use super::Result;

/// What is to go wrong, and when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    #[cfg(test)]
    plan: std::sync::Arc<std::sync::Mutex<Plan>>,
}

#[cfg(not(test))]
impl Faults {
    pub(super) fn before_commit(&self) -> Result<()> {
        Ok(())
    }

    pub(super) fn has_crashed(&self) -> bool {
        false
    }
}

#[cfg(test)]
pub(crate) use for_tests::Plan;

#[cfg(test)]
mod for_tests {
    use std::sync::PoisonError;

    use super::Faults;
    use crate::history::Result;

    /// Counts commits from 1.
    #[derive(Debug, Default)]
    pub(crate) struct Plan {
        pub(crate) commits: u64,
        /// These commits fail, as on a full disk.
        pub(crate) fail: std::collections::BTreeSet<u64>,
        /// After this commit the writer is gone and answers nobody, as after SIGKILL.
        pub(crate) crash_after: Option<u64>,
    }

    impl Faults {
        pub(crate) fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
            self.plan.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn crash_after(commit: u64) -> Self {
            let faults = Self::default();
            faults.plan().crash_after = Some(commit);
            faults
        }

        pub(in crate::history) fn before_commit(&self) -> Result<()> {
            let mut plan = self.plan();
            plan.commits += 1;
            if plan.fail.contains(&plan.commits) {
                let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
                return Err(rusqlite::Error::SqliteFailure(full, None).into());
            }
            Ok(())
        }

        pub(crate) fn has_crashed(&self) -> bool {
            let plan = self.plan();
            plan.crash_after.is_some_and(|last| last <= plan.commits)
        }
    }
}
