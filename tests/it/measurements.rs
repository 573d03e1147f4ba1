//! Published numbers: audited, numbered, and equal to a full recomputation.

use std::time::Duration;

use portcullis::database::Database;
use portcullis::domain::launch::LaunchId;
use portcullis::jobs::measure::rebuild;
use portcullis::store::Store;
use portcullis::transport::grpc::wire::metric_service_client::MetricServiceClient;
use portcullis::transport::grpc::wire::{
    DecisionKind, Event, GetMeasurementRequest, ListMeasurementsRequest, ListMetricVersionsRequest,
    MeasuredMetric, Measurement, Metric, MetricAudits, MetricKind, MetricReturned, PreviewMetricRequest,
    ReasonCode, UpdateMetricRequest, Verdict,
};
use tonic::transport::Channel;

use crate::commands::run;
use crate::documents::{gate, guardrail, metric};
use crate::server::{Server, TestClock, eventually, gate_target};
use crate::visitors::{Crowd, event, heartbeat, log};

fn client(server: &Server) -> MetricServiceClient<Channel> {
    MetricServiceClient::new(server.channel())
}

async fn measurement(server: &Server, launch_id: &str, number: i64) -> Measurement {
    let request = GetMeasurementRequest { launch_id: launch_id.to_owned(), number };
    client(server).get_measurement(request).await.unwrap().into_inner().measurement.unwrap()
}

fn of_metric<'m>(measurement: &'m Measurement, key: &str) -> &'m MeasuredMetric {
    measurement.metrics.iter().find(|metric| metric.metric == key).unwrap()
}

/// Id of the launch of a gate at 50 %.
async fn launched(server: &Server, metrics: Vec<Metric>) -> String {
    for metric in metrics {
        server.create_metric(metric).await;
    }
    server.create_gate(gate("new_checkout", 50.0)).await;
    server.check(&gate_target("new_checkout")).await.launch.unwrap().id
}

/// Waits for published numbers that are as wanted.
async fn published(
    server: &Server,
    launch: &str,
    what: &str,
    wanted: impl Fn(&Measurement) -> bool,
) -> Measurement {
    eventually(what, async || {
        heartbeat(server).await;
        let request = GetMeasurementRequest { launch_id: launch.to_owned(), number: 0 };
        let found = client(server).get_measurement(request).await.map_err(|status| status.to_string())?;
        let found = found.into_inner().measurement.unwrap();
        if wanted(&found) { Ok(found) } else { Err(format!("{found:#?}")) }
    })
    .await
}

fn units(metric: &MeasuredMetric) -> i64 {
    metric.arms.iter().map(|arm| arm.within.unwrap().n).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_published_by_number_and_stay_as_they_are() {
    let server = Server::start().await;
    let launch = launched(&server, vec![guardrail("signup", "visited_signup")]).await;
    let mut crowd = Crowd::new("new_checkout", "visited_signup");
    crowd.come(&server, 200).await;
    let signups =
        |metric: &MeasuredMetric| -> i64 { metric.arms.iter().map(|arm| arm.within.unwrap().nonzero).sum() };
    // Half of each arm, rounded down.
    let first = published(&server, &launch, "all who came, and what they did, are counted", |found| {
        let signup = of_metric(found, "signup");
        units(signup) == 200 && (99..=100).contains(&signups(signup))
    })
    .await;
    let signup = of_metric(&first, "signup");
    assert!(signup.audits.iter().all(|audit| audit.passed), "{:?}", signup.audits);
    assert_eq!((signup.blind(), signup.blind_message.as_str()), (ReasonCode::Unspecified, ""));
    assert_eq!(first.dealt.iter().map(|row| row.units).sum::<i64>(), 200);
    for free in ["dau", "l7", "l14", "l28"] {
        assert_eq!(units(of_metric(&first, free)), 200);
    }

    assert_eq!(measurement(&server, &launch, first.number).await, first);

    crowd.come(&server, 50).await;
    let later = published(&server, &launch, "there are further numbers", |found| {
        units(of_metric(found, "signup")) == 250
    })
    .await;
    assert!(later.number > first.number);
    // The last 32 are kept, and on a busy machine there may be more of them by now.
    let request = GetMeasurementRequest { launch_id: launch.clone(), number: first.number };
    match client(&server).get_measurement(request).await {
        Ok(kept) => assert_eq!(kept.into_inner().measurement.unwrap(), first),
        Err(status) => assert_eq!(status.code(), tonic::Code::NotFound),
    }
    let request =
        ListMeasurementsRequest { launch_id: launch.clone(), page_size: 2, before_number: later.number };
    let listed = client(&server).list_measurements(request).await.unwrap().into_inner().measurements;
    let numbers: Vec<i64> = listed.iter().map(|found| found.number).collect();
    assert_eq!(numbers, [later.number - 1, later.number - 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_audit_keeps_the_last_good_numbers_and_holds_the_launch() {
    let server = Server::start().await;
    let bounds = MetricAudits { max_value: Some(10.0), ..MetricAudits::default() };
    let spent =
        Metric { kind: MetricKind::Sum.into(), audits: Some(bounds), ..guardrail("spent", "purchase") };
    // The bad value is there before the first look, so that the metric never has numbers that are good.
    let bad = Event { value: Some(50.0), ..event("somebody-else", "purchase") };
    log(&server, vec![bad]).await;
    let launch = launched(&server, vec![spent, guardrail("signup", "visited_signup")]).await;
    let mut crowd = Crowd::new("new_checkout", "visited_signup");
    crowd.come(&server, 300).await;
    let found = published(&server, &launch, "the other metric goes on", |found| {
        units(of_metric(found, "signup")) == 300
    })
    .await;
    let spent = of_metric(&found, "spent");
    assert_eq!(spent.blind(), ReasonCode::AuditFailed);
    assert_eq!(spent.blind_message, "value is 50, at most 10 expected");
    assert_eq!((units(spent), &spent.as_of), (0, &None));
    let failed: Vec<&str> =
        spent.audits.iter().filter(|audit| !audit.passed).map(|audit| audit.check.as_str()).collect();
    assert_eq!(failed, ["value_range"]);

    let answer = server
        .check_until(&gate_target("new_checkout"), "the launch is held", |answer| {
            answer.reasons.iter().any(|reason| reason.code() == ReasonCode::AuditFailed)
        })
        .await;
    assert_eq!(answer.decision(), DecisionKind::Hold);
    let reason = answer.reasons.iter().find(|reason| reason.metric == "spent").unwrap();
    let told = "spent: value is 50, at most 10 expected; blind since ";
    assert!(reason.message.starts_with(told), "{}", reason.message);
    let verdict = answer.verdicts.iter().find(|verdict| verdict.metric == "spent").unwrap();
    assert_eq!((verdict.verdict(), &verdict.blind_since_time), (Verdict::Blind, &spent.blind_since_time));
    assert!(spent.blind_since_time.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_says_what_the_metric_says_once_it_is_saved() {
    let server = Server::start().await;
    let pages = Metric { kind: MetricKind::Count.into(), ..metric("pages", "page_viewed") };
    let launch = launched(&server, vec![pages.clone()]).await;
    let mut crowd = Crowd::new("new_checkout", "page_viewed").doing(0.7, 0.3);
    crowd.come(&server, 200).await;
    let saved = published(&server, &launch, "all who came are counted", |found| {
        // What they did comes in a later bucket at times: as many numbers as in both arms' shares, rounded down.
        let pages = of_metric(found, "pages");
        let did: i64 = pages.arms.iter().map(|arm| arm.within.unwrap().nonzero).sum();
        units(pages) == 200 && did >= 60
    })
    .await;
    let preview = |metric: Metric, launch_id: String| {
        let request = PreviewMetricRequest { metric: Some(metric), launch_id };
        let mut client = client(&server);
        async move { client.preview_metric(request).await.map(tonic::Response::into_inner) }
    };
    let found = preview(Metric { key: "pages_2".to_owned(), ..pages.clone() }, launch.clone()).await.unwrap();
    assert_eq!(found.arms, of_metric(&saved, "pages").arms);
    assert_eq!(found.units, 200);
    let event = &found.events[0];
    assert_eq!((event.name.as_str(), event.events > 0), ("page_viewed", true));
    let none = preview(pages, String::new()).await.unwrap();
    assert!(none.arms.is_empty() && none.events[0].events >= event.events);

    let wrong = Metric { kind: MetricKind::Retention.into(), ..metric("back", "page_viewed") };
    let status = preview(wrong.clone(), launch.clone()).await.unwrap_err();
    assert_eq!(crate::server::fields(&status), ["metric.returned"]);
    let returned = Some(MetricReturned { from_day: 1, to_day: 7 });
    let later = preview(Metric { returned, ..wrong }, launch).await.unwrap();
    // Nobody's seven days are over.
    assert!(later.arms.iter().all(|arm| arm.within.unwrap().n == 0), "{:?}", later.arms);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_revision_of_a_metric_is_kept() {
    let server = Server::start().await;
    let made = server.create_metric(metric("signup", "visited_signup")).await;
    server.create_metric(metric("signup_2", "visited_signup")).await;
    let edited = Metric { event: "signed_up".to_owned(), ..made };
    server.admin().update_metric(UpdateMetricRequest { metric: Some(edited) }).await.unwrap();
    let versions = |key: &str, revision| {
        let request = ListMetricVersionsRequest { key: key.to_owned(), revision };
        let mut client = client(&server);
        async move { client.list_metric_versions(request).await.map(|answer| answer.into_inner().versions) }
    };
    let all = versions("signup", 0).await.unwrap();
    let events: Vec<(i64, String)> = all
        .iter()
        .map(|version| version.metric.clone().unwrap())
        .map(|metric| (metric.revision, metric.event))
        .collect();
    assert_eq!(events, [(2, "signed_up".to_owned()), (1, "visited_signup".to_owned())]);
    assert_eq!(versions("signup", 1).await.unwrap().len(), 1);
    assert_eq!(versions("signup", 3).await.unwrap_err().code(), tonic::Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_carried_along_is_what_a_rebuild_gives_while_the_server_runs() {
    let clock = TestClock::running();
    let server = Server::start_with(&clock).await;
    let spent = Metric { kind: MetricKind::Sum.into(), ..guardrail("spent", "purchase") };
    let launch = launched(&server, vec![spent, guardrail("signup", "visited_signup")]).await;
    let mut crowd = Crowd::new("new_checkout", "visited_signup");
    for wave in 0..6 {
        crowd.come(&server, 60).await;
        let purchases = crowd
            .visitors()
            .iter()
            .step_by(3)
            .map(|visitor| Event { value: Some(f64::from(wave) + 0.1), ..event(visitor, "purchase") });
        log(&server, purchases.collect()).await;
        clock.advance(Duration::from_secs(7));
        if wave == 3 {
            // An epoch ends, and its exposures with it.
            server.set_rollout(crate::documents::percentage("new_checkout", 20.0)).await.unwrap();
        }
    }
    published(&server, &launch, "all who came are counted", |found| units(of_metric(found, "signup")) >= 300)
        .await;
    let database = Database::open(&server.home().url().parse().unwrap()).await.unwrap();
    let store = Store::new(database.relational().clone());
    let events = portcullis::events::of(&database);
    let id = LaunchId(launch.parse().unwrap());
    let verified = rebuild(&store, events.as_ref(), id, false).await.unwrap().unwrap();
    assert!(verified.different.is_empty() && verified.cells > 10, "{verified:?}");
    let written = rebuild(&store, events.as_ref(), id, true).await.unwrap().unwrap();
    assert!(written.different.is_empty(), "{written:?}");
    crowd.come(&server, 40).await;
    published(&server, &launch, "measuring goes on", |found| units(of_metric(found, "signup")) >= 340).await;
    let again = rebuild(&store, events.as_ref(), id, false).await.unwrap().unwrap();
    assert!(again.different.is_empty(), "{again:?}");
    database.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_that_rebuilds_says_by_its_exit_code_whether_sums_differ() {
    let server = Server::start().await;
    let launch = launched(&server, vec![guardrail("signup", "visited_signup")]).await;
    let mut crowd = Crowd::new("new_checkout", "visited_signup");
    crowd.come(&server, 60).await;
    published(&server, &launch, "all who came are counted", |found| units(of_metric(found, "signup")) == 60)
        .await;
    let home = server.stop().await;
    let url = home.url();
    let rebuild =
        async |more: &[&str]| run(None, &[&["metrics", "rebuild", "--database", &url], more].concat()).await;
    let told = rebuild(&["--verify"]).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.out.starts_with(&format!("launch {launch}: verified, ")), "{told:?}");

    home.execute("update moment_cell set sums = '{\"n\": 1000}' where metric = 'signup'").await;
    for _ in 0..2 {
        let told = rebuild(&["--verify", "--launch", &launch]).await;
        assert_eq!(told.code, 1, "it compares, and changes nothing: {told:?}");
        assert!(told.out.contains("differs: metric \"signup\""), "{told:?}");
    }
    let told = rebuild(&[]).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.out.contains(": rebuilt, ") && told.out.contains("differs: metric \"signup\""), "{told:?}");
    let told = rebuild(&["--verify"]).await;
    assert_eq!((told.code, told.out.contains("differs")), (0, false), "{told:?}");
    let told = rebuild(&["--launch", "0198c5b0-6d0e-7a3c-9c37-000000000000"]).await;
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.complaint.contains("0198c5b0-6d0e-7a3c-9c37-000000000000"), "{told:?}");
}
