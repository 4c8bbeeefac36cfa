//! The names that errors have outside: `errorType` in a function's answer, `ErrorEquals` in the state machine.

/// An error that has such a name.
pub trait ErrorName {
    fn name(&self) -> Name;
}

/// Every name there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// DynamoDB is busy, slow or away.
    TableUnavailable,
    /// Others were quicker every time.
    TicketContended,
    /// There is a later policy than this function has: a deployment is under way.
    PolicyOutdated,
    /// Step Functions did not start the timer of a due moment.
    TimerNotStarted,
    /// The stored ticket shows that the event cannot be.
    TicketRejected,
    /// DynamoDB refuses the request itself: no such table, no such right.
    TableRefused,
    /// An item is not as any version of this program wrote it.
    ItemUnreadable,
    /// The execution that this step belongs to has ended or been redriven meanwhile.
    ExecutionClosed,
    /// Step Functions or Secrets Manager failed.
    ServiceFailed,
    /// JIRA did not answer for half a day.
    JiraUnavailable,
    /// JIRA does not take our token, or our question.
    JiraRefused,
}

/// What the state machine does with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// A Retrier names it.
    Retried,
    /// A Catcher names it: the execution ends well, with the ticket refused.
    Caught,
    /// Nothing names it: the execution fails at its step, to be mended and redriven.
    Left,
}

impl Name {
    pub const ALL: [Self; 11] = [
        Self::TableUnavailable,
        Self::TicketContended,
        Self::PolicyOutdated,
        Self::TimerNotStarted,
        Self::TicketRejected,
        Self::TableRefused,
        Self::ItemUnreadable,
        Self::ExecutionClosed,
        Self::ServiceFailed,
        Self::JiraUnavailable,
        Self::JiraRefused,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::TableUnavailable => "TableUnavailable",
            Self::TicketContended => "TicketContended",
            Self::PolicyOutdated => "PolicyOutdated",
            Self::TimerNotStarted => "TimerNotStarted",
            Self::TicketRejected => "TicketRejected",
            Self::TableRefused => "TableRefused",
            Self::ItemUnreadable => "ItemUnreadable",
            Self::ExecutionClosed => "ExecutionClosed",
            Self::ServiceFailed => "ServiceFailed",
            Self::JiraUnavailable => "JiraUnavailable",
            Self::JiraRefused => "JiraRefused",
        }
    }

    pub fn handling(self) -> Handling {
        match self {
            Self::TableUnavailable | Self::TicketContended | Self::PolicyOutdated | Self::TimerNotStarted => {
                Handling::Retried
            }
            Self::TicketRejected => Handling::Caught,
            Self::TableRefused
            | Self::ItemUnreadable
            | Self::ExecutionClosed
            | Self::ServiceFailed
            | Self::JiraUnavailable
            | Self::JiraRefused => Handling::Left,
        }
    }
}

#[cfg(test)]
mod tests;
