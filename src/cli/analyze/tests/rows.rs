//! How rows are accounted for.

use std::io::Write as _;

use super::*;

#[test]
fn an_arm_that_was_not_named_is_a_bad_row() {
    let table = table(&[arm("old", 50, 5), arm("new", 50, 5), arm("???", 1, 1)]);
    let found = json(&table, |args| args.treatment = vec!["new".to_owned()]);
    assert_eq!(found["bad_rows"]["count"], 1);
    let reason = found["bad_rows"]["listed"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("`???`, an arm that was not named"), "{reason}");
    let found = json(&table, |_| {});
    assert_eq!(found["metrics"][0]["treatments"][0]["arm"], "???");
    assert!(found["notes"][0].as_str().unwrap().contains("--treatment"));
}

#[test]
fn every_bad_row_is_named_by_its_line() {
    let table: &[u8] = b"\xef\xbb\xbfid,arm,value\r\n1,old,1\r\n\r\n2,new,yes\r\n3,new\r\n,new,1\r\n4,,1\r\n\
        \"5\r\n5\",new,1\r\n6,new,nan\r\n7,new,1e999\r\n8,new,\r\n1,old,0\r\n9,\xff,1\r\n10,new, TRUE \r\n\
        11,new,1,1\r\n12,old,false";
    let found = json(table, |_| {});
    let bad = &found["bad_rows"];
    let listed: Vec<(u64, &str)> = bad["listed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["line"].as_u64().unwrap(), row["reason"].as_str().unwrap()))
        .collect();
    let unread = |text: &str| format!("column `value` is neither true, false nor a finite number: `{text}`");
    let expected = [
        (4, unread("yes")),
        (5, "has 2 fields, the header has 3".to_owned()),
        (6, "column `id`, the unit, is empty".to_owned()),
        (7, "column `arm`, the arm, is empty".to_owned()),
        (10, unread("nan")),
        (11, unread("1e999")),
        (12, unread("")),
        (13, "unit `1` has a row on line 2 already".to_owned()),
        (14, "column `arm` is not UTF-8".to_owned()),
        (16, "has 4 fields, the header has 3".to_owned()),
    ];
    let expected: Vec<(u64, &str)> = expected.iter().map(|(line, reason)| (*line, reason.as_str())).collect();
    assert_eq!(listed, expected);
    assert_eq!((&bad["count"], &found["rows"], &found["units"]), (&10.into(), &14.into(), &4.into()));
}

#[test]
fn only_the_first_bad_rows_are_listed_and_all_are_counted() {
    let rows: Vec<String> = (0..50).map(|unit| format!("bad-{unit},new,?\n")).collect();
    let table = format!("{SMALL}{}", rows.concat());
    let found = json(table.as_bytes(), |_| {});
    assert_eq!(found["bad_rows"]["count"], 50);
    assert_eq!(found["bad_rows"]["listed"].as_array().unwrap().len(), 20);
    let text = analyze(table.as_bytes(), |args| args.output.format = Format::Text).unwrap();
    assert!(text.contains("and 30 more bad rows"), "{text}");
}

#[test]
fn a_unit_in_two_arms_counts_in_neither() {
    let table = format!("{SMALL}1,new,1\n1,old,1\n5,old,?\n5,new,1\n");
    let found = json(table.as_bytes(), |_| {});
    let crossed = &found["units_in_two_arms"];
    assert_eq!(crossed["count"], 2);
    assert_eq!(crossed["listed"][0]["lines"], serde_json::json!([2, 6]));
    assert_eq!(crossed["listed"][0]["unit"], "1");
    assert_eq!((&found["units"], &found["rows_in_two_arms"]), (&3.into(), &4.into()));
    assert_eq!(found["bad_rows"]["count"], 1);
    assert_eq!(found["metrics"][0]["control"]["n"], 1);
}

#[test]
fn a_bad_row_does_not_take_the_place_of_a_good_one() {
    let table = format!("{SMALL}5,new,?\n5,new,1\n");
    let found = json(table.as_bytes(), |_| {});
    assert_eq!((&found["units"], &found["bad_rows"]["count"]), (&5.into(), &1.into()));
    assert_near(&found["metrics"][0]["treatments"][0]["mean"], 2.0 / 3.0);
}

#[test]
fn a_compressed_table_is_read_whatever_its_name() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(SMALL.as_bytes()).unwrap();
    let whole = encoder.finish().unwrap();
    assert_eq!(json(&whole, |_| {})["units"], 4);
    let half = analyze(&whole[..whole.len() / 2], |_| {}).unwrap_err().to_string();
    assert!(half.contains("cannot read"), "{half}");
}
