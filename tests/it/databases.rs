//! Databases: those that are not there, those that fail, and several servers on one.

use std::sync::Arc;
use std::time::Duration;

use portcullis::app::App;
use portcullis::clock::Clock;
use portcullis::config::ServeSettings;
use portcullis::database::{Database, DatabaseUrl, Relational, is_of_the_data, repeated};
use portcullis::error::{Error, Result};
use portcullis::transport::grpc::wire::admin_service_client::AdminServiceClient;
use portcullis::transport::grpc::wire::{CreateGateRequest, GetGateRequest};
use sqlx::{AssertSqlSafe, Row};
use tokio::sync::Barrier;
use tonic::Code;
use tonic::transport::Channel;

use crate::commands::run;
use crate::documents::gate;
use crate::home::Home;
use crate::server::{Server, connect, eventually, settings};

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_set_wrongly_is_refused_by_the_flags_name_and_without_its_password() {
    for (url, wrong) in [
        ("mysql://guard:hunter2@db/flags", "it begins with neither"),
        ("postgres://guard:hunter2@db", "the database is missing"),
        ("postgres://guard:hunter2@db:many/flags", "invalid port number"),
        ("sqlite:", "the path is missing"),
    ] {
        let told = run(None, &["serve", "--database", url]).await;
        assert_ne!(told.code, 0);
        let said = &told.complaint;
        assert!(said.contains("--database must be `postgres://USER:PASSWORD@HOST:PORT/DATABASE`"), "{said}");
        assert!(said.contains(wrong) && !said.contains("hunter2"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_is_said_without_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().display().to_string();
    let url = "postgres://guard:hunter2@127.0.0.1:1/flags";
    let told = run(None, &["serve", "--data-dir", &data_dir, "--database", url]).await;
    assert_eq!(told.code, 1);
    let said = &told.complaint;
    assert!(said.contains("the store is not available") && said.contains("refused"), "{said}");
    assert!(!said.contains("hunter2") && !told.out.contains("hunter2"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_later_version_is_refused() {
    let home = Home::new().await;
    Database::open(&url(&home)).await.unwrap().close().await;
    home.execute("update _sqlx_migrations set version = 9999 where version = 1").await;
    let refused = Database::open(&url(&home)).await.unwrap_err().to_string();
    assert!(refused.contains("migration 9999") && refused.contains("later"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_works_beside_a_server_brings_no_database_up_to_date() {
    let home = Home::new().await;
    Database::open(&url(&home)).await.unwrap().close().await;
    let rebuild = ["metrics", "rebuild", "--database", &home.url()];
    assert_eq!(run(None, &rebuild).await.code, 0);
    home.execute("delete from _sqlx_migrations where version = 7").await;
    let told = run(None, &rebuild).await;
    assert!(told.code == 1 && told.complaint.contains("lacks migration 7"), "{told:?}");
    assert!(home.rows("select 1 from _sqlx_migrations where version = 7").await.is_empty());
    home.execute("update _sqlx_migrations set version = 9999 where version = 1").await;
    let told = run(None, &rebuild).await;
    assert!(told.code == 1 && told.complaint.contains("migration 9999"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_open_a_new_sqlite_file_at_once_take_turns() {
    let home = Home::with_sqlite();
    let opened: Vec<_> = (0..8)
        .map(|_| {
            let url = url(&home);
            tokio::spawn(async move { Database::open(&url).await })
        })
        .collect();
    for opened in opened {
        opened.await.unwrap().unwrap().close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_open_a_new_postgres_database_at_once_take_turns() {
    let home = Home::with_postgres().await;
    let opened: Vec<_> = (0..4)
        .map(|_| {
            let url = url(&home);
            tokio::spawn(async move { Database::open(&url).await })
        })
        .collect();
    for opened in opened {
        let database = opened.await.unwrap().unwrap();
        let revision = sqlx::query("select revision from config");
        let row = database.relational().first(revision).await.unwrap().unwrap();
        assert_eq!(row.get::<i64, _>(0), 0);
        database.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_server_changes_another_one_on_the_same_database_serves() {
    let one = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let settings = ServeSettings { data_dir: folder.path().to_owned(), ..settings(one.home()) };
    let other = App::start(&settings, Clock::system()).await.unwrap();
    let mut admin = AdminServiceClient::new(connect(other.address()).await);

    one.create_gate(gate("shared", 50.0)).await;
    let there = eventually("the other server knows the gate", async || {
        let request = GetGateRequest { key: "shared".to_owned() };
        admin.get_gate(request).await.map_err(|status| status.to_string())
    });
    assert_eq!(there.await.into_inner().gate.unwrap().revision, 1);

    // Whoever comes second is told so, and is right when the changes of the other one have come.
    let mut refused = 0;
    for round in 0..10 {
        refused += made(&mut one.admin(), &format!("one-{round}")).await;
        refused += made(&mut admin, &format!("other-{round}")).await;
    }
    assert!(refused > 0, "the servers never got in each other's way");
    let last = eventually("the first one knows what the other one made", async || {
        let request = GetGateRequest { key: "other-9".to_owned() };
        one.admin().get_gate(request).await.map_err(|status| status.to_string())
    });
    last.await;
    other.stop().await.unwrap();
}

/// Makes a gate, and says how often it was refused because somebody else had changed the configuration.
async fn made(admin: &mut AdminServiceClient<Channel>, key: &str) -> usize {
    for refused in 0..20 {
        match admin.create_gate(CreateGateRequest { gate: Some(gate(key, 50.0)) }).await {
            Ok(_) => return refused,
            Err(status) => assert_eq!(status.code(), Code::Aborted, "{status}"),
        }
    }
    panic!("`{key}` was refused again and again");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_ended_a_deadlock_on_postgres_is_done_again() {
    let home = Home::with_postgres().await;
    let database = Database::open(&url(&home)).await.unwrap();
    home.execute(
        "create table crossing (id bigint, passed bigint); insert into crossing values (1, 0), (2, 0)",
    )
    .await;
    // Both hold one row before either asks for the other one; only the first tries meet.
    let (meet, relational) = (Arc::new(Barrier::new(2)), database.relational());
    let from = |first, second| {
        let (meet, met) = (Arc::clone(&meet), Arc::new(std::sync::atomic::AtomicBool::new(false)));
        repeated(move || {
            let (meet, met, relational) = (Arc::clone(&meet), Arc::clone(&met), relational.clone());
            async move {
                let mut transaction = relational.write().await?;
                for id in [first, second] {
                    sqlx::query("update crossing set passed = passed + 1 where id = $1")
                        .bind(id)
                        .execute(&mut *transaction)
                        .await?;
                    if !met.swap(true, std::sync::atomic::Ordering::SeqCst) {
                        meet.wait().await;
                    }
                }
                Ok(transaction.commit().await?)
            }
        })
    };
    let (one, other) = tokio::join!(from(1_i64, 2_i64), from(2, 1));
    one.unwrap();
    other.unwrap();
    let passed = home.rows("select passed from crossing").await;
    assert!(passed.iter().all(|row| row.get::<i64, _>(0) == 2), "each way was gone once");
    database.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_postgres_server_ends_is_unavailable_and_the_next_one_works() {
    let home = Home::with_postgres().await;
    let database = Database::open(&url(&home)).await.unwrap();
    let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity
               where datname = current_database() and pid <> pg_backend_pid()";
    let interrupted = count_decisions(database.relational(), async || {
        home.rows(cut).await;
    });
    let failure = interrupted.await.unwrap_err();
    assert!(matches!(&failure, Error::Unavailable(_)), "{}", failure.in_full());
    assert_eq!(count_decisions(database.relational(), async || {}).await.unwrap(), 0);
    database.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_postgres_can_not_do_now_passes_and_data_that_do_not_fit_are_told_apart() {
    let home = Home::with_postgres().await;
    let database = Database::open(&url(&home)).await.unwrap();
    let raised = async |state: &str| {
        let statement = format!("do $$ begin raise exception 'as asked' using errcode = '{state}'; end $$");
        database.relational().run(sqlx::query(AssertSqlSafe(statement))).await.unwrap_err()
    };
    // A disk that fails or is full, a server that is broken, a database that was dropped, and one that lets nobody in.
    for later in ["58030", "53100", "XX001", "57P04", "3D000", "28P01", "55000"] {
        let error = raised(later).await;
        assert!(matches!(error, Error::Unavailable(_)) && !is_of_the_data(&error), "{later}: {error:?}");
    }
    for data in ["22003", "22021", "23514", "54000"] {
        assert!(is_of_the_data(&raised(data).await), "{data}");
    }
    let neither = raised("42P01").await;
    assert!(matches!(neither, Error::Internal(_)) && !is_of_the_data(&neither), "{neither:?}");
    database.close().await;
}

/// Counts decisions in a transaction in the middle of which something happens.
async fn count_decisions(relational: &Relational, meanwhile: impl AsyncFn()) -> Result<i64> {
    let mut transaction = relational.write().await?;
    meanwhile().await;
    // The server's word takes a moment.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let query = "select count(*) from decision";
    let row = sqlx::query(query).fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(row.try_get(0)?)
}

fn url(home: &Home) -> DatabaseUrl {
    home.url().parse().unwrap()
}
