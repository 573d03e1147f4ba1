//! A project that was imported gives the answers that it gave before, except where the import says so.

use std::collections::BTreeSet;
use std::path::Path;

use portcullis::domain::configuration::Configuration;
use portcullis::engine::compile::compile;
use portcullis::engine::lift::{Fate, Lifted, Source, lift};
use portcullis::engine::lower::lower;
use portcullis::transport::http::statsig::read::read;

use super::sdks::{NOW, VIP_LIST, text, wrong};

fn imported(path: &Path) -> Lifted {
    let project = read(&text(path)).unwrap();
    assert!(project.problems.is_empty(), "{}: {:?}", path.display(), project.problems);
    let ids = VIP_LIST.map(str::to_owned).to_vec();
    let lifted = lift(&Source {
        ruleset: project.ruleset,
        rule_names: project.rule_names,
        ids: project.id_lists.iter().map(|name| (name.clone(), ids.clone())).collect(),
        id_lists: project.id_lists,
    });
    // What is written down and read again is the same.
    let text = lifted.configuration.to_yaml().unwrap();
    assert_eq!(Configuration::from_yaml(&text).as_ref(), Ok(&lifted.configuration), "{text}");
    lifted
}

#[test]
fn a_project_keeps_its_answers_when_it_is_imported() {
    let Some(folder) = crate::folder("statsig").filter(|_| crate::is_own()) else {
        return;
    };
    let load = |file: &str| {
        let Lifted { configuration, notes } = imported(&folder.join(file));
        let shown: Vec<String> = notes.iter().map(ToString::to_string).collect();
        let fates = |fate: Fate| -> Vec<&str> {
            notes.iter().filter(|note| note.fate == fate).map(|note| note.key.as_str()).collect()
        };
        assert_eq!(fates(Fate::LeftOut), ["lay_missing_delegate"], "{shown:#?}");
        // It hands a user over to an experiment that does not put the user in a group; no vector asks for that one.
        assert_eq!(fates(Fate::Differs), ["lay_main"], "{shown:#?}");
        let without_groups = ["abandoned_exp", "launched_exp", "prestart_exp", "stage_only_exp"];
        let reshaped: Vec<&str> = without_groups.into_iter().chain(["inline_targeting:exp"]).collect();
        assert_eq!(fates(Fate::Reshaped), reshaped, "{shown:#?}");
        assert_eq!(fates(Fate::FilledIn), ["button_color_v3", "uneven3", "no_such_list"], "{shown:#?}");
        let snapshot = compile(&lower(&configuration.catalogue(NOW)));
        assert_eq!(snapshot.faulty().next(), None);
        snapshot
    };
    load("spec_v1.json");
    let (wrong, count) = wrong(&folder, load);
    assert_eq!(count, 51_967 + 1_080);
    let named: BTreeSet<&str> = wrong.iter().map(|(vector, _)| vector.name.as_str()).collect();
    // A segment that became an experiment's targeting is there for that experiment alone.
    assert_eq!(named, BTreeSet::from(["lay_missing_delegate", "segment:inline_targeting:exp"]));
}
