//! The edges: other programs' calls, converted and passed on.

pub mod grpc;
