//! The arithmetic against published results, one file of vectors a category, one module a group of categories.

mod boundaries;
mod case;
mod distributions;
mod effects;
mod engine_b;
mod many_tests;
mod marks;
mod multiplicity;
mod proportion_intervals;
mod sample_ratio_mixture;
mod sample_sizes;
mod samples;
mod sequential;

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::{folder, is_own};
use case::Case;

/// Checks one case.
type Check = fn(&mut Case<'_>);

/// How each category is checked. The name is that of its file.
const CATEGORIES: &[(&str, Check)] = &[
    ("confseq_boundaries", boundaries::boundary),
    ("cuped", effects::covariate),
    ("mean_one_sided", effects::means),
    ("mean_sequential_one_sided", sequential::means),
    ("mean_sequential_two_sided", sequential::means),
    ("mean_two_sided", effects::means),
    ("multiple_testing", many_tests::p_values),
    ("non_inferiority_spotify", effects::non_inferiority),
    ("power_statsmodels", sample_sizes::power),
    ("proportion", effects::proportions),
    ("proportion_interval", proportion_intervals::one),
    ("quantile", effects::quantiles),
    ("ratio", effects::ratios),
    ("sample_size_spotify", sample_sizes::per_arm),
    ("special_functions", distributions::value),
    ("spec_engineA_mark", marks::stretches),
    ("spec_engineB", engine_b::mixture),
    ("spec_engineB_threshold", engine_b::thresholds),
    ("spec_epoch_combination", engine_b::epochs),
    ("spec_exact_2x2", sequential::blocks),
    ("spec_multiplicity_e", multiplicity::e_values),
    ("srm_chi2", samples::ratio),
    ("ssrm_sequential", sample_ratio_mixture::batches),
    ("two_proportion_statsmodels", proportion_intervals::two),
    ("welch_scipy", effects::welch),
    ("winsor_quantile", samples::order),
];

/// Categories that are no part of what is offered: methods that were left out for those above.
const LEFT_OUT: [&str; 5] =
    ["confseq_betting", "confseq_quantile_ab", "gst_power_spending", "mid_experiment_power", "savvi"];

#[test]
#[expect(clippy::print_stdout, reason = "how many cases were run is worth reading for another folder")]
fn published_results_are_reproduced_within_their_tolerances() {
    let Some(folder) = folder("stats") else {
        return;
    };
    let mut failures = Vec::new();
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        // The checks stand beside the repository's own vectors.
        if path.extension().is_some_and(|extension| extension == "rs") {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let category = name.trim_end_matches(".json").to_owned();
        if LEFT_OUT.contains(&category.as_str()) {
            continue;
        }
        let Some((_, check)) = CATEGORIES.iter().find(|(known, _)| *known == category) else {
            failures.push(format!("{name}: no check is known for it"));
            continue;
        };
        let file: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let (cases, wrong) = run(&file, *check);
        println!("{category}: {cases} cases, {} differences", wrong.len());
        failures.extend(wrong.into_iter().map(|failure| format!("{category}: {failure}")));
        if cases == 0 {
            failures.push(format!("{name}: no case was run"));
        }
        seen.insert(category);
    }
    if is_own() {
        let missing = CATEGORIES.iter().filter(|(category, _)| !seen.contains(*category));
        failures.extend(missing.map(|(category, _)| format!("{category}: the file is missing")));
    }
    assert!(!seen.is_empty(), "{} has no vectors", folder.display());
    assert!(failures.is_empty(), "{} differences:\n{}", failures.len(), failures.join("\n"));
}

/// Runs a file's cases; how many there were, and what differed. A case that checked nothing is a difference.
fn run(file: &Value, check: Check) -> (usize, Vec<String>) {
    let cases = file["cases"].as_array().unwrap();
    let failures = cases.iter().flat_map(|case| {
        let mut case = Case::new(case, &file["tolerance"]);
        check(&mut case);
        case.failures()
    });
    (cases.len(), failures.collect())
}
