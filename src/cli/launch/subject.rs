//! What a command is about: a rule, an experiment, a shipped group, a holdout, or one launch.

use clap::Args;

use crate::transport::grpc::wire::check_launch_request::Subject;
use crate::transport::grpc::wire::{CheckLaunchRequest, Target, TargetKind};

/// Which launch is meant.
#[derive(Clone, Debug, Args)]
pub(super) struct SubjectArgs {
    /// Key of a gate, or of what the flags say, or id of a launch.
    key: String,
    /// The rule of the gate or config; it may be left out where there is one.
    #[arg(long, conflicts_with_all = ["experiment", "shipment", "holdout"])]
    rule: Option<String>,
    #[command(flatten)]
    kind: KindArgs,
}

/// What KEY is the key of.
#[derive(Clone, Copy, Debug, Args)]
#[group(multiple = false)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag, and at most one is set")]
struct KindArgs {
    /// KEY is that of an experiment.
    #[arg(long)]
    experiment: bool,
    /// KEY is that of an experiment whose group is shipped.
    #[arg(long)]
    shipment: bool,
    /// KEY is that of a dynamic config.
    #[arg(long)]
    config: bool,
    /// KEY is that of a holdout that lets units go.
    #[arg(long)]
    holdout: bool,
}

impl SubjectArgs {
    /// The same as it is asked for. What has the form of an id is one.
    pub(super) fn request(&self) -> CheckLaunchRequest {
        let kind = self.kind.kind();
        let is_id = kind.is_none() && self.rule.is_none() && uuid::Uuid::parse_str(&self.key).is_ok();
        let subject = if is_id {
            Subject::LaunchId(self.key.clone())
        } else {
            Subject::Target(Target {
                kind: kind.unwrap_or(TargetKind::GateRule).into(),
                key: self.key.clone(),
                rule_id: self.rule.clone().unwrap_or_default(),
            })
        };
        CheckLaunchRequest { subject: Some(subject) }
    }
}

impl KindArgs {
    fn kind(self) -> Option<TargetKind> {
        let kinds = [
            (self.experiment, TargetKind::Experiment),
            (self.shipment, TargetKind::Shipment),
            (self.config, TargetKind::ConfigRule),
            (self.holdout, TargetKind::Holdout),
        ];
        kinds.into_iter().find_map(|(is_set, kind)| is_set.then_some(kind))
    }
}
