//! Whole configurations over gRPC: exported, planned, applied in one change or not at all.

use portcullis::transport::grpc::wire::{
    ApplyConfigurationRequest, ApplyConfigurationResponse, ArchiveGateRequest, ConfigurationAction,
    ConfigurationChange, ExportConfigurationRequest, ExportConfigurationResponse, GetGateRequest,
    LaunchState, PlanConfigurationRequest, PlanConfigurationResponse,
};
use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

use crate::documents::{button_color_v3, gate, gate_for, guardrail, id_list, is_in, percentage};
use crate::guard::harm;
use crate::server::{Server, by, eventually, experiment_target, fields, gate_target};
use crate::visitors::{Crowd, check_gate, ids, passing};

impl Server {
    async fn export(&self) -> ExportConfigurationResponse {
        self.configuration().export_configuration(ExportConfigurationRequest {}).await.unwrap().into_inner()
    }

    async fn plan(&self, yaml: &str, prune: bool) -> Result<PlanConfigurationResponse, Status> {
        let request = PlanConfigurationRequest { yaml: yaml.to_owned(), prune };
        Ok(self.configuration().plan_configuration(request).await?.into_inner())
    }

    /// Plans a text and applies it at the revision of the plan; again where the guard has noted something meanwhile.
    async fn apply(&self, yaml: &str, prune: bool) -> Result<ApplyConfigurationResponse, Status> {
        eventually("the configuration stands still", async || {
            let revision = match self.plan(yaml, prune).await {
                Ok(plan) => plan.revision,
                Err(status) => return Ok(Err(status)),
            };
            let request = ApplyConfigurationRequest { yaml: yaml.to_owned(), prune, revision };
            match self.configuration().apply_configuration(by("anna", request)).await {
                Err(status) if status.code() == Code::Aborted => Err(status.to_string()),
                applied => Ok(applied.map(Response::into_inner)),
            }
        })
        .await
    }
}

/// What changes, as `action kind key`.
fn named(changes: &[ConfigurationChange]) -> Vec<String> {
    let action = |change: &ConfigurationChange| match change.action() {
        ConfigurationAction::Create => "create",
        ConfigurationAction::Change => "change",
        ConfigurationAction::Archive => "archive",
        ConfigurationAction::Unspecified => "?",
    };
    changes.iter().map(|change| format!("{} {} {}", action(change), change.kind, change.key)).collect()
}

fn lines<'c>(change: &'c ConfigurationChange, begin: &str) -> Vec<&'c str> {
    change.difference.lines().filter(|line| line.starts_with(begin) && !line.starts_with("@@")).collect()
}

const SHOP: &str = "
gates:
- key: new_checkout
  unit_type: user_id
  salt: new_checkout
  rules:
  - id: staff
    conditions:
    - {segment: staff, operator: passes}
    - {gate: maintenance, operator: fails}
    percentage: 100
  - id: everyone
    percentage: 50
- key: maintenance
  unit_type: user_id
  salt: maintenance
  enabled: false
segments:
- key: staff
  unit_type: user_id
  salt: staff
  ids: [anna, bert]
layers:
- key: page
  unit_type: user_id
  salt: page
  parameters: {color: grey}
experiments:
- key: button
  unit_type: user_id
  salt: button
  layer: page
  groups:
  - {name: Blue, weight: 50, parameters: {color: blue}}
  - {name: Green, weight: 50, parameters: {color: green}}
  control_group: Blue
  allocation: 40
  status: {state: running}
- key: old_button
  unit_type: user_id
  salt: old_button
  groups:
  - {name: Blue, weight: 50, parameters: {color: blue}}
  - {name: Green, weight: 50, parameters: {color: green}}
  control_group: Blue
  allocation: 100
  status: {state: decided, group: Green}
holdouts:
- key: long_term
  unit_type: user_id
  salt: long_term
  percentage: 10
  covers_all: true
";

#[tokio::test(flavor = "multi_thread")]
async fn a_text_becomes_the_configuration_and_comes_back() {
    let server = Server::start().await;
    assert_eq!(server.export().await.yaml, "");
    let planned = server.plan(SHOP, false).await.unwrap();
    assert_eq!(planned.changes.len(), 7, "{:?}", named(&planned.changes));
    assert_eq!(server.export().await.yaml, "", "a plan changes nothing");
    let applied = server.apply(SHOP, false).await.unwrap();
    assert_eq!(named(&applied.changes), named(&planned.changes));
    // What is made stands in the order in which others can refer to it, and each launch is told.
    assert_eq!(
        named(&applied.changes)[..3],
        ["create segment staff", "create gate new_checkout", "create gate maintenance"]
    );
    assert_eq!(applied.changes[1].effects.len(), 2, "{:?}", applied.changes[1].effects);

    let again = server.plan(SHOP, true).await.unwrap();
    assert_eq!((named(&again.changes).as_slice(), again.unchanged_count), ([].as_slice(), 7));
    let exported = server.export().await.yaml;
    assert!(exported.contains("buckets: 0-399"), "an experiment keeps the buckets it was given\n{exported}");
    let again = server.plan(&exported, true).await.unwrap();
    assert_eq!((named(&again.changes).as_slice(), again.unchanged_count), ([].as_slice(), 7));

    // The experiments are what they would be by hand.
    let running = server.check(&experiment_target("button")).await.launch.expect("a launch");
    assert_eq!((running.state(), running.principal.as_str()), (LaunchState::Steady, "anna"));
    assert!(server.check(&experiment_target("old_button")).await.launch.is_none(), "it ran elsewhere");

    // The same text makes another server the same.
    let other = Server::start().await;
    other.apply(&exported, false).await.unwrap();
    assert_eq!(other.export().await.yaml, exported);
    let visitors = ids("visitor", 200);
    let there = check_gate(&other, "new_checkout", &visitors).await;
    assert_eq!(check_gate(&server, "new_checkout", &visitors).await, there);
    assert!((1..200).contains(&passing(&there).len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_shown_and_made_as_by_hand() {
    let server = Server::start().await;
    server.apply(SHOP, false).await.unwrap();
    let text = SHOP
        .replace("percentage: 50", "percentage: 60")
        .replace("  enabled: false", "  description: While we mend things.\n  enabled: false")
        .replace("{state: running}", "{state: abandoned}");
    let planned = server.plan(&text, false).await.unwrap();
    assert_eq!(
        named(&planned.changes),
        ["change gate new_checkout", "change gate maintenance", "change experiment button"]
    );
    assert_eq!(lines(&planned.changes[0], "-"), ["-  percentage: 50.0"]);
    assert_eq!(lines(&planned.changes[0], "+"), ["+  percentage: 60.0"]);
    assert_eq!(lines(&planned.changes[1], "+"), ["+description: While we mend things."]);
    let effects = &planned.changes[2].effects;
    assert_eq!(effects.as_slice(), ["the launch of experiment button ends"]);
    server.apply(&text, false).await.unwrap();
    let launch = server.check(&experiment_target("button")).await.launch.expect("a launch");
    assert_eq!(launch.state(), LaunchState::Cancelled);
    let gate = server.admin().get_gate(GetGateRequest { key: "new_checkout".to_owned() }).await.unwrap();
    assert!((gate.into_inner().gate.unwrap().rules[1].percentage - 60.0).abs() < f64::EPSILON);

    // What can not be undone by hand can not be undone by a file.
    let refused = server.apply(SHOP, false).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(refused.message(), "experiment `button` is abandoned, and can not become running");
    let refusals: Vec<String> =
        server.plan(SHOP, false).await.unwrap().changes.into_iter().map(|change| change.refusal).collect();
    assert_eq!(refusals, ["", "", "experiment `button` is abandoned, and can not become running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_latch_refuses_the_whole_text() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let before = server.export().await.yaml;
    let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.1, 0.5);
    harm(&server, &mut crowd).await;

    let text = format!("{before}- key: other\n  unit_type: user_id\n  salt: other\n");
    let planned = server.plan(&text, false).await.unwrap();
    assert_eq!(named(&planned.changes), ["change gate new_checkout", "create gate other"]);
    assert!(planned.changes[0].refusal.contains("the guard says block"), "{:?}", planned.changes[0]);
    let refused = server.apply(&text, false).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(!server.export().await.yaml.contains("other"), "all or nothing");

    // Lowering is always open, and so is what does not raise.
    let text = text.replace("percentage: 50.0", "percentage: 0.0");
    let applied = server.apply(&text, false).await.unwrap();
    assert_eq!(named(&applied.changes), ["create gate other"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_are_stopped_stay_stopped_whatever_the_text_says() {
    let server = Server::start().await;
    server.run_experiment(button_color_v3()).await;
    let before = server.export().await.yaml;
    let stopped = format!("{before}  stopped_groups: [Red]\n");
    let planned = server.plan(&stopped, false).await.unwrap();
    assert_eq!(lines(&planned.changes[0], "+"), ["+stopped_groups:", "+- Red"]);
    server.apply(&stopped, false).await.unwrap();
    let launch = server.check(&experiment_target("button_color_v3")).await.launch.unwrap();
    let arms: Vec<(&str, bool)> =
        launch.arms.iter().map(|arm| (arm.name.as_str(), arm.stop_time.is_some())).collect();
    assert_eq!(arms, [("Blue", false), ("Red", true), ("Green", false), ("Orange", false)]);
    let again = server.plan(&before, false).await.unwrap();
    assert!(again.changes.is_empty(), "{:?}", named(&again.changes));
    let refused = server.apply(&stopped.replace("[Red]", "[Blue]"), false).await.unwrap_err();
    assert_eq!(fields(&refused), ["experiments[0].stopped_groups"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_the_text_is_archived_only_when_asked_for() {
    let server = Server::start().await;
    server.apply(SHOP, false).await.unwrap();
    let text = "gates:\n- key: maintenance\n  unit_type: user_id\n  salt: maintenance\n  enabled: false\n";
    assert!(server.plan(text, false).await.unwrap().changes.is_empty());
    let running = server.plan(text, true).await.unwrap();
    let refused: Vec<&str> = running.changes.iter().map(|change| change.refusal.as_str()).collect();
    assert_eq!(refused[1], "experiment `button` is running; decide it first", "{refused:?}");
    server.apply(&SHOP.replace("{state: running}", "{state: abandoned}"), false).await.unwrap();
    let applied = server.apply(text, true).await.unwrap();
    assert_eq!(
        named(&applied.changes),
        [
            "archive holdout long_term",
            "archive experiment button",
            "archive experiment old_button",
            "archive layer page",
            "archive gate new_checkout",
            "archive segment staff",
        ]
    );
    assert_eq!(server.export().await.yaml.matches("key:").count(), 1);
    let again = server.apply(SHOP, false).await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists, "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_archived_that_is_still_referred_to() {
    let server = Server::start().await;
    server.create_segment(id_list("staff", &["anna"])).await;
    server.create_gate(gate_for("new_checkout", 50.0, vec![is_in("staff")])).await;
    let exported = server.export().await.yaml;
    let gates = exported.find("gates:").unwrap();
    let refused = server.plan(&exported[gates..], true).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("gate `new_checkout`"), "{}", refused.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_with_its_path_and_line() {
    let server = Server::start().await;
    let line = |needle: &str, text: &str| text.lines().position(|line| line.contains(needle)).unwrap() + 1;
    let wrong = [
        (
            SHOP.replace("percentage: 50", "percentage: 500"),
            "gates[0].rules[1].percentage",
            "percentage: 500",
        ),
        (SHOP.replace("percentage: 50", "percent: 50"), "gates[0].rules[1].percent", "percent: 50"),
        (
            SHOP.replace("segment: staff", "segment: guests"),
            "gates[0].rules[0].conditions[0].segment",
            "guests",
        ),
        (SHOP.replace("layer: page", "layer: other"), "experiments[0].layer", "layer: other"),
        (SHOP.replace("{color: green}", "{colour: green}"), "experiments[0].groups[1].parameters", "colour"),
        (
            SHOP.replace(
                "enabled: false",
                "rules: [{id: r, percentage: 1, conditions: [{gate: new_checkout, operator: passes}]}]",
            ),
            "gates[1].rules[0].conditions[0].gate",
            "gate: new_checkout",
        ),
    ];
    for (text, field, needle) in wrong {
        let refused = server.plan(&text, false).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        assert_eq!(fields(&refused)[0], field, "{refused:?}");
        let violations = refused.get_details_bad_request().unwrap().field_violations;
        let expected = format!("line {}", line(needle, &text));
        assert!(violations[0].description.contains(&expected), "{expected}: {violations:?}");
        let applied = server.apply(&text, false).await.unwrap_err();
        assert_eq!(applied.code(), Code::InvalidArgument);
    }
    assert_eq!(server.export().await.yaml, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_good_for_the_configuration_it_was_made_from() {
    let server = Server::start().await;
    let revision = server.plan(SHOP, false).await.unwrap().revision;
    let made = server.create_gate(gate("other", 0.0)).await;
    assert_eq!(made.revision, 1);
    let request = ApplyConfigurationRequest { yaml: SHOP.to_owned(), prune: true, revision };
    let refused = server.configuration().apply_configuration(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted);
    assert_eq!(refused.get_details_error_info().unwrap().reason, "REVISION_CONFLICT");
    assert!(server.export().await.yaml.contains("other"));
    // An archived gate is no part of it, and its key is not free.
    let archive = ArchiveGateRequest { key: "other".to_owned(), revision: 1 };
    server.admin().archive_gate(archive).await.unwrap();
    assert_eq!(server.export().await.yaml, "");
    let text = "gates:\n- key: other\n  unit_type: user_id\n  salt: s\n";
    let planned = server.plan(text, false).await.unwrap();
    assert!(planned.changes[0].refusal.contains("keys are never used twice"), "{:?}", planned.changes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_goes_on_where_the_text_says_what_is_in_force() {
    let server = Server::start().await;
    server.create_gate(gate("new_checkout", 20.0)).await;
    let first = server.check(&gate_target("new_checkout")).await.launch.unwrap();
    let exported = server.export().await.yaml;
    let renamed = exported.replace("  rules:", "  description: The new one.\n  rules:");
    server.apply(&renamed, false).await.unwrap();
    let same = server.check(&gate_target("new_checkout")).await.launch.unwrap();
    assert_eq!((same.id.as_str(), same.epochs.len()), (first.id.as_str(), 1));
    server.set_rollout(percentage("new_checkout", 10.0)).await.unwrap();
    // A text that is behind is an intent like any other: it is shown as a raise.
    let planned = server.plan(&renamed, false).await.unwrap();
    assert_eq!(lines(&planned.changes[0], "-"), ["-  percentage: 10.0"]);
}
