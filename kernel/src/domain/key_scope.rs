//! Names made of parts: different parts, different names.

use crate::values::Name;
use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;
use sha2::{Digest, Sha256};

/// The scope of keys of this kind, for these parts: the kind and the parts with `:` between them, as
/// [`command_scope`](crate::drivers::command_scope) says.
/// Different parts have different scopes. A kind is a name, and has no `:` or `#` in it.
///
/// ```
/// # use portolan_kernel::drivers::key_scope;
/// assert_eq!(&*key_scope("import", ["invoices", "2026"]), "import:invoices:2026");
/// ```
///
/// # Panics
///
/// When the kind is longer than a name may be with a hash behind it.
#[must_use]
pub fn key_scope<'a>(kind: &str, parts: impl IntoIterator<Item = &'a str>) -> Name {
    let mut scope = String::with_capacity(128);
    scope.push_str(kind);
    for part in parts {
        scope.push(':');
        if part.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b':' && byte != b'%') {
            scope.push_str(part);
            continue;
        }
        for c in part.chars() {
            if c == ':' || c == '%' || c.is_control() {
                let _ = write!(scope, "%{:02X}", u32::from(c));
            } else {
                scope.push(c);
            }
        }
    }
    // A `#` in this place is in no scope written out.
    Name::new(&*scope).unwrap_or_else(|_| {
        let hash: [u8; 32] = Sha256::digest(&scope).into();
        let hex = hash.iter().fold(format!("{kind}#"), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        Name::new(hex).expect("a short kind and hexadecimal digits are a name")
    })
}
