//! Questions for typed rows, put together and then awaited.

use super::decoding::{Keyed, ReadRowsError, RowPage, decode};
use super::index_values::{IndexValue, IndexValues};
use crate::domain::ReadModel;
use crate::ports::{ProjectionError, ProjectionRegistry, RowsQuestion, WhichRows};
use crate::values::{By, Cursor, Direction, InvalidName, Name, Position, RowKey};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Bound, RangeBounds};
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt, try_unfold};

/// What a caller's texts and values are found to be when the question is asked.
type Checked<T> = Result<T, ReadRowsError>;

fn no_name(error: InvalidName) -> ReadRowsError {
    ReadRowsError::Projection(ProjectionError::Invalid(error.to_string()))
}

pub(super) fn by_keys(keys: impl IntoIterator<Item: AsRef<str>>) -> Checked<WhichRows> {
    keys.into_iter()
        .map(|key| key.as_ref().parse::<RowKey>().map_err(no_name))
        .collect::<Result<_, _>>()
        .map(WhichRows::Keys)
}

pub(super) fn by_index(index: &str, equals: &impl IndexValues) -> Checked<WhichRows> {
    let range = (Bound::Unbounded, Bound::Unbounded);
    Ok(page(By::Index { name: Name::new(index).map_err(no_name)?, equals: equals.cells()?, range }))
}

pub(super) fn page(by: By) -> WhichRows {
    WhichRows::Page { by, direction: Direction::Forward, limit: 100, after: None }
}

/// The range with each of its ends as something else.
fn range_of<T, U>(range: impl RangeBounds<T>, change: impl Fn(&T) -> Checked<U>) -> Checked<(Bound<U>, Bound<U>)> {
    let bound = |bound: Bound<&T>| {
        Ok::<_, ReadRowsError>(match bound {
            Bound::Included(end) => Bound::Included(change(end)?),
            Bound::Excluded(end) => Bound::Excluded(change(end)?),
            Bound::Unbounded => Bound::Unbounded,
        })
    };
    Ok((bound(range.start_bound())?, bound(range.end_bound())?))
}

macro_rules! questions {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[must_use = "a question is asked when this is awaited"]
        pub struct $name<'a, P, R: ?Sized> {
            registry: &'a R,
            rows: Checked<WhichRows>,
            at_least: Option<Position>,
            model: PhantomData<fn() -> P>,
        }

        impl<P: ReadModel, R: ?Sized> fmt::Debug for $name<'_, P, R> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("projection", &P::NAME)
                    .field("rows", &self.rows)
                    .field("at_least", &self.at_least)
                    .finish_non_exhaustive()
            }
        }

        impl<'a, P: ReadModel, R: ?Sized> $name<'a, P, R> {
            pub(super) fn of(registry: &'a R, rows: Checked<WhichRows>) -> Self {
                Self { registry, rows, at_least: None, model: PhantomData }
            }

            /// With every event up to here in them, such as that of a receipt. It may take for ever: whoever waits sets
            /// the limit, by dropping the future.
            pub fn at_least(self, position: impl Into<Option<Position>>) -> Self {
                Self { at_least: position.into(), ..self }
            }

            fn question(self) -> Checked<RowsQuestion> {
                let projection = Name::new(P::NAME).map_err(no_name)?;
                let question = RowsQuestion::keys(projection, Vec::new()).prefer(P::VERSION);
                Ok(RowsQuestion { rows: self.rows?, ..question.at_least(self.at_least) })
            }
        }
    )*};
}

questions! {
    /// The row of a key, about to be asked for: await it.
    GetRow;
    /// The rows of some keys, about to be asked for: await it.
    GetRows;
    /// Rows by key: await it for a page, or read on through [`all`](Self::all).
    ListRows;
    /// Rows by an index: await it for a page, or read on through [`all`](Self::all).
    FindRows;
}

impl<'a, P: ReadModel, R: ProjectionRegistry + ?Sized> IntoFuture for GetRow<'a, P, R> {
    type Output = Result<Option<P::Row>, ReadRowsError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (registry, question) = (self.registry, self.question()?);
            let page = decode::<P>(registry.rows(question).await?)?;
            Ok(page.rows.into_iter().next().map(|keyed| keyed.row))
        })
    }
}

impl<'a, P: ReadModel, R: ProjectionRegistry + ?Sized> IntoFuture for GetRows<'a, P, R> {
    type Output = Result<Vec<Keyed<P::Row>>, ReadRowsError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (registry, question) = (self.registry, self.question()?);
            Ok(decode::<P>(registry.rows(question).await?)?.rows)
        })
    }
}

macro_rules! pages {
    ($($name:ident),*) => {$(
        impl<'a, P: ReadModel, R: ProjectionRegistry + ?Sized> $name<'a, P, R> {
            /// From the far end of the order.
            pub fn backward(mut self) -> Self {
                if let Ok(WhichRows::Page { direction, .. }) = &mut self.rows {
                    *direction = Direction::Backward;
                }
                self
            }

            /// At most this many rows a page; 100 if nothing is said. A page may hold fewer: whether there is more, its
            /// `next` tells alone.
            pub fn limit(mut self, most: u32) -> Self {
                if let Ok(WhichRows::Page { limit, .. }) = &mut self.rows {
                    *limit = most;
                }
                self
            }

            /// The page after the one that this was the [`next`](RowPage::next) of. It is of the same edition.
            pub fn after(mut self, cursor: impl Into<Option<Cursor>>) -> Self {
                if let Ok(WhichRows::Page { after, .. }) = &mut self.rows {
                    *after = cursor.into();
                }
                self
            }

            /// All rows, page after page; the limit bounds a page, not the whole. It ends after the first error.
            pub fn all(self) -> BoxStream<'a, Result<Keyed<P::Row>, ReadRowsError>> {
                let registry = self.registry;
                all::<P, R>(registry, self.question())
            }

            fn change_by(mut self, change: impl FnOnce(&mut By) -> Checked<()>) -> Self {
                if let Ok(WhichRows::Page { by, .. }) = &mut self.rows
                    && let Err(error) = change(by)
                {
                    self.rows = Err(error);
                }
                self
            }
        }

        impl<'a, P: ReadModel, R: ProjectionRegistry + ?Sized> IntoFuture for $name<'a, P, R> {
            type Output = Result<RowPage<P::Row>, ReadRowsError>;
            type IntoFuture = BoxFuture<'a, Self::Output>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(async move {
                    let (registry, question) = (self.registry, self.question()?);
                    decode::<P>(registry.rows(question).await?)
                })
            }
        }
    )*};
}
pages!(ListRows, FindRows);

impl<P: ReadModel, R: ProjectionRegistry + ?Sized> ListRows<'_, P, R> {
    /// Those with a key in this range, such as `"a".."f"`, in place of what was said before.
    pub fn range<K: AsRef<str>>(self, keys: impl RangeBounds<K>) -> Self {
        self.change_by(|by| {
            let (from, to) = range_of(keys, |key| key.as_ref().parse::<RowKey>().map_err(no_name))?;
            *by = By::Key(from, to);
            Ok(())
        })
    }

    /// Those whose key begins with this, in place of what was said before.
    pub fn prefix(self, prefix: &str) -> Self {
        self.change_by(|by| {
            *by = By::prefix(RowKey::new(prefix).map_err(no_name)?);
            Ok(())
        })
    }
}

impl<P: ReadModel, R: ProjectionRegistry + ?Sized> FindRows<'_, P, R> {
    /// Those with a value in this range in the index's column after those whose values are given, such as `100..`.
    pub fn range<V: IndexValue>(self, values: impl RangeBounds<V>) -> Self {
        self.change_by(|by| {
            if let By::Index { range, .. } = by {
                *range = range_of(values, |value| Ok(value.cell()?))?;
            }
            Ok(())
        })
    }
}

fn all<'a, P: ReadModel, R: ProjectionRegistry + ?Sized>(
    registry: &'a R,
    question: Checked<RowsQuestion>,
) -> BoxStream<'a, Result<Keyed<P::Row>, ReadRowsError>> {
    let start = (Vec::new().into_iter(), Some(question));
    try_unfold(start, async move |(mut rows, mut question)| {
        loop {
            if let Some(row) = rows.next() {
                return Ok(Some((row, (rows, question))));
            }
            let Some(asked) = question.transpose()? else { return Ok(None) };
            let page = decode::<P>(registry.rows(asked.clone()).await?)?;
            question = page.next.map(|next| Ok(asked.after(Some(next))));
            rows = page.rows.into_iter();
        }
    })
    .boxed()
}
