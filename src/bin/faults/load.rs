//! Loggers that send numbered events until they are told to stop, and note what was acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portcullis::transport::grpc::wire::{Event, EventOutcome, EventResult, LogEventsRequest, User};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic_types::StatusExt;

use crate::Failure;
use crate::served::client;

/// Loggers at a time.
const LOGGERS: usize = 4;
/// Events of a batch.
const BATCH: usize = 100;
/// Users to whom things happen.
const USERS: usize = 500;
/// The property that has an event's number, by which it is found again.
pub(crate) const NUMBER: &str = "number";
/// The name of all events.
pub(crate) const NAME: &str = "counted";
/// How long a logger waits for an answer, and before it tries again.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// Loggers at work.
pub(crate) struct Load {
    loggers: JoinSet<Vec<String>>,
    stop: CancellationToken,
    acknowledged: Arc<AtomicUsize>,
    turned_away: Arc<AtomicUsize>,
}

impl Load {
    pub(crate) fn start(port: u16) -> Self {
        let (stop, acknowledged, turned_away) =
            (CancellationToken::new(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut loggers = JoinSet::new();
        for number in 0..LOGGERS {
            let logger = Logger {
                number,
                port,
                stop: stop.clone(),
                acknowledged: Arc::clone(&acknowledged),
                turned_away: Arc::clone(&turned_away),
            };
            loggers.spawn(logger.run());
        }
        Self { loggers, stop, acknowledged, turned_away }
    }

    /// Events that were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Batches that were answered by UNAVAILABLE and when to come again, so far.
    pub(crate) fn turned_away(&self) -> usize {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// Numbers of all events that were acknowledged.
    pub(crate) async fn stop(self) -> Vec<String> {
        self.stop.cancel();
        self.loggers.join_all().await.into_iter().flatten().collect()
    }
}

/// The ids of all users.
pub(crate) fn users() -> impl Iterator<Item = String> {
    (0..USERS).map(|user| format!("user-{user}"))
}

struct Logger {
    number: usize,
    port: u16,
    stop: CancellationToken,
    acknowledged: Arc<AtomicUsize>,
    turned_away: Arc<AtomicUsize>,
}

impl Logger {
    async fn run(self) -> Vec<String> {
        let mut acknowledged = Vec::new();
        for round in 0_usize.. {
            let events: Vec<Event> = (0..BATCH).map(|place| self.event(round, place)).collect();
            // The same batch is sent until it is answered, since an answer may be missed.
            while !self.log(&events).await {
                if self.stop.is_cancelled() {
                    return acknowledged;
                }
                tokio::time::sleep(PAUSE).await;
            }
            acknowledged.extend(events.into_iter().map(|event| event.id));
            self.acknowledged.fetch_add(BATCH, Ordering::Relaxed);
            if self.stop.is_cancelled() {
                break;
            }
        }
        acknowledged
    }

    /// Whether all of a batch was acknowledged.
    async fn log(&self, events: &[Event]) -> bool {
        let Some(mut client) = client(self.port).await else {
            return false;
        };
        let call = client.log_events(LogEventsRequest { events: events.to_vec() });
        match tokio::time::timeout(PATIENCE, call).await {
            Ok(Ok(answer)) => {
                let durable = [EventOutcome::Stored, EventOutcome::Duplicate];
                answer
                    .into_inner()
                    .results
                    .iter()
                    .map(EventResult::outcome)
                    .all(|outcome| durable.contains(&outcome))
            }
            Ok(Err(status)) => {
                let comes_again = status.get_details_retry_info().is_some();
                if status.code() == tonic::Code::Unavailable && comes_again {
                    self.turned_away.fetch_add(1, Ordering::Relaxed);
                }
                false
            }
            Err(_) => false,
        }
    }

    fn event(&self, round: usize, place: usize) -> Event {
        let id = format!("{}-{round}-{place}", self.number);
        let user_id = format!("user-{}", (round * BATCH + place) % USERS);
        Event {
            name: NAME.to_owned(),
            user: Some(User { user_id, ..User::default() }),
            properties: BTreeMap::from([(NUMBER.to_owned(), id.clone())]),
            id,
            ..Event::default()
        }
    }
}

/// What an address of the server answers, by HTTP/1.0, where the end of the answer is the end of the connection.
pub(crate) async fn get(port: u16, path: &str) -> Result<Value, Failure> {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await?;
    connection.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("an answer without a body")?;
    Ok(serde_json::from_str(body)?)
}
