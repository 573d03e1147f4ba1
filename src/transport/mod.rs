//! The edges: what speaks to the outside.

pub mod grpc;
pub mod http;
