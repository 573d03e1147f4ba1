//! The demo, run as a user runs it.

use std::process::Command;

use tempfile::TempDir;

#[test]
fn the_demo_shows_all_it_promises_and_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();
    let program = env!("CARGO_BIN_EXE_portcullis");
    let output = Command::new(program).arg("demo").env("TMPDIR", folder.path()).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}\n{complaint}");
    let happenings = [
        "next step, 50 %",
        "the ramp is complete",
        "ROLLED BACK to 0 %",
        "show_new_signup_form: a raise to 50 % is refused",
        "the latch is resolved",
        "show_new_checkout: a raise to 50 % is refused",
        "group Orange STOPPED",
        "groups served: Blue, Green, Red",
        "shipping Orange is refused",
        "was observed",
    ];
    for happening in happenings {
        assert!(told.contains(happening), "{happening} is missing in:\n{told}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the demo left something behind");
}
