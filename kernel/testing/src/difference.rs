//! What is other than expected, line by line, for a person.

use core::fmt::{Debug, Display, Write as _};
use similar::{ChangeTag, TextDiff};

/// Both values as Rust shows them, with `-` before what was expected and `+` before what there is. Plain text, because
/// a failure is read in files too; so `similar`, and not `pretty_assertions`, which colours.
pub(crate) fn difference<E: Debug + ?Sized, A: Debug + ?Sized>(expected: &E, actual: &A) -> String {
    let (expected, actual) = (format!("{expected:#?}\n"), format!("{actual:#?}\n"));
    let mut text = String::new();
    for change in TextDiff::from_lines(&expected, &actual).iter_all_changes() {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        };
        let _ = write!(text, "{sign} {change}");
    }
    text
}

/// The value, or a panic at the line of the caller: what is wrong, and the error. `unwrap_or_else` would panic at its closure's.
#[track_caller]
pub(crate) fn right<T, E: Display>(result: Result<T, E>, wrong: impl Display) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{wrong}: {error}"),
    }
}
