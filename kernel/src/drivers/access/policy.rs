//! What a policy judges.

use crate::ports::{ActOnSaga, Caller, CommandEnvelope, ProjectionAction, QueryEnvelope, StartSaga};
use crate::values::{Append, Name, Query, StreamId};
use alloc::string::String;

/// What a caller wants to do.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Access<'a> {
    /// To have this command carried out.
    Command(&'a CommandEnvelope),
    /// To ask this question.
    Query(&'a QueryEnvelope),
    /// To read this stream.
    Stream(&'a StreamId),
    /// To read these events of the log, now or as they come.
    Log(&'a Query),
    /// To write events past the domain.
    Append(&'a Append),
    /// To see what stores keep beside events: what became of an append, where a checkpoint stands.
    Records,
    /// To see the rows of this projection and how it stands.
    Projection(&'a Name),
    /// To act on this projection, and to see the events it has parked.
    Operate(&'a Name, Option<&'a ProjectionAction>),
    /// To start this saga.
    StartSaga(&'a StartSaga),
    /// To see the sagas of this definition: how they stand, and their facts, inputs and outcomes included.
    Sagas(&'a Name),
    /// To act on this saga.
    OperateSaga(&'a ActOnSaga),
}

/// Says what a caller may do at the ports.
///
/// A function is a policy too: `Fn(&Caller, &Access) -> Result<(), String>`, whose text says why not.
///
/// It sees what is asked for, not what is there. Policies that have to look into the application are
/// [`Policy`](crate::drivers::Policy) of the command bus, and decisions of the domain.
///
/// Open to every caller is what a bus describes (names and schemas of commands, queries and sagas), the registry of
/// schemas, what a store can do, and whether there is a projection of a name; and whoever may send a command may wait for
/// a projection with it. What is in the way of a process's events is for those who may see its sagas.
pub trait AccessPolicy: Send + Sync {
    /// Lets the caller do it, or says why not.
    ///
    /// # Errors
    ///
    /// A sentence for the caller.
    fn judge(&self, caller: &Caller, access: &Access<'_>) -> Result<(), String>;
}

impl<F: Fn(&Caller, &Access<'_>) -> Result<(), String> + Send + Sync> AccessPolicy for F {
    fn judge(&self, caller: &Caller, access: &Access<'_>) -> Result<(), String> {
        self(caller, access)
    }
}

/// Lets everybody do everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unrestricted;

impl AccessPolicy for Unrestricted {
    fn judge(&self, _: &Caller, _: &Access<'_>) -> Result<(), String> {
        Ok(())
    }
}
