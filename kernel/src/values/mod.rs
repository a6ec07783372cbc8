//! What crosses a port: owned, cheap to clone, free of any wire or storage format.

mod append;
mod edition;
mod event;
mod id;
mod json_text;
mod metadata;
mod name;
mod query;
mod read;
mod rows;
mod saga;

pub use append::{
    Append, Appended, Checkpoint, CheckpointState, Expected, Guard, IdempotencyKey, Move, Recalled, Token,
};
pub use edition::Edition;
pub use event::{Format, NewEvent, Position, Recorded, Revision, Timestamp};
pub use id::{EventId, StoreId};
pub(crate) use json_text::write_json_string;
pub use metadata::Metadata;
pub use name::{EventType, InvalidName, MAX_NAME_BYTES, Name, RowKey, StreamId, Tag};
pub use query::{Item, Query};
pub use read::{Direction, Page, Read, Start};
pub use rows::{
    Batch, Beside, By, Cell, Change, Collection, Column, ColumnType, Cursor, Find, Index, KeyedRow, Rowset, Versions,
};
pub(crate) use saga::check_saga_name;
pub use saga::{MAX_SAGA_NAME_BYTES, SAGA_CATEGORY, SagaId, SagaIdError, SagaNameError};
