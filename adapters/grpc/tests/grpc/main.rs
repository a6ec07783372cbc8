//! Client and server over a real connection.

#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;

#[cfg(test)]
mod access;
#[cfg(test)]
mod admission;
#[cfg(test)]
mod client;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod cut;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod malformed;
#[cfg(test)]
mod projections;
#[cfg(test)]
mod reflection;
#[cfg(test)]
mod sagas;
#[cfg(test)]
mod subscribe;
#[cfg(test)]
#[cfg(feature = "tls")]
mod tls;
