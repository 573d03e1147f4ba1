//! What is counted, in the text form that Prometheus reads (OpenMetrics 1.0).

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::lease::LeaseGauges;
use super::refusal::Refusal;
use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::ingest::Ingest;
use crate::live::Live;

/// The type of the text form.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is told of the moment.
#[derive(Debug)]
struct Metrics {
    live: Arc<Live>,
    ingest: Ingest,
    clock: Clock,
    registry: Registry,
    event_queue: Gauge,
    event_queue_bytes: Gauge,
    exposure_queue: Gauge,
    spool_batches: Gauge,
    spool_bytes: Gauge,
    spool_refused: Gauge,
    spool_age: Gauge<f64, AtomicU64>,
    watermark_age: Gauge<f64, AtomicU64>,
    lease: LeaseGauges,
}

/// Answers with counts and sizes.
pub(super) fn route(live: Arc<Live>, ingest: Ingest, clock: Clock) -> MethodRouter {
    get(metrics).with_state(Arc::new(Metrics::new(live, ingest, clock)))
}

async fn metrics(State(metrics): State<Arc<Metrics>>) -> Result<Response, Refusal> {
    metrics.look().await;
    let mut text = String::new();
    encode(&mut text, &metrics.registry).map_err(Error::internal)?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

impl Metrics {
    fn new(live: Arc<Live>, ingest: Ingest, clock: Clock) -> Self {
        let mut registry = Registry::default();
        ingest.counts().register(&mut registry);
        let metrics = Self {
            live,
            ingest,
            clock,
            registry: Registry::default(),
            event_queue: Gauge::default(),
            event_queue_bytes: Gauge::default(),
            exposure_queue: Gauge::default(),
            spool_batches: Gauge::default(),
            spool_bytes: Gauge::default(),
            spool_refused: Gauge::default(),
            spool_age: Gauge::default(),
            watermark_age: Gauge::default(),
            lease: LeaseGauges::default(),
        };
        let sizes = [
            (
                "portcullis_event_queue_batches",
                "Batches of events that wait for the writer",
                &metrics.event_queue,
            ),
            ("portcullis_exposure_queue", "Exposures that wait for the writer", &metrics.exposure_queue),
            (
                "portcullis_spool_batches",
                "Batches that wait on the local disk for the store",
                &metrics.spool_batches,
            ),
            (
                "portcullis_spool_refused",
                "Events and exposures that the store will not take, each set aside until the next start",
                &metrics.spool_refused,
            ),
        ];
        for (name, help, gauge) in sizes {
            registry.register(name, help, gauge.clone());
        }
        let bytes = [
            (
                "portcullis_event_queue",
                "Bytes of the batches that wait for the writer",
                &metrics.event_queue_bytes,
            ),
            ("portcullis_spool", "Bytes that wait on the local disk for the store", &metrics.spool_bytes),
        ];
        for (name, help, gauge) in bytes {
            registry.register_with_unit(name, help, Unit::Bytes, gauge.clone());
        }
        let ages = [
            (
                "portcullis_spool_oldest_age",
                "How long the oldest batch has been waiting on the local disk; 0 where none is",
                &metrics.spool_age,
            ),
            (
                "portcullis_watermark_age",
                "How long ago the latest event happened that is stored; -1 before the first, and while the store is not \
                 available",
                &metrics.watermark_age,
            ),
        ];
        for (name, help, gauge) in ages {
            registry.register_with_unit(name, help, Unit::Seconds, gauge.clone());
        }
        metrics.lease.register(&mut registry);
        Self { registry, ..metrics }
    }

    /// Sets the gauges to what is now.
    async fn look(&self) {
        let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let length = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
        let (queued, spooled) = (self.ingest.queued(), self.ingest.spooled());
        self.event_queue.set(length(queued.batches));
        self.event_queue_bytes.set(length(queued.bytes));
        self.exposure_queue.set(length(queued.exposures));
        self.spool_batches.set(whole(spooled.batches));
        self.spool_bytes.set(whole(spooled.bytes));
        self.spool_refused.set(whole(spooled.refused));
        self.spool_age.set(spooled.oldest.map_or(0.0, |at| self.age(at)));
        self.lease.look(&self.live);
        let watermark = self.ingest.watermark().await.ok().flatten();
        self.watermark_age.set(watermark.map_or(-1.0, |at| self.age(at)));
    }

    /// In seconds.
    fn age(&self, at: Timestamp) -> f64 {
        self.clock.now().ms_since(at) as f64 / 1_000.0
    }
}
