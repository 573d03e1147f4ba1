//! The plot.

use super::*;

/// The picture that the command draws of a file.
fn picture(file: &[u8], change: impl FnOnce(&mut AnalyzeArgs)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("plot.svg");
    analyze(file, |args| {
        args.plot = Some(target.clone());
        change(args);
    })
    .unwrap();
    std::fs::read_to_string(target).unwrap()
}

#[test]
fn a_table_is_drawn_with_its_effects_and_no_looks() {
    let table = table(&[arm("old", 5_000, 500), arm("fine", 5_000, 500), arm("<worse>", 5_000, 300)]);
    let picture = picture(&table, |_| {});
    assert!(picture.starts_with("<svg ") && picture.trim_end().ends_with("</svg>"));
    for part in ["value", "fine", "&lt;worse&gt;", "Effects, in percent of the control"] {
        assert!(picture.contains(part), "no `{part}` in\n{picture}");
    }
    assert!(!picture.contains("over looks") && !picture.contains("NaN"));
}

#[test]
fn looks_are_drawn_with_the_levels_of_the_guard() {
    let line = |look: u64, arm: &str, mean: f64| {
        let n = 1_000 * look;
        format!(
            r#"{{"look": {look}, "arm": "{arm}", "metric": "value", "n": {n}, "mean": {mean}, "variance": 1}}"#
        )
    };
    let lines: Vec<String> =
        (1..=4).flat_map(|look| [line(look, "old", 3.0), line(look, "new", 2.8)]).collect();
    for lines in [&lines[..], &lines[..2]] {
        let picture = picture(lines.join("\n").as_bytes(), |args| (args.unit, args.arm) = (None, None));
        for part in ["Launch-level e-value over looks", "roll back from 20", "hold from 5"] {
            assert!(picture.contains(part), "no `{part}` in\n{picture}");
        }
        assert!(!picture.contains("NaN") && !picture.contains("inf"));
    }
}

#[test]
fn what_is_undefined_is_said_in_the_picture() {
    let picture = picture(&table(&[arm("old", 200, 0), arm("new", 200, 100)]), |_| {});
    assert!(picture.contains("undefined: the control mean is 0"), "{picture}");
}

#[test]
fn a_plot_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("missing").join("plot.svg");
    let found = error(SMALL, |args| args.plot = Some(target.clone()));
    assert!(found.starts_with(&format!("cannot write the plot to {}: ", target.display())), "{found}");
}
