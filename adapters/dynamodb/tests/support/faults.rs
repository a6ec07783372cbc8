//! Faults, and which requests they befall.

use super::wire::{self, Request};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use serde_json::json;
use std::fmt;
use std::time::Duration;

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A time-out, and the request never reached DynamoDB.
    NotSent,
    /// A time-out, and the request was carried out.
    LostAnswer,
    /// A time-out, and the request is carried out this much later.
    Late(Duration),
    /// The connection breaks before the request is sent.
    Broken,
    /// Status 500, and the request was not carried out.
    ServerError,
    /// Status 500, and the request was carried out all the same.
    ServerErrorAfter,
    /// Another transaction has the items.
    Conflict,
    /// A transaction with the same token is under way; what is no transaction meets another.
    InProgress,
    /// `ThrottlingException`.
    Throttled,
    /// `ProvisionedThroughputExceededException`.
    ThroughputExceeded,
    /// A transaction that is cancelled because of throttling.
    CancelledByThrottling,
    /// It takes this much longer, and nothing else.
    Slow(Duration),
}

impl Fault {
    /// Every one: with time-outs that come true, and delays that last a moment.
    pub(crate) const ALL: [Self; 12] = [
        Self::NotSent,
        Self::LostAnswer,
        Self::Late(Duration::from_millis(30)),
        Self::Broken,
        Self::ServerError,
        Self::ServerErrorAfter,
        Self::Conflict,
        Self::InProgress,
        Self::Throttled,
        Self::ThroughputExceeded,
        Self::CancelledByThrottling,
        Self::Slow(Duration::from_millis(30)),
    ];

    /// The answer of a DynamoDB that refuses the request for this reason; `None` when it is not DynamoDB that fails.
    pub(super) fn forged(self, request: &Request) -> Option<HttpResponse> {
        let dynamodb = |kind: &str| format!("com.amazonaws.dynamodb.v20120810#{kind}");
        let transaction = request.operation.starts_with("Transact");
        let refused = |kind: &str, message: &str| wire::refusal(400, &dynamodb(kind), message, json!({}));
        Some(match self {
            Self::ServerError | Self::ServerErrorAfter => {
                wire::refusal(500, &dynamodb("InternalServerError"), "The request failed, as told", json!({}))
            }
            Self::Conflict if transaction => wire::cancelled(&reasons(request, "TransactionConflict")),
            Self::InProgress if request.operation == "TransactWriteItems" => {
                refused("TransactionInProgressException", "Transaction is already in progress with this token")
            }
            Self::Conflict | Self::InProgress => {
                refused("TransactionConflictException", "Transaction is ongoing for the item")
            }
            Self::Throttled => wire::refusal(
                400,
                "com.amazon.coral.availability#ThrottlingException",
                "Rate of requests exceeds the allowed throughput",
                json!({}),
            ),
            Self::ThroughputExceeded => {
                refused("ProvisionedThroughputExceededException", "The level of configured throughput was exceeded")
            }
            Self::CancelledByThrottling if transaction => wire::cancelled(&reasons(request, "ThrottlingError")),
            Self::CancelledByThrottling => refused("RequestLimitExceeded", "Throughput exceeds the current limit"),
            Self::NotSent | Self::LostAnswer | Self::Late(_) | Self::Broken | Self::Slow(_) => return None,
        })
    }
}

/// This reason for the first action of a transaction, and none for the others.
fn reasons<'a>(request: &Request, first: &'a str) -> Vec<&'a str> {
    request.actions().enumerate().map(|(n, _)| if n == 0 { first } else { "None" }).collect()
}

type Condition = Box<dyn Fn(&Request) -> bool + Send + Sync>;

/// Which requests a fault befalls, counted from when the rule is given to the network: at first, the very next.
pub(crate) struct Rule {
    fault: Fault,
    when: Condition,
    skip: usize,
    times: usize,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, skip, times, .. } = self;
        write!(f, "{fault:?}, after {skip}, {times} times")
    }
}

impl Rule {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { fault, when: Box::new(|_| true), skip: 0, times: 1 }
    }

    /// The same, of requests of this operation alone.
    pub(crate) fn on(self, operation: &'static str) -> Self {
        self.when(move |request| request.operation == operation)
    }

    /// The same, of those requests alone for which this holds.
    pub(crate) fn when(self, when: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
        Self { when: Box::new(when), ..self }
    }

    /// The same, beginning with the nth of them, from 1.
    pub(crate) fn nth(self, n: usize) -> Self {
        Self { skip: n.saturating_sub(1), ..self }
    }

    /// The same, of so many in a row.
    pub(crate) fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// The fault, if it befalls this request.
    pub(super) fn befalls(&mut self, request: &Request) -> Option<Fault> {
        if self.times == 0 || !(self.when)(request) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times -= 1;
        Some(self.fault)
    }
}
