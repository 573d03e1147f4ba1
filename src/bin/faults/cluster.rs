//! A PostgreSQL server of this program's own, which it may kill.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::Failure;

/// Where Debian keeps the server's programs, one folder a version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// The user that the server runs as, since it refuses to be run by root.
const USER: &str = "postgres";
/// How long it may take to start, recovery included.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server with a data folder of its own. It keeps what it acknowledges: nothing is set faster than it is by default.
pub(crate) struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
    server: Option<Child>,
}

impl Cluster {
    /// Makes a cluster and starts its server.
    pub(crate) async fn start() -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("portcullis-faults-").tempdir()?;
        let programs = programs()?;
        let port = crate::served::free_port()?;
        let mut cluster = Self { folder, programs, port, server: None };
        if is_root()? {
            let path = cluster.folder.path().to_owned();
            finished(Command::new("chown").arg(USER).arg(path))?;
        }
        let (initdb, data) = (cluster.programs.join("initdb"), cluster.data());
        let mut command = cluster.as_user(&initdb)?;
        finished(
            command
                .arg("--auth=trust")
                .arg("--username=portcullis")
                .arg("--encoding=UTF8")
                .arg("--locale=C")
                .arg("--pgdata")
                .arg(data),
        )?;
        cluster.start_server().await?;
        Ok(cluster)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The address of its database, by this port.
    pub(crate) fn url(port: u16) -> String {
        format!("postgres://portcullis@127.0.0.1:{port}/postgres")
    }

    /// SIGKILL, in the middle of whatever it does.
    pub(crate) fn kill(&mut self) -> Result<(), Failure> {
        if let Some(mut server) = self.server.take() {
            server.kill()?;
            server.wait()?;
        }
        Ok(())
    }

    /// Starts it again, on what it has on disk.
    pub(crate) async fn start_server(&mut self) -> Result<(), Failure> {
        let begun = Instant::now();
        // Processes of a server that was killed go by and by, and keep the next one from starting until then.
        while begun.elapsed() < PATIENCE {
            let (postgres, data) = (self.programs.join("postgres"), self.data());
            let mut command = self.as_user(&postgres)?;
            command.arg("-D").arg(&data).arg("-p").arg(self.port.to_string());
            command.args(["-c", "listen_addresses=127.0.0.1", "-c"]);
            command.arg(format!("unix_socket_directories={}", data.display()));
            let mut server =
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
            while server.try_wait()?.is_none() {
                if self.takes_calls().await {
                    self.server = Some(server);
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err(format!("PostgreSQL does not start in {PATIENCE:?}").into())
    }

    async fn takes_calls(&self) -> bool {
        let ready = self.programs.join("pg_isready");
        let asked = TcpStream::connect(("127.0.0.1", self.port)).await.is_ok();
        let ready =
            Command::new(ready).args(["-q", "-h", "127.0.0.1", "-p"]).arg(self.port.to_string()).status();
        asked && ready.is_ok_and(|status| status.success())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A command that runs as somebody the server accepts.
    fn as_user(&self, program: &Path) -> Result<Command, Failure> {
        let mut command = if is_root()? {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", USER, "--regid", USER, "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.folder.path());
        Ok(command)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn programs() -> Result<PathBuf, Failure> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir(DEBIAN)
        .map_err(|error| format!("{DEBIAN}: {error}; install Debian's package `postgresql`"))?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    versions.sort();
    versions
        .pop()
        .ok_or_else(|| format!("{DEBIAN} holds no initdb; install Debian's package `postgresql`").into())
}

fn is_root() -> Result<bool, Failure> {
    let id = Command::new("id").arg("-u").output()?;
    Ok(String::from_utf8_lossy(&id.stdout).trim() == "0")
}

fn finished(command: &mut Command) -> Result<(), Failure> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}
