//! `portcullis evaluate`: what users get from a configuration, and why, without a server.

mod json;
mod text;
mod users;

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::output::Format;
use crate::clock::Clock;
use crate::domain::configuration::Configuration;
use crate::domain::user::User;
use crate::domain::violation::Invalid;
use crate::engine::compile::compile;
use crate::engine::evaluate::Entity;
use crate::engine::explain::{Explanation, explain};
use crate::engine::lower::lower;
use crate::engine::snapshot::Snapshot;

/// Says what users get from a configuration, with each rule, each condition's outcome, the bucket and the reason. No
/// server is asked and nothing is recorded. Exits 1 when a file can not be read or a key is not there.
#[derive(Clone, Debug, Args)]
pub(super) struct EvaluateArgs {
    /// The configuration, as `portcullis export` writes it.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The users, one JSON object a line; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    pub users: PathBuf,
    /// Only what this key names; without it everything.
    #[arg(long)]
    pub key: Option<String>,
    /// Only this kind; without it all of them.
    #[arg(long, value_enum)]
    pub kind: Option<Kind>,
    /// How the answers are written; with `json`, one object a line.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// A gate, also a holdout, or a segment as `segment:KEY`.
    Gate,
    /// A dynamic config.
    Config,
    /// An experiment.
    Experiment,
    /// A layer.
    Layer,
}

/// One thing that users are evaluated for.
struct Subject {
    kind: Kind,
    key: String,
}

/// Why users were not evaluated.
#[derive(Debug, thiserror::Error)]
pub(super) enum EvaluateError {
    /// A file can not be read.
    #[error("cannot read {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration is not valid.
    #[error("{}: {invalid}", file.display())]
    Configuration {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        invalid: Invalid,
    },
    /// A line of the users is not valid.
    #[error("{}, line {line}: {message}", file.display())]
    User {
        /// The file.
        file: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// The key names nothing.
    #[error("the configuration has no {what} `{key}`")]
    NoSuchKey {
        /// What was asked for.
        what: &'static str,
        /// Its key.
        key: String,
    },
    /// The answers cannot be written.
    #[error("cannot write the answers: {0}")]
    Write(#[from] io::Error),
}

/// Writes the answers to `out`.
pub(super) fn run(arguments: &EvaluateArgs, out: &mut impl Write) -> Result<(), EvaluateError> {
    match answer_all(arguments, out) {
        // A reader that has seen enough is no failure.
        Err(EvaluateError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        answered => answered,
    }
}

fn answer_all(arguments: &EvaluateArgs, out: &mut impl Write) -> Result<(), EvaluateError> {
    let unreadable = |file: &Path| {
        let file = file.to_owned();
        move |source| EvaluateError::Read { file, source }
    };
    let text = std::fs::read_to_string(&arguments.config).map_err(unreadable(&arguments.config))?;
    let configuration = Configuration::from_yaml(&text)
        .map_err(|invalid| EvaluateError::Configuration { file: arguments.config.clone(), invalid })?;
    let now = Clock::system().now();
    let snapshot = compile(&lower(&configuration.catalogue(now)));
    let subjects = subjects(&configuration, &snapshot, arguments)?;
    let users = open(&arguments.users).map_err(unreadable(&arguments.users))?;
    for (index, line) in users.lines().enumerate() {
        let line = line.map_err(unreadable(&arguments.users))?;
        if line.trim().is_empty() {
            continue;
        }
        let user = users::read(&line).map_err(|message| {
            let file = arguments.users.clone();
            EvaluateError::User { file, line: index + 1, message }
        })?;
        for subject in &subjects {
            if let Some(explanation) = explain(&snapshot, subject.kind.entity(), &subject.key, &user, now) {
                write(arguments.format, out, &user, subject, &explanation)?;
            }
        }
    }
    Ok(out.flush()?)
}

fn write(
    format: Format,
    out: &mut impl Write,
    user: &User,
    subject: &Subject,
    explanation: &Explanation<'_>,
) -> io::Result<()> {
    match format {
        Format::Text => text::write(out, user, subject, explanation),
        Format::Json => json::write(out, user, subject, explanation),
    }
}

/// What is asked for; a key that names nothing is an error.
fn subjects(
    configuration: &Configuration,
    snapshot: &Snapshot,
    arguments: &EvaluateArgs,
) -> Result<Vec<Subject>, EvaluateError> {
    let kinds = Kind::value_variants().iter().copied();
    let kinds: Vec<Kind> = kinds.filter(|kind| arguments.kind.is_none_or(|wanted| wanted == *kind)).collect();
    let Some(key) = &arguments.key else {
        let of_kind = |kind: Kind| kind.keys(configuration).into_iter().map(move |key| Subject { kind, key });
        return Ok(kinds.into_iter().flat_map(of_kind).collect());
    };
    let found = kinds.into_iter().filter(|kind| snapshot.contains(kind.entity(), key));
    let found: Vec<Subject> = found.map(|kind| Subject { kind, key: key.clone() }).collect();
    if found.is_empty() {
        let what = arguments.kind.map_or("gate, config, experiment or layer", Kind::name);
        return Err(EvaluateError::NoSuchKey { what, key: key.clone() });
    }
    Ok(found)
}

fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    Ok(Box::new(BufReader::new(std::fs::File::open(path)?)))
}

impl Kind {
    fn entity(self) -> Entity {
        match self {
            Self::Gate => Entity::Gate,
            Self::Config => Entity::Config,
            Self::Experiment => Entity::Experiment,
            Self::Layer => Entity::Layer,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Config => "config",
            Self::Experiment => "experiment",
            Self::Layer => "layer",
        }
    }

    fn keys(self, configuration: &Configuration) -> Vec<String> {
        match self {
            Self::Gate => configuration.gates.iter().map(|gate| gate.key.clone()).collect(),
            Self::Config => configuration.configs.iter().map(|config| config.key.clone()).collect(),
            Self::Experiment => {
                configuration.experiments.iter().map(|experiment| experiment.key.clone()).collect()
            }
            Self::Layer => configuration.layers.iter().map(|layer| layer.key.clone()).collect(),
        }
    }
}
