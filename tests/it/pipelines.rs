//! The commands that ask the guard, as a pipeline runs them: exit codes, texts and JSON.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use portcullis::transport::grpc::wire::{
    ApproveStepRequest, CheckLaunchRequest, DecisionAction, LaunchState, check_launch_request::Subject,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::commands::{Told, run};
use crate::documents::{gate, guardrail, halves, percentage, ramp, step};
use crate::guard::harm;
use crate::receiver::{Answer, Receiver};
use crate::server::{Server, gate_target};
use crate::visitors::{Crowd, heartbeat};

fn json(told: &Told) -> Value {
    serde_json::from_str(&told.out).unwrap_or_else(|error| panic!("{error}: {told:?}"))
}

/// A gate with a guardrail, on which a ramp begins.
async fn ramping() -> Server {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 0.0)).await;
    let steps = vec![step(30.0, 0, 100), step(50.0, 3_600_000, 0)];
    server.set_rollout(ramp("new_checkout", steps)).await.unwrap();
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_says_what_the_guard_says() {
    let server = ramping().await;
    let check = ["launch", "check", "new_checkout"];
    let held = run(Some(&server), &check).await;
    assert_eq!(held.code, 2, "{held:?}");
    assert!(held.out.starts_with("hold\n  "), "{}", held.out);
    let ruled = run(Some(&server), &[&check[..], &["--rule", "everyone", "--json"]].concat()).await;
    assert_eq!((ruled.code, &json(&ruled)["decision"]), (2, &"DECISION_KIND_HOLD".into()), "{ruled:?}");

    let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.3, 0.5);
    harm(&server, &mut crowd).await;
    let blocked = run(Some(&server), &[&check[..], &["--json"]].concat()).await;
    assert_eq!(blocked.code, 1, "{blocked:?}");
    let answer = json(&blocked);
    assert_eq!(answer["decision"], "DECISION_KIND_BLOCK");
    assert_eq!(answer["latches"][0]["closed"], true);
    let launch = answer["launch"]["id"].as_str().unwrap().to_owned();
    assert_eq!(run(Some(&server), &["launch", "check", &launch]).await.code, 1, "by the id of the launch");

    // A latch is opened with a name, a reason and for a time; then the target may be launched again.
    let resolve = ["launch", "resolve", "new_checkout", "--reason", "The form is mended.", "--for", "2h"];
    let nameless = run(Some(&server), &resolve).await;
    assert_eq!(nameless.code, 3, "{nameless:?}");
    assert!(nameless.complaint.contains("portcullis-principal"), "{}", nameless.complaint);
    let resolved = run(Some(&server), &[&resolve[..], &["--principal", "ada"]].concat()).await;
    assert_eq!(resolved.code, 0, "{resolved:?}");
    assert!(resolved.out.contains("opened by ada until"), "{}", resolved.out);
    let allowed = run(Some(&server), &check).await;
    assert_eq!(allowed.code, 0, "{allowed:?}");
    assert!(allowed.out.starts_with("allow\n"), "{}", allowed.out);
    let again = run(Some(&server), &[&resolve[..], &["--principal", "ada"]].concat()).await;
    assert_eq!((again.code, again.complaint.contains("no latch is closed")), (3, true), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_is_checked_by_its_key() {
    let server = Server::start().await;
    let draft = server.create_experiment(halves("button", "blue")).await;
    server.start_experiment(&draft).await;
    let checked = run(Some(&server), &["launch", "check", "button", "--experiment", "--json"]).await;
    assert_eq!(json(&checked)["launch"]["target"]["kind"], "TARGET_KIND_EXPERIMENT", "{checked:?}");
    assert_ne!(checked.code, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_answer_of_the_guard_exits_with_3() {
    let server = Server::start().await;
    let unknown = run(Some(&server), &["launch", "check", "no_such"]).await;
    assert_eq!(unknown.code, 3, "{unknown:?}");
    let request = CheckLaunchRequest { subject: Some(Subject::Target(gate_target("no_such"))) };
    let status = server.guard().check_launch(request).await.unwrap_err();
    assert_eq!(unknown.complaint.trim(), format!("portcullis: {}", status.message()), "the text of gRPC");
    for wrong in [
        &["launch", "check", "one", "--no-such-flag"][..],
        &["launch", "check"],
        &["launch", "check", "one", "--rule", "a", "--experiment"],
        &["launch", "check", "one", "--server", "http://127.0.0.1:1"],
        &["decision", "replay"],
        &["decision", "show", "no-id"],
        &["decision", "list", "--target", "one"],
    ] {
        let told = run(Some(&server), wrong).await;
        assert_eq!(told.code, 3, "{wrong:?}: {told:?}");
        assert!(!told.complaint.is_empty() && told.out.is_empty(), "{wrong:?}: {told:?}");
    }
    assert_eq!(run(None, &["launch", "check", "--help"]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_writes_decisions_as_they_come_and_exits_by_the_last_answer() {
    let server = ramping().await;
    let watching = spawn(&server, &["launch", "watch", "new_checkout", "--json"]);
    harm(&server, &mut Crowd::new("new_checkout", "visited_signup").doing(0.3, 0.5)).await;
    let (code, out) = ended(watching).await;
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("DECISION_ACTION_START"), "{out}");
    assert!(out.contains("DECISION_KIND_BLOCK"), "{out}");

    // What is held stays so; the time is over, and the exit code says hold.
    server.create_gate(gate("quiet", 0.0)).await;
    server.set_rollout(percentage("quiet", 30.0)).await.unwrap();
    let patient = run(Some(&server), &["launch", "watch", "quiet", "--timeout", "1s"]).await;
    assert_eq!(patient.code, 2, "{patient:?}");
    assert!(patient.out.contains("start, 30 %") && patient.out.contains("\nhold\n"), "{}", patient.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_when_the_launch_is_allowed() {
    let server = ramping().await;
    let watching = spawn(&server, &["launch", "watch", "new_checkout"]);
    let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.3, 0.3);
    let crowded = async {
        loop {
            crowd.come(&server, 200).await;
            heartbeat(&server).await;
        }
    };
    let (code, out) = tokio::select! {
        ended = ended(watching) => ended,
        () = crowded => unreachable!("visitors never end"),
    };
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("\nallow\n"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_pause_resume_approve_override_and_cancel_by_name() {
    let server = ramping().await;
    let act = async |verb: &str, more: &[&str]| {
        let said =
            ["launch", verb, "new_checkout", "--reason", "It is late.", "--principal", "ada", "--json"];
        run(Some(&server), &[&said[..], more].concat()).await
    };
    let paused = act("pause", &[]).await;
    assert_eq!((paused.code, &json(&paused)["state"]), (0, &"LAUNCH_STATE_PAUSED".into()), "{paused:?}");
    let overridden = act("override", &["--for", "1h"]).await;
    assert_eq!(overridden.code, 0, "{overridden:?}");
    assert_eq!(json(&overridden)["override"]["principal"], "ada");
    let resumed = act("resume", &[]).await;
    assert_eq!((resumed.code, &json(&resumed)["state"]), (0, &"LAUNCH_STATE_RAMPING".into()), "{resumed:?}");
    // The server refuses by the same words as over gRPC.
    let refused = act("approve", &[]).await;
    let launch_id = json(&resumed)["id"].as_str().unwrap().to_owned();
    let request = ApproveStepRequest { launch_id, step: 0, reason: "It is late.".to_owned() };
    let status = server.guard().approve_step(crate::server::by("ada", request)).await.unwrap_err();
    assert_eq!(
        (refused.code, refused.complaint.trim()),
        (3, format!("portcullis: {}", status.message()).as_str())
    );
    let cancelled = act("cancel", &[]).await;
    assert_eq!(
        (cancelled.code, &json(&cancelled)["state"]),
        (0, &"LAUNCH_STATE_CANCELLED".into()),
        "{cancelled:?}"
    );
    assert_eq!(LaunchState::from_str_name("LAUNCH_STATE_CANCELLED"), Some(LaunchState::Cancelled));
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_listed_shown_and_made_again() {
    let server = ramping().await;
    harm(&server, &mut Crowd::new("new_checkout", "visited_signup").doing(0.3, 0.5)).await;
    let list = ["decision", "list", "--target", "gate:new_checkout"];
    let blocked = run(Some(&server), &[&list[..], &["--kind", "roll_back", "--json"]].concat()).await;
    assert_eq!(blocked.code, 0, "{blocked:?}");
    let decisions = json(&blocked)["decisions"].as_array().unwrap().clone();
    assert_eq!(decisions.len(), 1, "{blocked:?}");
    let id = decisions[0]["id"].as_str().unwrap();
    let all = run(Some(&server), &list).await;
    assert!(all.out.lines().count() >= 2 && all.out.contains("roll_back, roll_back"), "{}", all.out);
    let none = run(Some(&server), &["decision", "list", "--target", "gate:other"]).await;
    assert_eq!((none.code, none.out.as_str()), (0, ""));

    let shown = run(Some(&server), &["decision", "show", id]).await;
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(
        shown.out.contains("signup at revision 1") && shown.out.contains("signup of treatment: harm"),
        "{shown:?}"
    );
    let shown = json(&run(Some(&server), &["decision", "show", id, "--json"]).await);
    assert_eq!(shown["metrics"][0]["revision"], 1);
    assert!(shown["watermark"].is_string() && shown["target_revision"].is_i64(), "{shown}");
    assert!((shown["verdicts"][0]["alpha_spent"].as_f64().unwrap() - 0.05).abs() < 1e-12, "{shown}");
    assert_eq!(shown["arms"][0]["harmed"], true);

    let replayed = run(Some(&server), &["decision", "replay", id, "--json"]).await;
    assert_eq!((replayed.code, &json(&replayed)["agrees"]), (0, &true.into()), "{replayed:?}");
    let (folder, record) =
        (TempDir::new().unwrap(), run(Some(&server), &["decision", "show", id, "--record"]).await);
    let file = folder.path().join("record.json").display().to_string();
    std::fs::write(&file, &record.out).unwrap();
    assert_eq!(run(None, &["decision", "replay", "--file", &file]).await.code, 0);
    // Whoever changes the record is found out, each value by its place.
    let mut changed: Value = serde_json::from_str(&record.out).unwrap();
    changed["judgement"]["ln_e"] = 0.5.into();
    changed["kind"] = "allow".into();
    std::fs::write(&file, changed.to_string()).unwrap();
    let found_out = run(None, &["decision", "replay", "--file", &file]).await;
    assert_eq!(found_out.code, 1, "{found_out:?}");
    assert!(found_out.out.contains("judgement.ln_e: recorded 0.5, comes out"), "{}", found_out.out);
    assert!(found_out.out.contains("kind: recorded \"allow\", comes out \"roll_back\""), "{}", found_out.out);
    std::fs::write(&file, "{}").unwrap();
    assert_eq!(run(None, &["decision", "replay", "--file", &file]).await.code, 3);
    let decision = server.decisions("").await.into_iter().find(|it| it.id == id).unwrap();
    assert_eq!(decision.action(), DecisionAction::RollBack);
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_listed_and_sent_again() {
    let server = crate::webhooks::start_as(|settings| settings.webhook_attempts = 1).await;
    let receiver = Receiver::start().await;
    receiver.answer([Answer::Status(500, "closed".to_owned()), Answer::Status(500, "closed".to_owned())]);
    server.create_webhook(crate::webhooks::webhook("pager", &receiver.url())).await;
    server.create_gate(gate("one", 0.0)).await;
    server.edit("one", &[30.0]).await;
    let dead = server.given_up(2).await;
    let listed = run(Some(&server), &["delivery", "list", "--dead", "--webhook", "pager"]).await;
    assert_eq!((listed.code, listed.out.lines().count()), (0, 2), "{listed:?}");
    assert!(listed.out.contains("500 Internal Server Error: closed"), "{}", listed.out);
    let resent = run(Some(&server), &["delivery", "resend", &dead[0].id]).await;
    assert_eq!((resent.code, resent.out.as_str()), (0, "1 to be sent again\n"), "{resent:?}");
    server.given_up(1).await;
    let resent = run(Some(&server), &["delivery", "resend", "--webhook", "pager"]).await;
    assert_eq!((resent.code, resent.out.as_str()), (0, "1 to be sent again\n"), "{resent:?}");
    server.all_delivered().await;
    let listed = run(Some(&server), &["delivery", "list", "--json"]).await;
    assert_eq!(json(&listed)["deliveries"], Value::Array(Vec::new()));
}

fn spawn(server: &Server, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments).env("PORTCULLIS_SERVER", format!("http://{}", server.address()));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the program runs")
}

/// The exit code and what was written.
async fn ended(child: Child) -> (i32, String) {
    let output = tokio::task::spawn_blocking(move || child.wait_with_output());
    let output = tokio::time::timeout(Duration::from_mins(1), output).await.expect("it ends");
    let output = output.expect("it is waited for").expect("it ran");
    (output.status.code().expect("a code"), String::from_utf8(output.stdout).expect("text"))
}
