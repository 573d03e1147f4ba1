//! What is broken, and when it is mended.

use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use portcullis::app::DATABASE_FILE;
use portcullis::database::DatabaseUrl;
use tempfile::TempDir;

use crate::cluster::Cluster;
use crate::load::Load;
use crate::proxy::Proxy;
use crate::served::{Served, Setup};
use crate::{Failure, Outcome, stored};

/// How long the load goes on before and after something breaks.
const CALM: Duration = Duration::from_secs(2);
/// How long a server stays away.
const AWAY: Duration = Duration::from_secs(3);
/// How long a scenario waits for what must come.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often what is killed is killed.
const KILLS: usize = 3;
/// Batches that wait before a drain is broken off: more than are taken out before the last kill.
const BACKLOG: u64 = 600;
/// The size of a disk that is to be full, in KiB.
const SMALL_DISK: u64 = 2_048;

/// A scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scenario {
    /// SQLite, and the server is killed.
    SqliteServerKilled,
    /// PostgreSQL, and the server is killed.
    ServerKilled,
    /// PostgreSQL is killed.
    DatabaseKilled,
    /// PostgreSQL is killed, then the server, while events wait on its disk.
    BothKilled,
    /// The server is killed again and again while it stores what waited on its disk.
    KilledWhileDraining,
    /// PostgreSQL is away until the disk is full where events wait.
    DiskFull,
    /// PostgreSQL is away until as many events wait as may.
    BoundReached,
    /// The network to PostgreSQL is cut for so long.
    NetworkCut(Duration),
}

/// All scenarios.
pub(crate) fn all(cut: Duration) -> Vec<Scenario> {
    vec![
        Scenario::SqliteServerKilled,
        Scenario::ServerKilled,
        Scenario::DatabaseKilled,
        Scenario::BothKilled,
        Scenario::KilledWhileDraining,
        Scenario::DiskFull,
        Scenario::BoundReached,
        Scenario::NetworkCut(cut),
    ]
}

impl Scenario {
    pub(crate) fn name(self) -> String {
        match self {
            Self::SqliteServerKilled => format!("sqlite: kill -9 of the server, {KILLS} times"),
            Self::ServerKilled => format!("postgres: kill -9 of the server, {KILLS} times"),
            Self::DatabaseKilled => format!("postgres: kill -9 of PostgreSQL, {KILLS} times"),
            Self::BothKilled => "postgres: kill -9 of PostgreSQL, then of the server".to_owned(),
            Self::KilledWhileDraining => {
                format!("postgres: back, and kill -9 of the server as it drains, {KILLS} times")
            }
            Self::DiskFull => format!("postgres: away, and the disk of the spool full ({})", Disk::KIND),
            Self::BoundReached => "postgres: away, and the bound of the spool reached".to_owned(),
            Self::NetworkCut(cut) => format!("postgres: the network to it cut for {} s", cut.as_secs()),
        }
    }

    pub(crate) async fn run(self) -> Result<Outcome, Failure> {
        let folder = TempDir::new()?;
        match self {
            Self::SqliteServerKilled => {
                let setup = Setup::new(folder.path(), None)?;
                let url = DatabaseUrl::sqlite(&folder.path().join(DATABASE_FILE));
                server_killed(&setup, &url).await
            }
            Self::ServerKilled => {
                let cluster = Cluster::start().await?;
                let url = Cluster::url(cluster.port());
                server_killed(&Setup::new(folder.path(), Some(url.clone()))?, &url.parse()?).await
            }
            Self::DatabaseKilled => database_killed(folder.path()).await,
            Self::BothKilled => both_killed(folder.path()).await,
            Self::KilledWhileDraining => killed_while_draining(folder.path()).await,
            Self::DiskFull => disk_full(folder.path()).await,
            Self::BoundReached => {
                let cluster = Cluster::start().await?;
                let setup = Setup::new(folder.path(), Some(Cluster::url(cluster.port())))?;
                turned_away(cluster, Setup { spool_bytes: "256KiB".to_owned(), ..setup }).await
            }
            Self::NetworkCut(cut) => network_cut(folder.path(), cut).await,
        }
    }
}

async fn server_killed(setup: &Setup, url: &DatabaseUrl) -> Result<Outcome, Failure> {
    let mut server = setup.start().await?;
    let load = Load::start(setup.port);
    for _ in 0..KILLS {
        goes_on(&load).await?;
        server.kill()?;
        tokio::time::sleep(CALM).await;
        server = setup.start().await?;
    }
    goes_on(&load).await?;
    settle(load, server, url).await
}

async fn database_killed(folder: &Path) -> Result<Outcome, Failure> {
    let mut cluster = Cluster::start().await?;
    let url = Cluster::url(cluster.port());
    let setup = Setup::new(folder, Some(url.clone()))?;
    let server = setup.start().await?;
    let load = Load::start(setup.port);
    for _ in 0..KILLS {
        goes_on(&load).await?;
        cluster.kill()?;
        // While it is away, events are taken all the same.
        goes_on(&load).await?;
        tokio::time::sleep(AWAY).await;
        cluster.start_server().await?;
    }
    goes_on(&load).await?;
    settle(load, server, &url.parse()?).await
}

async fn both_killed(folder: &Path) -> Result<Outcome, Failure> {
    let mut cluster = Cluster::start().await?;
    let url = Cluster::url(cluster.port());
    let setup = Setup::new(folder, Some(url.clone()))?;
    let server = setup.start().await?;
    let load = Load::start(setup.port);
    goes_on(&load).await?;
    cluster.kill()?;
    goes_on(&load).await?;
    if server.spooled().await? == 0 {
        return Err("nothing waits on the server's disk".into());
    }
    server.kill()?;
    cluster.start_server().await?;
    let server = setup.start().await?;
    goes_on(&load).await?;
    settle(load, server, &url.parse()?).await
}

async fn killed_while_draining(folder: &Path) -> Result<Outcome, Failure> {
    let mut cluster = Cluster::start().await?;
    let url = Cluster::url(cluster.port());
    let setup = Setup::new(folder, Some(url.clone()))?;
    let mut server = setup.start().await?;
    let load = Load::start(setup.port);
    goes_on(&load).await?;
    cluster.kill()?;
    let begun = Instant::now();
    while server.spooled().await? < BACKLOG {
        if begun.elapsed() > PATIENCE {
            return Err("too little waits on the server's disk".into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    cluster.start_server().await?;
    for _ in 0..KILLS {
        let (begun, mut most) = (Instant::now(), 0);
        loop {
            let waiting = server.spooled().await?;
            if waiting == 0 || begun.elapsed() > PATIENCE {
                return Err("no drain was seen under way".into());
            }
            if waiting < most {
                break;
            }
            most = waiting;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        server.kill()?;
        server = setup.start().await?;
    }
    goes_on(&load).await?;
    settle(load, server, &url.parse()?).await
}

async fn disk_full(folder: &Path) -> Result<Outcome, Failure> {
    let cluster = Cluster::start().await?;
    let disk = Disk::make(folder);
    let setup = Setup::new(folder, Some(Cluster::url(cluster.port())))?;
    let outcome = turned_away(cluster, Setup { largest_file: disk.largest_file, ..setup }).await;
    drop(disk);
    outcome
}

/// PostgreSQL is away until callers are told to come again; then it is back.
async fn turned_away(mut cluster: Cluster, setup: Setup) -> Result<Outcome, Failure> {
    let url = Cluster::url(cluster.port());
    let server = setup.start().await?;
    let load = Load::start(setup.port);
    goes_on(&load).await?;
    cluster.kill()?;
    goes_on(&load).await?;
    until("callers are told to come again", || load.turned_away() > 20).await?;
    cluster.start_server().await?;
    goes_on(&load).await?;
    settle(load, server, &url.parse()?).await
}

async fn network_cut(folder: &Path, cut: Duration) -> Result<Outcome, Failure> {
    let cluster = Cluster::start().await?;
    let proxy = Proxy::start(cluster.port()).await?;
    let setup = Setup::new(folder, Some(Cluster::url(proxy.port())))?;
    let server = setup.start().await?;
    let load = Load::start(setup.port);
    goes_on(&load).await?;
    let begun = Instant::now();
    proxy.cut();
    goes_on(&load).await?;
    tokio::time::sleep(cut.saturating_sub(begun.elapsed())).await;
    proxy.mend();
    goes_on(&load).await?;
    settle(load, server, &Cluster::url(cluster.port()).parse()?).await
}

/// Waits for a while, and until more was acknowledged since.
async fn goes_on(load: &Load) -> Result<(), Failure> {
    let before = load.acknowledged();
    tokio::time::sleep(CALM).await;
    until("events are acknowledged", || load.acknowledged() > before + 1_000).await
}

async fn until(what: &str, is_so: impl Fn() -> bool) -> Result<(), Failure> {
    let begun = Instant::now();
    while !is_so() {
        if begun.elapsed() > PATIENCE {
            return Err(format!("not in {PATIENCE:?}: {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Ends the load, waits until nothing waits, and looks what is stored.
async fn settle(load: Load, server: Served, url: &DatabaseUrl) -> Result<Outcome, Failure> {
    let acknowledged = load.stop().await;
    server.drained().await?;
    // Killed once more, so that what is counted is on disk.
    server.kill()?;
    stored::compare(url, &acknowledged).await
}

/// A disk that is soon full: a small one of its own where this may mount, or else a limit on the size of files.
struct Disk<'f> {
    mounted: Option<&'f Path>,
    largest_file: Option<u64>,
}

impl<'f> Disk<'f> {
    const KIND: &'static str = "small tmpfs, or else a file size limit";

    fn make(folder: &'f Path) -> Self {
        let size = format!("size={SMALL_DISK}k");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "portcullis"]).arg(folder).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Self { mounted: Some(folder), largest_file: None };
        }
        let limited = "a small disk can not be mounted here; files are limited instead";
        let _ = writeln!(io::stderr(), "{limited} to {SMALL_DISK} KiB");
        Self { mounted: None, largest_file: Some(SMALL_DISK) }
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        if let Some(folder) = self.mounted {
            let _ = Command::new("umount").arg("--lazy").arg(folder).output();
        }
    }
}
