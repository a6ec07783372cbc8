//! Portolan's runtime on tokio: the system's clock, time-ordered ids, sleep and tasks.
//!
//! ```
//! # fn main() {
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use portolan_kernel::application::Runtime;
//! use portolan_tokio::TokioRuntime as _;
//!
//! let runtime = Runtime::tokio();
//! assert!(runtime.ids.new_id() < runtime.ids.new_id());
//! # }) }
//! ```

extern crate alloc;

mod clock;
mod ids;
mod tasks;

pub use clock::SystemClock;
pub use ids::UuidV7;
pub use tasks::Tasks;

use alloc::sync::Arc;
use portolan_kernel::application::Runtime;

/// Adds [`Runtime::tokio`](TokioRuntime::tokio).
pub trait TokioRuntime {
    /// The runtime of the tokio that this is called in. What is made of it may be used from any thread.
    ///
    /// # Panics
    ///
    /// Outside of tokio, or in one that was built without time.
    #[must_use]
    fn tokio() -> Self;
}

impl TokioRuntime for Runtime {
    fn tokio() -> Self {
        let tasks = Arc::new(Tasks::current());
        Self::new(Arc::new(SystemClock), Arc::new(UuidV7::new()), tasks.clone(), tasks)
    }
}
