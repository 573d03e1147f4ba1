//! Batch after batch over one call: several are on their way at a time, and acknowledged in their order.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::{Status, Streaming};

use super::{Events, result};
use crate::error::{Error, Result};
use crate::transport::batch::Outcome;
use crate::transport::grpc::wire::{StreamEventsRequest, StreamEventsResponse, StreamedEventResult};

/// Batches of one call that may be on their way.
const UNDER_WAY: usize = 8;

type Answers = mpsc::Sender<std::result::Result<StreamEventsResponse, Status>>;
type Logged = JoinHandle<Result<Vec<Outcome>>>;

/// Reads until the caller has sent everything, or something fails.
pub(super) async fn run(events: Events, mut batches: Streaming<StreamEventsRequest>, answers: Answers) {
    let (sender, logged) = mpsc::channel(UNDER_WAY);
    let acknowledging = tokio::spawn(acknowledge(logged, answers.clone()));
    let failure = loop {
        let message = tokio::select! {
            message = batches.message() => message,
            () = sender.closed() => break None,
            () = events.stop.cancelled() => break Some(Error::Unavailable("the server is stopping".to_owned()).into()),
        };
        match message {
            Ok(Some(batch)) => {
                let events = events.clone();
                let logged = tokio::spawn(async move { events.log(batch.events).await });
                if sender.send(logged).await.is_err() {
                    break None;
                }
            }
            Ok(None) => break None,
            Err(status) => break Some(status),
        }
    };
    // What was read before is still answered.
    drop(sender);
    let acknowledged = acknowledging.await.is_ok_and(|all| all);
    if let (true, Some(status)) = (acknowledged, failure) {
        let _ = answers.send(Err(status)).await;
    }
}

/// Tells how far all is durable, until a batch fails; says whether none did.
async fn acknowledge(mut logged: mpsc::Receiver<Logged>, answers: Answers) -> bool {
    let mut durable_batches = 0;
    while let Some(next) = logged.recv().await {
        let mut answer = StreamEventsResponse { durable_batches, exceptions: Vec::new() };
        let mut failed = take(&mut answer, next).await.err();
        // One message for all that were made durable together.
        while failed.is_none()
            && let Ok(next) = logged.try_recv()
        {
            failed = take(&mut answer, next).await.err();
        }
        let went_on = answer.durable_batches > durable_batches;
        durable_batches = answer.durable_batches;
        if went_on && answers.send(Ok(answer)).await.is_err() {
            return false;
        }
        if let Some(error) = failed {
            let _ = answers.send(Err(error.into())).await;
            return false;
        }
    }
    true
}

/// Waits for a batch, and adds it to the answer.
async fn take(answer: &mut StreamEventsResponse, logged: Logged) -> Result<()> {
    let outcomes = logged.await.map_err(Error::internal)??;
    answer.durable_batches += 1;
    let batch = answer.durable_batches;
    let exceptions = (0..).zip(outcomes).filter(|(_, outcome)| *outcome != Outcome::Stored);
    answer.exceptions.extend(exceptions.map(|(index, outcome)| StreamedEventResult {
        batch,
        index,
        result: Some(result(outcome)),
    }));
    Ok(())
}
