//! The sections of a configuration, one a kind.

use super::Configuration;
use crate::domain::config::DynamicConfig;
use crate::domain::experiment::Experiment;
use crate::domain::gate::Gate;
use crate::domain::holdout::Holdout;
use crate::domain::layer::Layer;
use crate::domain::metric::Metric;
use crate::domain::policy::Policy;
use crate::domain::segment::Segment;
use crate::domain::stored::Document;
use crate::domain::webhook::Webhook;

/// A document that has a section in a configuration.
pub trait Section: Document {
    /// What the section is called.
    const NAME: &'static str;

    /// The documents.
    fn section(configuration: &Configuration) -> &Vec<Self>;

    /// The documents, to be changed.
    fn section_mut(configuration: &mut Configuration) -> &mut Vec<Self>;

    /// The document as it may be shown, without what is secret.
    #[must_use]
    fn shown(&self) -> Self {
        self.clone()
    }
}

impl Section for Metric {
    const NAME: &'static str = "metrics";

    fn section(configuration: &Configuration) -> &Vec<Self> {
        &configuration.metrics
    }

    fn section_mut(configuration: &mut Configuration) -> &mut Vec<Self> {
        &mut configuration.metrics
    }
}

impl Section for Policy {
    const NAME: &'static str = "policies";

    fn section(configuration: &Configuration) -> &Vec<Self> {
        &configuration.policies
    }

    fn section_mut(configuration: &mut Configuration) -> &mut Vec<Self> {
        &mut configuration.policies
    }
}

impl Section for Segment {
    const NAME: &'static str = "segments";

    fn section(configuration: &Configuration) -> &Vec<Self> {
        &configuration.segments
    }

    fn section_mut(configuration: &mut Configuration) -> &mut Vec<Self> {
        &mut configuration.segments
    }
}

impl Section for Gate {
    const NAME: &'static str = "gates";

    fn section(configuration: &Configuration) -> &Vec<Self> {
        &configuration.gates
    }

    fn section_mut(configuration: &mut Configuration) -> &mut Vec<Self> {
        &mut configuration.gates
    }
}

impl Section for DynamicConfig {
    const NAME: &'static str = "configs";

    fn section(configuration: &Configuration) -> &Vec<Self> {
        &configuration.configs
    }

    fn section_mut(configuration: &mut Configuration) -> &mut Vec<Self> {
        &mut configuration.configs
    }
}

impl Section for Layer {
    const NAME: &'static str = "layers";

    fn section(configuration: &Configuration) -> &Vec<Self> {
        &configuration.layers
    }

    fn section_mut(configuration: &mut Configuration) -> &mut Vec<Self> {
        &mut configuration.layers
    }
}

impl Section for Experiment {
    const NAME: &'static str = "experiments";

    fn section(configuration: &Configuration) -> &Vec<Self> {
        &configuration.experiments
    }

    fn section_mut(configuration: &mut Configuration) -> &mut Vec<Self> {
        &mut configuration.experiments
    }
}

impl Section for Holdout {
    const NAME: &'static str = "holdouts";

    fn section(configuration: &Configuration) -> &Vec<Self> {
        &configuration.holdouts
    }

    fn section_mut(configuration: &mut Configuration) -> &mut Vec<Self> {
        &mut configuration.holdouts
    }
}

impl Section for Webhook {
    const NAME: &'static str = "webhooks";

    fn section(configuration: &Configuration) -> &Vec<Self> {
        &configuration.webhooks
    }

    fn section_mut(configuration: &mut Configuration) -> &mut Vec<Self> {
        &mut configuration.webhooks
    }

    fn shown(&self) -> Self {
        Self::shown(self)
    }
}
