//! The short form of the calibration: the assembled procedure keeps its bounds on simulated launches.
#![cfg(test)]

use std::process::Command;

#[test]
fn the_short_calibration_keeps_its_bounds() {
    let program = env!("CARGO_BIN_EXE_calibrate");
    let output = Command::new(program).arg("--quick").output().expect("the program runs");
    let (tables, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{tables}\n{errors}");
    let rows = |of: &str| tables.lines().filter(|line| line.starts_with("| ") && line.contains(of)).count();
    assert_eq!((rows("10 % proportion"), rows("revenue"), rows("clicks")), (4, 3, 4), "{tables}");
}
