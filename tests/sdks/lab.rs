//! The lab of `examples/lab` on a running server.

use std::process::Stdio;

use portcullis::transport::grpc::wire::Verdict;

use crate::driver::{command, python, repository};
use crate::server::{Server, experiment_target};

const VISITORS: i64 = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn the_lab_tells_how_its_visitors_were_split_and_what_they_did() {
    let server = Server::start().await;
    let run = || {
        command(&python())
            .arg(repository().join("examples/lab/run.py"))
            .args(["--grpc", &server.address().to_string()])
            .args(["--http", &format!("http://{}", server.http_address())])
            .args(["--visitors", &VISITORS.to_string(), "--seed", "1"])
            .stderr(Stdio::inherit())
            .output()
            .expect("the lab starts")
    };
    let outcome = tokio::task::block_in_place(run);
    let printed = String::from_utf8(outcome.stdout).expect("text");
    assert!(outcome.status.success(), "{}: {printed}", outcome.status);

    // What the visitors saw.
    let lines = |beginning: &str| {
        printed.lines().filter(|line| line.trim().starts_with(beginning)).collect::<Vec<_>>()
    };
    for color in ["Blue", "Red", "Green", "Orange"] {
        let [shown, result] = lines(color)[..] else { panic!("two lines about {color} in\n{printed}") };
        let share: f64 = shown.split_whitespace().last().unwrap().trim_end_matches('%').parse().unwrap();
        // Four standard deviations of a quarter of so many.
        assert!((share - 25.0).abs() < 5.5, "{shown}");
        assert!(result.contains("sign-ups"), "{result}");
    }
    assert_eq!(lines("The guard says").len(), 1, "{printed}");

    // What the server counted.
    let answer = server.check(&experiment_target("button_color_v3")).await;
    let green = answer.verdicts.iter().find(|verdict| verdict.arm == "Green").expect("a verdict");
    let (control, treatment) = (green.epochs[0].control.unwrap(), green.epochs[0].treatment.unwrap());
    assert!(green.verdict() != Verdict::Harm, "{green:#?}");
    let rate = |moments: portcullis::transport::grpc::wire::Moments| moments.sum / moments.n as f64;
    assert!(rate(treatment) > rate(control), "the lab's green button brings more: {green:#?}");
}
