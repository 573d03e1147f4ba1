//! Published vectors, reproduced within their own tolerances.
//!
//! `PORTCULLIS_VECTORS=DIR cargo test --test vectors` runs the same checks on another folder, which has a folder `stats`, a
//! folder `statsig` or both.
#![cfg(test)]

mod planned_examples;
mod stats;
mod statsig;
mod worked_examples;

use std::path::PathBuf;

/// Names another folder of vectors than the repository's own.
const FOLDER: &str = "PORTCULLIS_VECTORS";

/// The folder `name` of the vectors; none where another folder was asked for and has only the other one.
fn folder(name: &str) -> Option<PathBuf> {
    let own = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let whole = std::env::var_os(FOLDER).map_or_else(own, PathBuf::from);
    let present = |name: &str| whole.join(name).is_dir();
    assert!(present("stats") || present("statsig"), "{} has neither stats nor statsig", whole.display());
    present(name).then(|| whole.join(name))
}

/// Whether the vectors are the repository's own, which lack nothing.
fn is_own() -> bool {
    std::env::var_os(FOLDER).is_none()
}
