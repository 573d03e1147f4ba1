//! What a command is about: a gate's rule, an experiment, or one launch.

use clap::Args;

use crate::transport::grpc::wire::check_launch_request::Subject;
use crate::transport::grpc::wire::{CheckLaunchRequest, Target, TargetKind};

/// Which launch is meant.
#[derive(Clone, Debug, Args)]
pub(super) struct SubjectArgs {
    /// Key of a gate, key of an experiment with --experiment, or id of a launch.
    key: String,
    /// The gate's rule; it may be left out where there is one.
    #[arg(long, conflicts_with = "experiment")]
    rule: Option<String>,
    /// KEY is that of an experiment.
    #[arg(long)]
    experiment: bool,
}

impl SubjectArgs {
    /// The same as it is asked for. What has the form of an id is one.
    pub(super) fn request(&self) -> CheckLaunchRequest {
        let is_id = !self.experiment && self.rule.is_none() && uuid::Uuid::parse_str(&self.key).is_ok();
        let subject =
            if is_id { Subject::LaunchId(self.key.clone()) } else { Subject::Target(self.target()) };
        CheckLaunchRequest { subject: Some(subject) }
    }

    fn target(&self) -> Target {
        let kind = if self.experiment { TargetKind::Experiment } else { TargetKind::GateRule };
        Target { kind: kind.into(), key: self.key.clone(), rule_id: self.rule.clone().unwrap_or_default() }
    }
}
