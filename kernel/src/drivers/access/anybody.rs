//! No authentication.

use crate::ports::{AuthenticationError, Authenticator, Caller, Credentials};
use alloc::boxed::Box;
use async_trait::async_trait;

/// Lets everybody in and believes what they say of actor and tenant: for a server that only the application's own nodes
/// can reach, and for trying things out.
///
/// It issues no credentials, so that there are none to be refused: whatever is shown counts for nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anybody;

#[async_trait]
impl Authenticator for Anybody {
    async fn authenticate(&self, _: &Credentials) -> Result<Caller, AuthenticationError> {
        Ok(Caller::nobody().speaking_for_others())
    }
}
