//! The server as hostile and as ordinary clients meet it, over raw sockets; and the client against it.

#[path = "../support/mod.rs"]
#[cfg(test)]
mod support;

#[cfg(test)]
mod access;
#[cfg(test)]
mod access_by_client;
#[cfg(test)]
mod client;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod correlation;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod live;
#[cfg(test)]
mod malformed;
#[cfg(test)]
mod mounted;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod projections;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod sagas;
#[cfg(test)]
mod sagas_by_client;
#[cfg(test)]
mod schemas;
#[cfg(test)]
mod streams;
