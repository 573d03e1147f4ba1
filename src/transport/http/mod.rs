//! HTTP: dialects of other systems' SDKs.

pub mod statsig;
