//! How events become rows, whichever form the projection has.

use super::env::Model;

/// A projection that is registered, behind one type.
pub(super) trait Engine: Send + Sync {
    /// What is registered of it.
    fn model(&self) -> &Model;
}
