//! Values of any one size, and how many of the cases that are drawn of them can be judged.

use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// What the units of one arm look like beside those of another.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Spread,
    Zeros,
    Constant,
    OneOutlier,
    FarFromZero,
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        6 => Just(Shape::Spread),
        1 => Just(Shape::Zeros),
        1 => Just(Shape::Constant),
        2 => Just(Shape::OneOutlier),
    ]
}

/// The values of two arms of `units` each. Both are of one size, so that their squares are numbers, whatever the size is.
pub(crate) fn two_arms(units: std::ops::Range<usize>) -> impl Strategy<Value = [Vec<f64>; 2]> {
    let arm = move || vec(-1.0_f64..1.0, units.clone());
    let shapes = prop_oneof![
        8 => [shape(), shape()],
        2 => Just([Shape::FarFromZero, Shape::FarFromZero]),
    ];
    (-150_i32..150, shapes, [arm(), arm()]).prop_map(|(exponent, shapes, arms)| {
        let of_arm = |shape: Shape, draws: &[f64]| shaped(shape, 10_f64.powi(exponent), draws);
        [of_arm(shapes[0], &arms[0]), of_arm(shapes[1], &arms[1])]
    })
}

fn shaped(shape: Shape, size: f64, draws: &[f64]) -> Vec<f64> {
    let first = draws[0];
    let value = |(place, draw): (usize, &f64)| match shape {
        Shape::Spread => size * draw,
        Shape::Zeros => 0.0,
        Shape::Constant => size * first,
        Shape::OneOutlier => size * if place == 0 { 1e6 } else { *draw },
        Shape::FarFromZero => 1e12 + 1e3 * draw,
    };
    draws.iter().enumerate().map(value).collect()
}

/// Holds a law against cases drawn from `strategy`, and that at least `share` of them were such that it had something to
/// hold for: the law says so of each.
pub(crate) fn mostly<S: Strategy>(
    cases: u32,
    share: f64,
    strategy: &S,
    law: impl Fn(S::Value) -> Result<bool, TestCaseError>,
) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let (held, drawn) = (Cell::new(0_u32), Cell::new(0_u32));
    let counted = |case| {
        drawn.set(drawn.get() + 1);
        held.set(held.get() + u32::from(law(case)?));
        Ok(())
    };
    TestRunner::new(config).run(strategy, counted).unwrap();
    let found = f64::from(held.get()) / f64::from(drawn.get());
    assert!(found >= share, "only {} of {} cases had anything to test", held.get(), drawn.get());
}
