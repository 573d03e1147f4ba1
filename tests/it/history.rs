//! `portcullis import events`, run as a user runs it: every form of file, again after a kill, and what is wrong named.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::basic::{Compression as Packing, GzipLevel, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use sqlx::Row;
use tempfile::TempDir;

use crate::commands::{path_text, run, written};
use crate::server::{Server, eventually};

/// Milliseconds of noon of a day in March.
const NOON: i64 = 1_772_366_400_000;
/// Rows of a small file.
const ROWS: usize = 30;

/// Who, when, how much and on which plan, in row `number`.
fn row(number: usize) -> (String, i64, Option<f64>, Option<&'static str>) {
    let amount = (!number.is_multiple_of(3)).then_some(number as f64 / 8.0 + 0.1);
    let plan = (!number.is_multiple_of(5)).then_some("pro, yearly");
    (format!("visitor-{number}"), NOON + i64::try_from(number).unwrap(), amount, plan)
}

fn rfc3339(number: usize) -> String {
    format!("2026-03-01T12:00:00.{number:03}Z")
}

fn csv() -> String {
    let line = |number| {
        let (who, _, amount, plan) = row(number);
        let amount = amount.map(|amount| amount.to_string()).unwrap_or_default();
        let plan = plan.map(|plan| format!("\"{plan}\"")).unwrap_or_default();
        format!("{who},{},{amount},{plan}\n", rfc3339(number))
    };
    let lines: String = (0..ROWS).map(line).collect();
    format!("who,when,amount,plan\n{lines}")
}

fn json_lines() -> String {
    let line = |number| {
        let (who, _, amount, plan) = row(number);
        let object = serde_json::json!({"who": who, "when": rfc3339(number), "amount": amount, "plan": plan});
        format!("{object}\n")
    };
    (0..ROWS).map(line).collect()
}

fn parquet_file(path: &Path, packing: Packing) {
    let schema = "message event {
        required binary who (utf8);
        required int64 when (timestamp_millis);
        optional double amount;
        optional binary plan (utf8);
    }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_compression(packing).build());
    let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
    // Two groups of rows.
    for numbers in [0..20, 20..ROWS] {
        let rows: Vec<_> = numbers.map(row).collect();
        let texts = |texts: Vec<&str>| texts.into_iter().map(ByteArray::from).collect::<Vec<_>>();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let who = texts(rows.iter().map(|row| row.0.as_str()).collect());
        column.typed::<ByteArrayType>().write_batch(&who, None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let when: Vec<i64> = rows.iter().map(|row| row.1).collect();
        column.typed::<Int64Type>().write_batch(&when, None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let amounts: Vec<f64> = rows.iter().filter_map(|row| row.2).collect();
        let levels: Vec<i16> = rows.iter().map(|row| i16::from(row.2.is_some())).collect();
        column.typed::<DoubleType>().write_batch(&amounts, Some(&levels), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let plans = texts(rows.iter().filter_map(|row| row.3).collect());
        let levels: Vec<i16> = rows.iter().map(|row| i16::from(row.3.is_some())).collect();
        column.typed::<ByteArrayType>().write_batch(&plans, Some(&levels), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
}

fn packed(path: &Path, text: &str) {
    let mut file = GzEncoder::new(File::create(path).unwrap(), Compression::fast());
    file.write_all(text.as_bytes()).unwrap();
    file.finish().unwrap();
}

/// What is stored under a name: unit, time, value and properties of each event.
async fn stored(server: &Server, name: &str) -> Vec<(String, i64, Option<f64>, String)> {
    let query = format!(
        "select unit_id, at, value, properties from event where name = '{name}' order by at, unit_id"
    );
    let rows = server.home().rows(&query).await;
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_file_brings_in_the_same_events_and_a_second_run_none() {
    let (server, folder) = (Server::start().await, TempDir::new().unwrap());
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("a.csv"), csv()).unwrap();
    packed(&path("b.csv.gz"), &csv());
    std::fs::write(path("c.jsonl"), json_lines()).unwrap();
    packed(&path("d.ndjson.gz"), &json_lines());
    parquet_file(&path("e.parquet"), Packing::SNAPPY);
    parquet_file(&path("f.parquet"), Packing::UNCOMPRESSED);
    parquet_file(&path("g.parquet"), Packing::ZSTD(ZstdLevel::default()));
    parquet_file(&path("h.parquet"), Packing::GZIP(GzipLevel::default()));
    let expected: Vec<_> = (0..ROWS)
        .map(row)
        .map(|(who, at, amount, plan)| {
            let properties = plan.map_or("{}".to_owned(), |plan| format!("{{\"plan\":\"{plan}\"}}"));
            (who, at, amount, properties)
        })
        .collect();
    let tables = ["a.csv", "b.csv.gz", "c.jsonl", "d.ndjson.gz"];
    let packed = ["e.parquet", "f.parquet", "g.parquet", "h.parquet"];
    for name in tables.into_iter().chain(packed) {
        let file = path_text(&path(name));
        let event = format!("name={name}");
        let maps = ["--map", "user_id=who", "--map", "time=when", "--map", "value=amount"];
        let import = ["import", "events", &file, "--set", &event, "--properties", "plan"];
        let import = [&import[..], &maps[..]].concat();
        let first = run(Some(&server), &import).await;
        let told = format!("{file}: 30 accepted, 0 duplicate, 0 refused\n");
        assert_eq!((first.code, first.out.as_str()), (0, told.as_str()), "{}", first.complaint);
        let properties = |text: String| text.replace("\": \"", "\":\"");
        let found: Vec<_> = stored(&server, name).await;
        let found: Vec<_> =
            found.into_iter().map(|(who, at, value, text)| (who, at, value, properties(text))).collect();
        assert_eq!(found, expected, "{name}");
        let second = run(Some(&server), &import).await;
        assert_eq!(second.out, format!("{file}: 0 accepted, 30 duplicate, 0 refused\n"));
        assert_eq!(stored(&server, name).await.len(), ROWS);
    }
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, tables.len() + packed.len(), "nothing is left beside the files");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_counted_by_reason_with_its_first_row() {
    let (server, folder) = (Server::start().await, TempDir::new().unwrap());
    let table = "id,user_id,time,value\n\
                 one,ada,1772366400,1\n\
                 two,ada,noon,2\n\
                 three,,1772366400,3\n\
                 four,ada,1772366400,much\n\
                 five,ada,99999999999,5\n\
                 six,ada\n\
                 seven,ada,1772366400,more\n\
                 one,ada,1772366400,8\n\
                 nine,bob,1772366400.5,\n";
    let file = written(&folder, "bad.csv", table);
    let import = ["import", "events", &file, "--set", "name=purchase", "--time-unit", "s"];
    let told = run(Some(&server), &import).await;
    assert_eq!(told.code, 1, "{told:?}");
    let lines: Vec<&str> = told.out.lines().collect();
    assert_eq!(lines[0], format!("{file}: 2 accepted, 1 duplicate, 6 refused"));
    let reasons = [
        "  1 refused, the first in row 2: time: must be a number, is `noon`",
        "  1 refused, the first in row 3: user.user_id: must not be empty unless a custom id is given",
        "  2 refused, the first in row 4: value: must be a number, is `much`",
        "  1 refused, the first in row 5: time: must be at most 300000 ms in the future, is ",
        "  1 refused, the first in row 6: the row has 2 columns, the first line has 4",
    ];
    assert_eq!(lines.len(), 1 + reasons.len(), "{}", told.out);
    for (line, reason) in lines[1..].iter().zip(reasons) {
        assert!(line.starts_with(reason), "{line}");
    }
    let allowed = run(Some(&server), &[&import[..], &["--allow-refused"]].concat()).await;
    assert_eq!(allowed.code, 0, "{allowed:?}");
    let skipped = run(Some(&server), &[&import[..], &["--only", "user_id=bob"]].concat()).await;
    assert_eq!(
        skipped.out.lines().next().unwrap(),
        format!("{file}: 0 accepted, 1 duplicate, 1 refused, 7 skipped")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_flags_is_said_before_anything_is_sent() {
    let folder = TempDir::new().unwrap();
    let (file, nameless) = (written(&folder, "a.csv", &csv()), written(&folder, "a.data", &csv()));
    let who = ["--map", "user_id=who", "--map", "time=when"];
    let cases: [(&[&str], &str); 8] = [
        (&["--map", "amount=value"], "there is no field `amount`; there are: id, name, time, value, user_id"),
        (&["--map", "value"], "--map value: must be FIELD=COLUMN"),
        (&["--map", "value=sum"], "there is no column `sum`; there are: who, when, amount, plan"),
        (&["--set", "name=a", "--map", "name=plan"], "`name` is given already"),
        (&[], "`name` is missing: give --map name=COLUMN or --set name=VALUE"),
        (&["--set", "name=a", "--properties", "plan,colour"], "--properties colour: there is no column"),
        (&["--set", "name=a", "--only", "plan"], "--only plan: must be COLUMN=VALUE"),
        (&["--set", "name=a", &nameless], "a.data: the name does not say what it is; give --format"),
    ];
    for (flags, complaint) in cases {
        let told = run(None, &[&["import", "events", &file][..], &who[..], flags].concat()).await;
        assert!(told.code == 1 && told.complaint.contains(complaint), "{flags:?}: {told:?}");
    }
    let exposures = ["import", "exposures", &file, "--map", "user_id=who", "--map", "time=when"];
    let told = run(None, &exposures).await;
    assert!(told.complaint.contains("give --set gate=KEY and --map pass=COLUMN"), "{told:?}");
    let told = run(None, &[&exposures[..], &["--set", "experiment=price"]].concat()).await;
    assert!(told.complaint.contains("`group` is missing"), "{told:?}");
    let nobody = ["--set", "name=a", "--server", "http://127.0.0.1:1"];
    let told = run(None, &[&["import", "events", &file][..], &who[..], &nobody[..]].concat()).await;
    assert!(told.code == 1 && told.complaint.contains("no server answers there"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_where_a_killed_one_ended() {
    const MANY: usize = 20_000;
    let (server, folder) = (Server::start().await, TempDir::new().unwrap());
    let lines: Vec<String> = (0..MANY).map(row).map(|(who, at, ..)| format!("{who},{at}")).collect();
    let file = written(&folder, "many.csv", &format!("user_id,time\n{}\n", lines.join("\n")));
    let import = ["import", "events", &file, "--set", "name=visited", "--time-unit", "ms"];
    // The store takes the first nine batches, and the tenth once it may.
    let (stop, go) = if server.home().url().starts_with("sqlite") {
        (
            "create trigger stop before insert on event when new.unit_id = 'visitor-9999'
              begin select raise(abort, 'not now'); end",
            "drop trigger stop",
        )
    } else {
        (
            "create function stop() returns trigger language plpgsql as $$ begin raise 'not now'; end $$;
          create trigger stop before insert on event for each row
              when (new.unit_id = 'visitor-9999') execute function stop()",
            "drop trigger stop on event",
        )
    };
    server.home().execute(stop).await;
    let mut killed = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(import)
        .env("PORTCULLIS_SERVER", format!("http://{}", server.address()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let journal = folder.path().join("many.csv.portcullis-import");
    eventually("a part is done, and noted", async || {
        assert!(killed.try_wait().unwrap().is_none(), "it ended before it could be killed");
        match (journal.exists(), stored(&server, "visited").await.len()) {
            (true, 9_000) => Ok(()),
            seen => Err(format!("{seen:?}")),
        }
    })
    .await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    server.home().execute(go).await;

    let otherwise = run(Some(&server), &[&import[..], &["--properties", "time"]].concat()).await;
    assert!(otherwise.code == 1 && otherwise.complaint.contains("remove"), "{otherwise:?}");
    let again = run(Some(&server), &import).await;
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(stored(&server, "visited").await.len(), MANY);
    let counts: Vec<usize> = again.out.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [accepted, duplicate, refused] = counts[..] else { panic!("{}", again.out) };
    // Only the batch that was under way at the kill may have been sent twice.
    assert!(accepted + duplicate == MANY && duplicate <= 1_000 && refused == 0, "{}", again.out);
    assert!(!journal.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_can_not_be_noted_how_far_it_is_nothing_is_sent() {
    let (server, folder) = (Server::start().await, TempDir::new().unwrap());
    let file = written(&folder, "a.csv", &csv());
    let in_the_way = folder.path().join("a.csv.portcullis-import.new");
    std::fs::create_dir(&in_the_way).unwrap();
    let import = ["import", "events", &file, "--set", "name=a", "--map", "user_id=who", "--map", "time=when"];
    let told = run(Some(&server), &import).await;
    assert!(told.code == 1 && told.complaint.contains("a.csv.portcullis-import"), "{told:?}");
    assert!(told.complaint.contains("its folder must be writable"), "{told:?}");
    assert_eq!(stored(&server, "a").await.len(), 0);
    std::fs::remove_dir(in_the_way).unwrap();
    assert_eq!(run(Some(&server), &import).await.code, 0);
    assert_eq!(stored(&server, "a").await.len(), ROWS);
}
