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
    for happening in
        ["next step, 50 %", "the ramp is complete", "ROLLED BACK to 0 %", "is refused", "was observed"]
    {
        assert!(told.contains(happening), "{happening} is missing in:\n{told}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the demo left something behind");
}
