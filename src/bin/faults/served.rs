//! The server as a process of its own, which may be killed.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use portcullis::transport::grpc::wire::event_service_client::EventServiceClient;
use tonic::transport::{Channel, Endpoint};

use crate::Failure;

/// How long a server may take to start or to store what waits.
const PATIENCE: Duration = Duration::from_mins(2);

/// How a server is started, again and again on the same ports.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) folder: PathBuf,
    /// Where it stores; none for the file in its folder.
    pub(crate) database: Option<String>,
    pub(crate) spool_bytes: String,
    /// The largest file in KiB that it may write.
    pub(crate) largest_file: Option<u64>,
    pub(crate) port: u16,
    pub(crate) http_port: u16,
}

/// A server that runs.
pub(crate) struct Served {
    setup: Setup,
    process: Child,
}

impl Setup {
    pub(crate) fn new(folder: &Path, database: Option<String>) -> Result<Self, Failure> {
        let (port, http_port) = (free_port()?, free_port()?);
        let spool_bytes = "1GiB".to_owned();
        Ok(Self { folder: folder.to_owned(), database, spool_bytes, largest_file: None, port, http_port })
    }

    /// Starts the server, and waits until it takes calls.
    pub(crate) async fn start(&self) -> Result<Served, Failure> {
        let program = std::env::current_exe()?;
        let mut command = match self.largest_file {
            // A write that is too long is an error to the program then, as on a full disk.
            Some(kib) => {
                let mut command = Command::new("bash");
                command
                    .arg("-c")
                    .arg(format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\" \"$@\""))
                    .arg(program);
                command
            }
            None => Command::new(program),
        };
        command
            .args(["serve", "--log", "off", "--spool-bytes", &self.spool_bytes, "--data-dir"])
            .arg(&self.folder);
        command.arg("--listen").arg(format!("127.0.0.1:{}", self.port));
        command.arg("--http-listen").arg(format!("127.0.0.1:{}", self.http_port));
        if let Some(database) = &self.database {
            command.arg("--database").arg(database);
        }
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut served = Served { setup: self.clone(), process };
        let begun = Instant::now();
        while client(self.port).await.is_none() {
            if begun.elapsed() > PATIENCE || served.process.try_wait()?.is_some() {
                return Err("the server does not start".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(served)
    }
}

impl Served {
    /// SIGKILL, in the middle of whatever it does.
    pub(crate) fn kill(mut self) -> Result<(), Failure> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Waits until nothing waits on its disk any more.
    pub(crate) async fn drained(&self) -> Result<(), Failure> {
        let begun = Instant::now();
        while self.spooled().await? > 0 {
            if begun.elapsed() > PATIENCE {
                return Err("what waits on the local disk is not stored".into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Batches that wait on its disk.
    pub(crate) async fn spooled(&self) -> Result<u64, Failure> {
        let health = crate::load::get(self.setup.http_port, "/health").await?;
        let batches = health.get("spool").and_then(|spool| spool.get("batches")?.as_u64());
        batches.ok_or_else(|| "the server's health does not tell what waits".into())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A connection to a server, if it takes one.
pub(crate) async fn client(port: u16) -> Option<EventServiceClient<Channel>> {
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).ok()?;
    endpoint.connect().await.ok().map(EventServiceClient::new)
}

pub(crate) fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
