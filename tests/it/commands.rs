//! The commands on configurations, run as a user runs them, against a real server.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::documents::gate;
use crate::server::Server;
use crate::visitors::{check_gate, get_experiment, ids};

/// What a command said.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) complaint: String,
}

/// Runs the program; `server` is what it speaks to.
pub(crate) async fn run(server: Option<&Server>, arguments: &[&str]) -> Told {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments).stdin(std::process::Stdio::null());
    if let Some(server) = server {
        command.env("PORTCULLIS_SERVER", format!("http://{}", server.address()));
    }
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Told { code: status.code().unwrap(), out: text(stdout), complaint: text(stderr) }
}

fn project() -> String {
    path_text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/statsig/spec_v1.json"))
}

pub(crate) fn path_text(path: &Path) -> String {
    path.display().to_string()
}

pub(crate) fn written(folder: &TempDir, name: &str, text: &str) -> String {
    let path: PathBuf = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path_text(&path)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_imported_once_and_evaluates_alike_without_a_server() {
    let (server, folder) = (Server::start().await, TempDir::new().unwrap());
    let list = written(&folder, "vips.txt", "visitor-1\nvisitor-7\n");
    let list = format!("vip_list={list}");
    let import = ["import", "statsig", &project(), "--id-list", &list];
    let checked = run(Some(&server), &[&import[..], &["--check"]].concat()).await;
    assert_eq!(checked.code, 2, "{checked:?}");
    assert!(checked.out.contains("layer `lay_missing_delegate` is left out"), "{}", checked.out);
    assert!(!checked.out.contains("segment `vip_list`"), "its ids were given: {}", checked.out);
    let asked = run(Some(&server), &import).await;
    assert_eq!(asked.code, 1, "{asked:?}");
    assert!(asked.complaint.contains("give --yes"), "{}", asked.complaint);
    let done = run(Some(&server), &[&import[..], &["--yes"]].concat()).await;
    assert_eq!(done.code, 0, "{done:?}");
    let again = run(Some(&server), &[&import[..], &["--check"]].concat()).await;
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.out.contains("nothing to change"), "{}", again.out);

    let exported = path_text(&folder.path().join("exported.yaml"));
    assert_eq!(run(Some(&server), &["export", "--out", &exported]).await.code, 0);
    let same = run(Some(&server), &["apply", &exported, "--prune", "--check"]).await;
    assert_eq!(same.code, 0, "{same:?}");

    let visitors = ids("visitor", 200);
    let lines: Vec<String> = visitors.iter().map(|id| format!("{{\"user_id\":\"{id}\"}}")).collect();
    let users = written(&folder, "users.jsonl", &lines.join("\n"));
    let evaluate = ["evaluate", "--config", &exported, "--users", &users, "--format", "json"];
    let gates = run(None, &[&evaluate[..], &["--key", "pct_50", "--kind", "gate"]].concat()).await;
    assert_eq!(gates.code, 0, "{gates:?}");
    let passes = check_gate(&server, "pct_50", &visitors).await;
    assert_eq!(
        answers(&gates.out, "value"),
        passes.iter().map(|(id, pass)| (id.clone(), Value::from(*pass))).collect()
    );
    let groups = run(None, &[&evaluate[..], &["--key", "button_color_v3"]].concat()).await;
    let served = get_experiment(&server, "button_color_v3", &visitors).await;
    let named = |group: String| if group.is_empty() { Value::Null } else { Value::from(group) };
    let served = served.into_iter().map(|(id, answer)| (id, named(answer.group))).collect();
    assert_eq!(answers(&groups.out, "group"), served);
}

/// A field of each answer, by the user's id.
fn answers(out: &str, field: &str) -> std::collections::BTreeMap<String, Value> {
    let answer = |line: &str| {
        let answer: Value = serde_json::from_str(line).unwrap();
        (answer["units"]["user_id"].as_str().unwrap().to_owned(), answer[field].clone())
    };
    out.lines().map(answer).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_compared_checked_and_applied() {
    let (server, folder) = (Server::start().await, TempDir::new().unwrap());
    server.create_gate(gate("new_checkout", 10.0)).await;
    let exported = run(Some(&server), &["export"]).await;
    assert_eq!(exported.code, 0, "{exported:?}");
    let edited = exported.out.replace("percentage: 10.0", "percentage: 5.0");
    let file = written(&folder, "shop.yaml", &edited);
    let checked = run(Some(&server), &["apply", &file, "--check"]).await;
    assert_eq!(checked.code, 2, "{checked:?}");
    for line in ["change gate new_checkout", "  -  percentage: 10.0", "  +  percentage: 5.0", "to change: 1,"]
    {
        assert!(checked.out.contains(line), "{line} is missing in\n{}", checked.out);
    }
    assert_eq!(run(Some(&server), &["export"]).await.out, exported.out, "a check changes nothing");
    let applied = run(Some(&server), &["apply", &file, "--yes", "--principal", "anna"]).await;
    assert_eq!(applied.code, 0, "{applied:?}");
    assert_eq!(run(Some(&server), &["export"]).await.out, edited);
    assert_eq!(run(Some(&server), &["apply", &file, "--check"]).await.code, 0);
    let actors: Vec<String> = server.decisions("").await.into_iter().map(|decision| decision.actor).collect();
    assert!(actors.contains(&"anna".to_owned()), "{actors:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_with_its_place() {
    let (server, folder) = (Server::start().await, TempDir::new().unwrap());
    let bad = "gates:\n- key: new_checkout\n  unit_type: user_id\n  salt: s\n  rules:\n  - {id: r, percentage: ten}\n";
    let file = written(&folder, "bad.yaml", bad);
    let refused = run(Some(&server), &["apply", &file, "--yes"]).await;
    assert_eq!(refused.code, 1);
    let place = format!("{file}: gates[0].rules[0].percentage: invalid type: string \"ten\"");
    assert!(
        refused.complaint.contains(&place) && refused.complaint.contains("line 6"),
        "{}",
        refused.complaint
    );
    let nobody = ["apply", &file, "--server", "http://127.0.0.1:1"];
    let unreachable = run(None, &nobody).await;
    assert!(
        unreachable.code == 1 && unreachable.complaint.contains("no server answers there"),
        "{unreachable:?}"
    );
    assert_eq!(run(None, &["export", "--server", "http://127.0.0.1:1"]).await.code, 1);
    assert_eq!(run(Some(&server), &["apply", "no-such-file.yaml"]).await.code, 1);
    let list = written(&folder, "list.txt", "");
    let unknown =
        run(None, &["import", "statsig", &project(), "--id-list", &format!("nope={list}"), "--out", &file])
            .await;
    assert!(unknown.complaint.contains("vip_list"), "{unknown:?}");
    assert_eq!(run(None, &["import", "statsig", &file]).await.code, 1);
}

const SHOP: &str = "
gates:
- key: new_checkout
  unit_type: user_id
  salt: new_checkout
  rules:
  - id: customers
    conditions:
    - {attribute: country, operator: any, values: [DE, AT]}
    - {segment: staff, operator: fails}
    percentage: 25
segments:
- key: staff
  unit_type: user_id
  salt: staff
  ids: [anna]
configs:
- key: limits
  unit_type: user_id
  salt: limits
  default_value: {items: 100}
";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_explained_down_to_each_condition() {
    let folder = TempDir::new().unwrap();
    let config = written(&folder, "shop.yaml", SHOP);
    let users = written(
        &folder,
        "users.jsonl",
        "{\"user_id\":\"anna\",\"country\":\"de\"}\n\n{\"user_id\":\"visitor-3\",\"country\":\"AT\"}\n",
    );
    let told = run(None, &["evaluate", "--config", &config, "--users", &users]).await;
    assert_eq!(told.code, 0, "{told:?}");
    for line in [
        "anna: gate new_checkout: no",
        "  because: no rule, rule default",
        "  rule customers: does not match",
        "    country any \"DE\", \"AT\" holds: found \"de\"",
        "    segment staff fails does not hold: found \"true\"",
        "anna: config limits: {\"items\":100}",
        "  rule customers: decides",
        "    25 %: the unit is at ",
    ] {
        assert!(told.out.lines().any(|told| told.starts_with(line)), "{line} is missing in\n{}", told.out);
    }
    let one = run(None, &["evaluate", "--config", &config, "--users", &users, "--key", "limits"]).await;
    assert_eq!(one.out.matches("config limits").count(), 2, "{}", one.out);
    let unknown = run(None, &["evaluate", "--config", &config, "--users", &users, "--key", "nope"]).await;
    assert!(unknown.code == 1 && unknown.complaint.contains("`nope`"), "{unknown:?}");
    let kind = ["evaluate", "--config", &config, "--users", &users, "--key", "limits", "--kind", "gate"];
    assert_eq!(run(None, &kind).await.code, 1);
    let users = written(&folder, "users.jsonl", "{\"user_id\":\"anna\"}\n{\"userID\":\"anna\"}\n");
    let wrong = run(None, &["evaluate", "--config", &config, "--users", &users]).await;
    assert!(wrong.code == 1 && wrong.complaint.contains("users.jsonl, line 2: unknown field"), "{wrong:?}");
}
