//! scratch
use portcullis::domain::{time::Timestamp, user::User};
use portcullis::engine::{
    bucketing,
    evaluate::{Entity, evaluate},
};
use portcullis_benches::*;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;
fn t(name: &str, mut f: impl FnMut()) {
    let mut best = f64::MAX;
    for _ in 0..200 {
        let s = Instant::now();
        for _ in 0..5000 {
            f()
        }
        best = best.min(s.elapsed().as_secs_f64() / 5000.0 * 1e9);
    }
    println!("{name}: {best:.1} ns");
}
fn main() {
    let snap = snapshot();
    let g = key(4321);
    let de = User { user_id: "user-1234567".into(), country: "DE".into(), ..User::default() };
    let us = User { user_id: "user-1234567".into(), country: "US".into(), ..User::default() };
    let bytes = "salt-4321.rule-salt-4321.user-1234567";
    let keys: HashMap<String, usize> = (0..GATES).map(|i| (key(i), i)).collect();
    t("digest", || {
        black_box(Sha256::digest(black_box(bytes.as_bytes())));
    });
    t("part", || {
        black_box(bucketing::part(
            black_box("salt-4321"),
            black_box("rule-salt-4321"),
            black_box("user-1234567"),
        ));
    });
    t("lookup", || {
        black_box(keys.get(black_box(g.as_str())));
    });
    t("unknown", || {
        black_box(evaluate(&snap, Entity::Gate, black_box("gate_number_x"), black_box(&de), Timestamp(1)));
    });
    t("nomatch", || {
        black_box(evaluate(&snap, Entity::Gate, black_box(&g), black_box(&us), Timestamp(1)));
    });
    t("match", || {
        black_box(evaluate(&snap, Entity::Gate, black_box(&g), black_box(&de), Timestamp(1)));
    });
}
