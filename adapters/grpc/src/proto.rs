//! The messages and services of the package `portolan.v1`, generated from the files in `proto/`: for a client or a server of
//! one's own beside these.

#![allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    rustdoc::all,
    reason = "generated"
)]

include!("generated/portolan.v1.rs");

/// The files in `proto/` and what they import, as an encoded `google.protobuf.FileDescriptorSet`, comments included.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/portolan.v1.bin");
