//! Shows one caller what comes in, until it goes away, falls behind, or the server stops.

use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::domain::event::{Event, Exposure};
use crate::domain::launch::{LaunchId, Target};
use crate::error::Error;
use crate::ingest::Seen;
use crate::live::Live;
use crate::transport::grpc::convert::wire_time;
use crate::transport::grpc::wire::watch_exposures_response::Item;
use crate::transport::grpc::wire::{SeenEvent, SeenExposure, WatchExposuresResponse};

/// What a caller asked for.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) launch: Option<LaunchId>,
    /// Of a gate or an experiment; empty for all.
    pub(super) key: String,
    pub(super) event_names: Vec<String>,
}

/// Sends to one caller.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) live: Arc<Live>,
    pub(super) filter: Filter,
    pub(super) sender: mpsc::Sender<Result<WatchExposuresResponse, Status>>,
    pub(super) stop: CancellationToken,
}

impl Watcher {
    pub(super) async fn run(self, mut feed: Receiver<Seen>) {
        let ending = loop {
            let seen = tokio::select! {
                seen = feed.recv() => seen,
                () = self.sender.closed() => return,
                () = self.stop.cancelled() => break "the server is stopping; call again".to_owned(),
            };
            match seen {
                Ok(seen) => {
                    let Some(item) = self.item(&seen) else {
                        continue;
                    };
                    let sending = self.sender.send(Ok(WatchExposuresResponse { item: Some(item) }));
                    tokio::select! {
                        sent = sending => if sent.is_err() { return },
                        () = self.stop.cancelled() => return,
                    }
                }
                Err(RecvError::Lagged(missed)) => {
                    break format!(
                        "you read too slowly and missed {missed}; call again for what comes from now on"
                    );
                }
                Err(RecvError::Closed) => return,
            }
        };
        let _ = self.sender.send(Err(Error::Unavailable(ending).into())).await;
    }

    /// What to send, if it is asked for.
    fn item(&self, seen: &Seen) -> Option<Item> {
        match seen {
            Seen::Event(event) => {
                self.filter.wants_event(&event.name).then(|| Item::Event(seen_event(event)))
            }
            Seen::Exposure(exposure) => {
                let launch = exposure.assignment.as_ref().map(|assignment| assignment.launch);
                let key = launch.and_then(|launch| self.key(launch)).unwrap_or_default();
                self.filter.wants_exposure(launch, &key).then(|| Item::Exposure(seen_exposure(exposure, key)))
            }
        }
    }

    /// Key of what a launch is about.
    fn key(&self, launch: LaunchId) -> Option<String> {
        let in_force = self.live.in_force();
        Some(match &in_force.catalogue.launches.get(&launch)?.target {
            Target::GateRule { gate, .. } => gate.clone(),
            Target::ConfigRule { config, .. } => config.clone(),
            Target::Experiment { experiment } | Target::Shipment { experiment } => experiment.clone(),
            Target::Holdout { holdout } => holdout.clone(),
        })
    }
}

impl Filter {
    fn is_of_a_launch(&self) -> bool {
        self.launch.is_some() || !self.key.is_empty()
    }

    fn wants_event(&self, name: &str) -> bool {
        if self.event_names.is_empty() {
            !self.is_of_a_launch()
        } else {
            self.event_names.iter().any(|wanted| wanted == name)
        }
    }

    fn wants_exposure(&self, launch: Option<LaunchId>, key: &str) -> bool {
        if !self.is_of_a_launch() {
            // Whoever asks for events by name alone wants those.
            return self.event_names.is_empty();
        }
        self.launch.is_none_or(|wanted| launch == Some(wanted)) && (self.key.is_empty() || self.key == key)
    }
}

fn seen_exposure(exposure: &Exposure, key: String) -> SeenExposure {
    let assignment = exposure.assignment.as_ref();
    SeenExposure {
        unit_type: exposure.unit_type.clone(),
        unit_id: exposure.unit_id.clone(),
        time: Some(wire_time(exposure.at)),
        launch_id: assignment.map(|assignment| assignment.launch.to_string()).unwrap_or_default(),
        key,
        epoch: assignment.map_or(0, |assignment| i32::try_from(assignment.epoch).unwrap_or(i32::MAX)),
        arm: assignment.map(|assignment| assignment.arm.clone()).unwrap_or_default(),
        reverted: assignment.is_some_and(|assignment| assignment.reverted),
    }
}

fn seen_event(event: &Event) -> SeenEvent {
    let units = event.user.units().into_iter();
    SeenEvent {
        id: event.id.clone(),
        name: event.name.clone(),
        unit_ids: units.map(|(unit_type, id)| (unit_type.into_owned(), id.to_owned())).collect(),
        time: Some(wire_time(event.at)),
        received: Some(wire_time(event.received_at)),
        value: event.value,
        properties: event.properties.clone(),
    }
}
