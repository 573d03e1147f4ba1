//! Points at which tests end the program or hold it up. Without the feature `failpoints` nothing is there.
//!
//! `PORTCULLIS_FAILPOINT=POINT` ends the process as a kill does, when it first comes to that point; `FIRST > POINT` when it
//! comes to it after the first one. With `POINT=FOLDER` it leaves a file `reached` in the folder then, and goes on once there is a
//! file `go`.

#[cfg(feature = "failpoints")]
pub use built_in::reach;

/// Comes to the point `WHEN WHAT`.
#[cfg(not(feature = "failpoints"))]
pub fn reach(_when: &str, _what: &str) -> std::future::Ready<()> {
    std::future::ready(())
}

#[cfg(feature = "failpoints")]
mod built_in {
    use std::path::PathBuf;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    /// What says where the program ends or is held up.
    const VARIABLE: &str = "PORTCULLIS_FAILPOINT";
    /// How often it is looked whether it may go on.
    const LOOK: Duration = Duration::from_millis(10);

    static PATH: LazyLock<Option<Path>> = LazyLock::new(|| {
        #[expect(clippy::disallowed_methods, reason = "it is no setting: what is served has no such points")]
        let text = std::env::var(VARIABLE).ok()?;
        let (points, folder) = match text.split_once('=') {
            Some((points, folder)) => (points, Some(PathBuf::from(folder))),
            None => (text.as_str(), None),
        };
        let points = points.split(" > ").map(str::to_owned).collect();
        Some(Path { points, folder, passed: AtomicUsize::new(0) })
    });

    /// The points that are to be come to, one after the other.
    struct Path {
        points: Vec<String>,
        folder: Option<PathBuf>,
        passed: AtomicUsize,
    }

    /// Comes to the point `WHEN WHAT`.
    pub async fn reach(when: &str, what: &str) {
        let Some(path) = PATH.as_ref() else { return };
        let passed = path.passed.load(Ordering::SeqCst);
        if path.points.get(passed).is_none_or(|point| *point != format!("{when} {what}")) {
            return;
        }
        let next = path.passed.compare_exchange(passed, passed + 1, Ordering::SeqCst, Ordering::SeqCst);
        if next.is_err() || passed + 1 < path.points.len() {
            return;
        }
        match &path.folder {
            Some(folder) => hold(folder).await,
            None => std::process::abort(),
        }
    }

    async fn hold(folder: &std::path::Path) {
        let left = tokio::fs::write(folder.join("reached"), "").await;
        while left.is_ok() && !folder.join("go").exists() {
            tokio::time::sleep(LOOK).await;
        }
    }
}
