//! A server in a process of its own, which may be killed, or ends by itself at a point that was named.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use serde_json::Value;

use crate::home::Home;
use crate::server::eventually;

/// The process, and where it serves.
pub(crate) struct Apart {
    process: Mutex<Child>,
    pub(crate) address: SocketAddr,
    pub(crate) http_address: SocketAddr,
}

impl Apart {
    /// Starts one that looks often, on a home's database and folder; returns once it serves.
    pub(crate) async fn start(home: &Home, failpoint: Option<&str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]);
        command.arg("--data-dir").arg(home.path()).arg("--database").arg(home.url());
        command.args(["--tick", "50ms", "--allowed-lateness", "0s", "--lease", "3s"]);
        command.args(["--webhook-timeout", "5s", "--webhook-retry", "50ms", "--webhook-private-addresses"]);
        command.args(["--log", "portcullis::app=info", "--log-format", "json"]);
        if let Some(failpoint) = failpoint {
            command.env("PORTCULLIS_FAILPOINT", failpoint);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("the process starts");
        let said = BufReader::new(process.stderr.take().expect("what it says"));
        let serving = tokio::task::spawn_blocking(move || {
            let mut lines = said.lines().map(|line| line.expect("a line"));
            let serving = lines.find(|line| line.contains("\"serving\"")).expect("it says where it serves");
            // It goes on being read, so that the process never waits for it.
            std::thread::spawn(move || lines.for_each(drop));
            serving
        });
        let serving: Value = serde_json::from_str(&serving.await.expect("it serves")).expect("JSON");
        let address =
            |name: &str| serving["fields"][name].as_str().expect("text").parse().expect("an address");
        let (address, http_address) = (address("address"), address("http_address"));
        Self { process: Mutex::new(process), address, http_address }
    }

    /// Waits until it has ended by itself, and says by which signal.
    pub(crate) async fn ended(&self) -> Option<i32> {
        let status = eventually("the process has ended", async || {
            let ended = self.process.lock().expect("not poisoned").try_wait().expect("its status");
            ended.ok_or_else(|| "it runs".to_owned())
        });
        status.await.signal()
    }

    /// SIGKILL.
    pub(crate) fn kill(&self) {
        let mut process = self.process.lock().expect("not poisoned");
        process.kill().expect("killed");
        process.wait().expect("it has ended");
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let process = self.process.get_mut().expect("not poisoned");
        let _ = process.kill();
        let _ = process.wait();
    }
}
