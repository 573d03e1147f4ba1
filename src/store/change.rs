//! One change of the configuration: all that is written in one transaction.

use crate::analysis::decision::Decision;
use crate::domain::catalogue::{Catalogue, Shelf};
use crate::domain::config::DynamicConfig;
use crate::domain::experiment::Experiment;
use crate::domain::gate::Gate;
use crate::domain::holdout::Holdout;
use crate::domain::latch::Latch;
use crate::domain::launch::Launch;
use crate::domain::layer::Layer;
use crate::domain::metric::Metric;
use crate::domain::policy::Policy;
use crate::domain::sdk_key::SdkKey;
use crate::domain::segment::Segment;
use crate::domain::stored::{Document, Stored};
use crate::domain::time::Timestamp;
use crate::domain::webhook::Webhook;
use crate::store::lease::Fence;
use crate::store::outbox::Notice;

/// Everything that one change writes.
#[derive(Clone, Debug)]
pub struct Change {
    /// Revision of the configuration that the change was made from.
    pub base_revision: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// The audited function that made it.
    pub action: String,
    /// What is written.
    pub writes: Vec<Write>,
    /// The number under which the guard makes it; none where a person does.
    pub fence: Option<Fence>,
}

/// One thing to write, in the form it shall have.
#[derive(Clone, Debug)]
pub enum Write {
    /// A gate.
    Gate(Stored<Gate>),
    /// An experiment.
    Experiment(Stored<Experiment>),
    /// A holdout.
    Holdout(Stored<Holdout>),
    /// A segment.
    Segment(Stored<Segment>),
    /// A dynamic config.
    Config(Stored<DynamicConfig>),
    /// A layer.
    Layer(Stored<Layer>),
    /// A metric.
    Metric(Stored<Metric>),
    /// A webhook.
    Webhook(Stored<Webhook>),
    /// A policy.
    Policy(Stored<Policy>),
    /// A key of an SDK.
    SdkKey(Stored<SdkKey>),
    /// A launch.
    Launch(Box<Launch>),
    /// A latch.
    Latch(Latch),
    /// A decision, to be added.
    Decision(Box<Decision>),
    /// A notice of such a decision.
    Notice(Notice),
}

/// A document that has a place in the catalogue.
pub trait Kept: Document {
    /// Its shelf.
    fn shelf(catalogue: &Catalogue) -> &Shelf<Self>;

    /// The write that stores it.
    fn write(stored: Stored<Self>) -> Write;
}

impl Kept for Gate {
    fn shelf(catalogue: &Catalogue) -> &Shelf<Self> {
        &catalogue.gates
    }

    fn write(stored: Stored<Self>) -> Write {
        Write::Gate(stored)
    }
}

impl Kept for Experiment {
    fn shelf(catalogue: &Catalogue) -> &Shelf<Self> {
        &catalogue.experiments
    }

    fn write(stored: Stored<Self>) -> Write {
        Write::Experiment(stored)
    }
}

impl Kept for Holdout {
    fn shelf(catalogue: &Catalogue) -> &Shelf<Self> {
        &catalogue.holdouts
    }

    fn write(stored: Stored<Self>) -> Write {
        Write::Holdout(stored)
    }
}

impl Kept for Segment {
    fn shelf(catalogue: &Catalogue) -> &Shelf<Self> {
        &catalogue.segments
    }

    fn write(stored: Stored<Self>) -> Write {
        Write::Segment(stored)
    }
}

impl Kept for DynamicConfig {
    fn shelf(catalogue: &Catalogue) -> &Shelf<Self> {
        &catalogue.configs
    }

    fn write(stored: Stored<Self>) -> Write {
        Write::Config(stored)
    }
}

impl Kept for Layer {
    fn shelf(catalogue: &Catalogue) -> &Shelf<Self> {
        &catalogue.layers
    }

    fn write(stored: Stored<Self>) -> Write {
        Write::Layer(stored)
    }
}

impl Kept for Metric {
    fn shelf(catalogue: &Catalogue) -> &Shelf<Self> {
        &catalogue.metrics
    }

    fn write(stored: Stored<Self>) -> Write {
        Write::Metric(stored)
    }
}

impl Kept for Webhook {
    fn shelf(catalogue: &Catalogue) -> &Shelf<Self> {
        &catalogue.webhooks
    }

    fn write(stored: Stored<Self>) -> Write {
        Write::Webhook(stored)
    }
}

impl Kept for Policy {
    fn shelf(catalogue: &Catalogue) -> &Shelf<Self> {
        &catalogue.policies
    }

    fn write(stored: Stored<Self>) -> Write {
        Write::Policy(stored)
    }
}

impl Kept for SdkKey {
    fn shelf(catalogue: &Catalogue) -> &Shelf<Self> {
        &catalogue.sdk_keys
    }

    fn write(stored: Stored<Self>) -> Write {
        Write::SdkKey(stored)
    }
}

impl Change {
    /// Revision of the configuration once the change is made.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.base_revision + 1
    }

    /// The catalogue once the change is made.
    #[must_use]
    pub fn applied_to(&self, catalogue: &Catalogue) -> Catalogue {
        let mut catalogue = catalogue.clone();
        catalogue.revision = self.revision();
        catalogue.changed_at = self.at.max(catalogue.changed_at.plus_ms(1));
        for write in &self.writes {
            write.apply_to(&mut catalogue);
        }
        catalogue
    }
}

impl Write {
    /// The kind of what is written.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Gate(_) => Gate::KIND,
            Self::Experiment(_) => Experiment::KIND,
            Self::Holdout(_) => Holdout::KIND,
            Self::Segment(_) => Segment::KIND,
            Self::Config(_) => DynamicConfig::KIND,
            Self::Layer(_) => Layer::KIND,
            Self::Metric(_) => Metric::KIND,
            Self::Webhook(_) => Webhook::KIND,
            Self::Policy(_) => Policy::KIND,
            Self::SdkKey(_) => SdkKey::KIND,
            Self::Launch(_) => "launch",
            Self::Latch(_) => "latch",
            Self::Decision(_) => "decision",
            Self::Notice(_) => "notice",
        }
    }

    /// Makes it so in a catalogue.
    pub fn apply_to(&self, catalogue: &mut Catalogue) {
        match self {
            Self::Gate(stored) => put(&mut catalogue.gates, stored),
            Self::Experiment(stored) => put(&mut catalogue.experiments, stored),
            Self::Holdout(stored) => put(&mut catalogue.holdouts, stored),
            Self::Segment(stored) => put(&mut catalogue.segments, stored),
            Self::Config(stored) => put(&mut catalogue.configs, stored),
            Self::Layer(stored) => put(&mut catalogue.layers, stored),
            Self::Metric(stored) => put(&mut catalogue.metrics, stored),
            Self::Webhook(stored) => put(&mut catalogue.webhooks, stored),
            Self::Policy(stored) => put(&mut catalogue.policies, stored),
            Self::SdkKey(stored) => put(&mut catalogue.sdk_keys, stored),
            Self::Launch(launch) => catalogue.put_launch((**launch).clone()),
            Self::Latch(latch) => {
                catalogue.latches.insert(latch.id, latch.clone().into());
            }
            Self::Decision(_) | Self::Notice(_) => {}
        }
    }
}

fn put<T: Document>(shelf: &mut Shelf<T>, stored: &Stored<T>) {
    shelf.insert(stored.document.key().to_owned(), stored.clone().into());
}
