//! A real SDK in a process of its own, driven over its standard input and output.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use portcullis::transport::grpc::wire::SdkKeyKind;
use serde_json::{Value, json};

/// How long a driver may take for one answer.
const PATIENCE: Duration = Duration::from_mins(2);
/// Where nothing listens: what an SDK would send elsewhere than to the server under test ends there.
const NOWHERE: &str = "http://127.0.0.1:9";

/// A driver of `tests/sdk`, and how it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sdk {
    PythonLegacy,
    PythonCore,
    NodeLegacy,
    NodeCore,
    JsClient,
}

impl Sdk {
    /// The SDKs that evaluate by themselves.
    pub(crate) const SERVER_SIDE: [Self; 4] =
        [Self::PythonLegacy, Self::PythonCore, Self::NodeLegacy, Self::NodeCore];

    /// Those and the one that the server evaluates for.
    pub(crate) const ALL: [Self; 5] =
        [Self::PythonLegacy, Self::PythonCore, Self::NodeLegacy, Self::NodeCore, Self::JsClient];

    /// The kind of key that it is given.
    pub(crate) fn key_kind(self) -> SdkKeyKind {
        if matches!(self, Self::JsClient) { SdkKeyKind::Client } else { SdkKeyKind::Server }
    }

    fn script(self) -> &'static str {
        match self {
            Self::PythonLegacy => "python_legacy.py",
            Self::PythonCore => "python_core.py",
            Self::NodeLegacy => "node_legacy.js",
            Self::NodeCore => "node_core.js",
            Self::JsClient => "js_client.js",
        }
    }

    fn interpreter(self) -> PathBuf {
        match self {
            Self::PythonLegacy | Self::PythonCore => python(),
            Self::NodeLegacy | Self::NodeCore | Self::JsClient => {
                installed("node_modules");
                PathBuf::from("node")
            }
        }
    }
}

/// A running driver; it ends with the test.
#[derive(Debug)]
pub(crate) struct Driver {
    sdk: Sdk,
    process: Child,
    requests: ChildStdin,
    answers: Receiver<String>,
}

impl Driver {
    /// Starts an SDK and expects it to get what it needs from the server at this HTTP address.
    pub(crate) fn ready(sdk: Sdk, address: SocketAddr, key: &str) -> Self {
        let mut driver = Self::start(sdk, address, key);
        let answer = driver.ask(&json!({"do": "initialize"}));
        assert_eq!(answer["ready"], true, "{sdk:?} is ready: {answer}");
        driver
    }

    fn start(sdk: Sdk, address: SocketAddr, key: &str) -> Self {
        let script = repository().join("tests/sdk").join(sdk.script());
        let mut process = command(&sdk.interpreter())
            .arg(script)
            .args([&format!("http://{address}"), key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the driver starts");
        let requests = process.stdin.take().expect("its input");
        let output = BufReader::new(process.stdout.take().expect("its output"));
        let (sender, answers) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { sdk, process, requests, answers }
    }

    /// The answer to a request, see `tests/sdk/README.md`. An error of the SDK fails the test.
    pub(crate) fn ask(&mut self, request: &Value) -> Value {
        let sdk = self.sdk;
        // The server under test lives in the same process and goes on meanwhile.
        let line = tokio::task::block_in_place(|| {
            writeln!(self.requests, "{request}").expect("the driver takes a request");
            self.answers.recv_timeout(PATIENCE)
        });
        let line = line.unwrap_or_else(|error| panic!("no answer of {sdk:?} to {}: {error}", request["do"]));
        let answer: Value = serde_json::from_str(&line).expect("an answer in JSON");
        assert!(answer.get("error").is_none(), "{sdk:?} did not {}: {answer}", request["do"]);
        answer
    }

    /// Waits until the SDK has a value of a gate by itself.
    pub(crate) fn wait_for(&mut self, gate: &str, user: &Value, value: bool, patience: Duration) {
        let timeout_s = patience.as_secs_f64();
        let request =
            json!({"do": "wait_for", "gate": gate, "user": user, "value": value, "timeout_s": timeout_s});
        let answer = self.ask(&request);
        assert_eq!(answer["reached"], true, "{:?} says {value} for {gate}: {answer}", self.sdk);
    }

    /// Lets the SDK send what it has, and end.
    pub(crate) fn shut_down(mut self) {
        self.ask(&json!({"do": "shutdown"}));
        let ended = tokio::task::block_in_place(|| self.process.wait()).expect("the driver ends");
        assert!(ended.success(), "{:?} ended with {ended}", self.sdk);
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // A failed test leaves no process behind; one that has ended already is no error.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A command that finds the JavaScript packages and reaches nothing but this machine.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("NODE_PATH", repository().join("target/sdk/node_modules"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("TZ", "UTC")
        .envs(["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"].map(|name| (name, NOWHERE)))
        .envs(["no_proxy", "NO_PROXY"].map(|name| (name, "127.0.0.1")));
    command
}

/// The Python that has the packages.
pub(crate) fn python() -> PathBuf {
    installed("python/bin/python")
}

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Something that `script/test` installs.
fn installed(path: &str) -> PathBuf {
    let path = repository().join("target/sdk").join(path);
    assert!(path.exists(), "{} is not there; run script/test, which installs it", path.display());
    path
}
