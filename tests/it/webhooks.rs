//! Webhooks: what they get, how often, signed with what, and what becomes of what can not be delivered.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use portcullis::app::App;
use portcullis::clock::{Clock, new_id};
use portcullis::config::ServeSettings;
use portcullis::database::Database;
use portcullis::domain::time::Timestamp;
use portcullis::store::Store;
use portcullis::store::outbox::DeliveryQuery;
use portcullis::transport::grpc::wire::resend_deliveries_request::Which;
use portcullis::transport::grpc::wire::webhook_service_client::WebhookServiceClient;
use portcullis::transport::grpc::wire::{
    ApplyConfigurationRequest, ArchiveWebhookRequest, CreateWebhookRequest, DecisionKind, Delivery,
    ExportConfigurationRequest, GetWebhookRequest, ListDeliveriesRequest, PlanConfigurationRequest,
    ResendDeliveriesRequest, UpdateWebhookRequest, Webhook,
};
use sqlx::Row as _;
use tonic::Code;
use tonic::transport::Channel;

use crate::documents::{gate, guardrail, percentage};
use crate::guard::harm;
use crate::home::Home;
use crate::receiver::{Answer, Receiver};
use crate::server::{Server, connect, eventually, fields, settings};
use crate::visitors::Crowd;

/// The secret of those who give one.
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

pub(crate) fn webhook(key: &str, url: &str) -> Webhook {
    Webhook { key: key.to_owned(), url: url.to_owned(), secret: SECRET.to_owned(), ..Webhook::default() }
}

impl Server {
    /// Makes a webhook, and gives its secret where the server made one.
    pub(crate) async fn create_webhook(&self, webhook: Webhook) -> String {
        let request = CreateWebhookRequest { webhook: Some(webhook) };
        self.admin().create_webhook(request).await.expect("a webhook").into_inner().secret
    }

    async fn get_webhook(&self, key: &str) -> Webhook {
        let request = GetWebhookRequest { key: key.to_owned() };
        self.admin().get_webhook(request).await.expect("a webhook").into_inner().webhook.expect("it is sent")
    }

    fn webhooks(&self) -> WebhookServiceClient<Channel> {
        WebhookServiceClient::new(self.channel())
    }

    async fn deliveries(&self, dead_only: bool) -> Vec<Delivery> {
        let request = ListDeliveriesRequest { dead_only, ..ListDeliveriesRequest::default() };
        self.webhooks().list_deliveries(request).await.expect("deliveries").into_inner().deliveries
    }

    async fn resend(&self, which: Which) -> Result<i64, tonic::Status> {
        let request = ResendDeliveriesRequest { which: Some(which) };
        self.webhooks().resend_deliveries(request).await.map(|answer| answer.into_inner().count)
    }

    /// Waits until nothing is left to be delivered.
    pub(crate) async fn all_delivered(&self) {
        eventually("nothing is left to be delivered", async || match self.deliveries(false).await {
            left if left.is_empty() => Ok(()),
            left => Err(format!("{left:?}")),
        })
        .await;
    }

    /// Waits until so many are given up.
    pub(crate) async fn given_up(&self, count: usize) -> Vec<Delivery> {
        eventually(&format!("{count} are given up"), async || {
            let dead = self.deliveries(true).await;
            if dead.len() == count { Ok(dead) } else { Err(format!("{:?}", self.deliveries(false).await)) }
        })
        .await
    }

    /// Makes decisions about a gate: a launch begins, is edited, and ends, so that the guard adds none later.
    pub(crate) async fn edit(&self, gate: &str, shares: &[f64]) {
        for share in shares.iter().chain(&[0.0]) {
            self.set_rollout(percentage(gate, *share)).await.expect("an edit");
        }
    }
}

pub(crate) async fn start_as(change: impl FnOnce(&mut ServeSettings)) -> Server {
    let home = Home::new().await;
    let mut settings = settings(&home);
    change(&mut settings);
    Server::start_as(home, settings, Clock::system()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_delivered_signed_and_as_watchers_see_it() {
    let (server, receiver) = (Server::start().await, Receiver::start().await);
    let only = Webhook { kinds: vec![DecisionKind::RollBack.into()], ..webhook("pager", &receiver.url()) };
    assert_eq!(server.create_webhook(only).await, "", "the secret was given");
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 0.0)).await;
    server.set_rollout(percentage("new_checkout", 50.0)).await.unwrap();
    harm(&server, &mut Crowd::new("new_checkout", "visited_signup").doing(0.3, 0.5)).await;

    let got = receiver.wait(1).await;
    server.all_delivered().await;
    assert_eq!(receiver.got().len(), 1, "{:?}", receiver.got());
    assert!(got[0].is_signed_with(SECRET), "{got:?}");
    let now = Clock::system().now().0 / 1_000;
    assert!((now - 60..=now).contains(&got[0].timestamp), "{got:?}");
    let decision = got[0].json();
    let decisions = server.decisions("").await;
    let wanted = decisions.iter().find(|it| it.kind() == DecisionKind::RollBack).unwrap();
    assert_eq!(decision["id"], wanted.id.as_str());
    assert_eq!(decision["cursor"], wanted.cursor);
    assert_eq!(decision["kind"], "DECISION_KIND_ROLL_BACK");
    assert_eq!(decision["target"]["key"], "new_checkout");
    assert_eq!(decision["reasons"][0]["metric"], "signup");
    assert_eq!(decision["verdicts"][0]["verdict"], "VERDICT_HARM");
    let control = &decision["verdicts"][0]["epochs"][0]["control"];
    assert_eq!(control["n"], wanted.verdicts[0].epochs[0].control.unwrap().n);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_what_it_asks_for_and_only_while_it_is_on() {
    let (server, receiver) = (Server::start().await, Receiver::start().await);
    let at = |path: &str| format!("http://{}/{path}", receiver.address());
    let of_one = Webhook { targets: vec!["gate:one".to_owned()], ..webhook("of_one", &at("of_one")) };
    server.create_webhook(of_one).await;
    let off = Webhook { active: Some(false), ..webhook("off", &at("off")) };
    server.create_webhook(off).await;
    server.create_webhook(webhook("all", &at("all"))).await;
    for key in ["one", "two"] {
        server.create_gate(gate(key, 0.0)).await;
        server.edit(key, &[30.0, 10.0]).await;
    }
    server.all_delivered().await;
    let decisions = server.decisions("").await;
    let told = |path: &str| -> BTreeSet<String> {
        let got = receiver.got().into_iter().filter(|got| got.path == path);
        got.map(|got| got.json()["id"].as_str().unwrap().to_owned()).collect()
    };
    let ids = |key: Option<&str>| -> BTreeSet<String> {
        let of = |it: &&portcullis::transport::grpc::wire::Decision| {
            key.is_none_or(|key| it.target.as_ref().unwrap().key == key)
        };
        decisions.iter().filter(of).map(|it| it.id.clone()).collect()
    };
    assert!(ids(Some("one")).len() >= 2);
    assert_eq!(told("/of_one"), ids(Some("one")));
    assert_eq!(told("/all"), ids(None));
    assert_eq!(told("/off"), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_is_sent_again_with_the_same_id_until_it_is() {
    let (server, receiver) = (Server::start().await, Receiver::start().await);
    server.create_webhook(webhook("pager", &receiver.url())).await;
    server.create_gate(gate("one", 0.0)).await;
    let elsewhere = format!("http://{}/elsewhere", receiver.address());
    receiver.answer([
        Answer::Status(500, "out of order".to_owned()),
        Answer::Elsewhere(elsewhere),
        Answer::Status(404, String::new()),
    ]);
    server.edit("one", &[30.0]).await;
    receiver.wait(4).await;
    server.all_delivered().await;
    let got = receiver.got();
    let ids: BTreeSet<&str> = got.iter().map(|got| got.id.as_str()).collect();
    assert!(got.iter().all(|got| got.is_signed_with(SECRET) && got.path == "/hook"), "{got:?}");
    let decisions = server.decisions("").await.len();
    assert_eq!(ids.len(), decisions, "each has an id of its own");
    assert_eq!(receiver.got().len(), decisions + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_takes_is_given_up_listed_and_sent_again_when_asked_for() {
    let server = start_as(|settings| settings.webhook_attempts = 2).await;
    let receiver = Receiver::start().await;
    server.create_webhook(webhook("pager", &receiver.url())).await;
    server.create_gate(gate("one", 0.0)).await;
    receiver.answer(vec![Answer::Status(503, "closed\ntoday".to_owned()); 1_000]);
    server.edit("one", &[30.0, 10.0]).await;
    let count = server.decisions("").await.len();
    let dead = server.given_up(count).await;
    assert!(dead.iter().all(|it| it.attempts == 2 && it.webhook == "pager"), "{dead:?}");
    assert!(dead.iter().all(|it| it.dead_time.is_some() && it.due_time.is_none()), "{dead:?}");
    assert_eq!(dead[0].failure, "it was answered with 503 Service Unavailable: closed today");
    let before = receiver.got().len();
    assert_eq!(before, 2 * count);

    receiver.answer([]);
    assert_eq!(server.resend(Which::Id(dead[0].id.clone())).await.unwrap(), 1);
    let got = receiver.wait(before + 1).await;
    assert_eq!(got.last().unwrap().id, dead[0].id);
    server.given_up(count - 1).await;
    let gone = server.resend(Which::Id(dead[0].id.clone())).await.unwrap_err();
    assert_eq!(gone.code(), Code::FailedPrecondition, "{gone:?}");
    let unknown = server.resend(Which::Webhook("nobody".to_owned())).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound, "{unknown:?}");
    assert_eq!(
        server.resend(Which::Webhook("pager".to_owned())).await.unwrap(),
        i64::try_from(count).unwrap() - 1
    );
    receiver.wait(before + count).await;
    server.all_delivered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_inside_unless_that_is_allowed() {
    let server = start_as(|settings| {
        settings.webhook_private_addresses = false;
        settings.webhook_attempts = 1;
    })
    .await;
    let receiver = Receiver::start().await;
    let port = receiver.address().port();
    let hosts =
        ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433", "169.254.169.254"];
    for (index, host) in hosts.iter().enumerate() {
        server
            .create_webhook(webhook(&format!("inside-{index}"), &format!("http://{host}:{port}/hook")))
            .await;
    }
    server.create_gate(gate("one", 0.0)).await;
    server.edit("one", &[30.0]).await;
    let count = server.decisions("").await.len();
    let dead = server.given_up(count * hosts.len()).await;
    for delivery in dead {
        assert!(delivery.failure.contains("--webhook-private-addresses"), "{delivery:?}");
    }
    assert_eq!(receiver.got().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_answer_keeps_no_other_waiting_and_no_stop() {
    // Longer than the test may take: who waited for the silent one is found out.
    let server = start_as(|settings| settings.webhook_timeout = Duration::from_mins(5)).await;
    let (silent, receiver) = (Receiver::start().await, Receiver::start().await);
    silent.answer(vec![Answer::Never; 100]);
    server.create_webhook(webhook("silent", &silent.url())).await;
    server.create_webhook(webhook("pager", &receiver.url())).await;
    server.create_gate(gate("one", 0.0)).await;
    server.edit("one", &[30.0, 10.0, 20.0, 5.0]).await;
    receiver.wait(4).await;
    assert_eq!(silent.got().len(), 1, "one after the other");
    let begun = std::time::Instant::now();
    server.stop().await;
    assert!(begun.elapsed() < Duration::from_mins(2), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_and_not_sent_is_sent_after_a_restart() {
    let free = Receiver::start().await.address();
    let server = start_as(|settings| settings.webhook_retry = Duration::from_millis(200)).await;
    // Nobody listens there.
    let nobody = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    assert_ne!(free, address);
    server.create_webhook(webhook("pager", &format!("http://{address}/hook"))).await;
    server.create_gate(gate("one", 0.0)).await;
    server.edit("one", &[30.0, 10.0]).await;
    let waiting = eventually("an attempt has failed", async || {
        let waiting = server.deliveries(false).await;
        if waiting.iter().any(|it| it.attempts > 0) { Ok(waiting) } else { Err(format!("{waiting:?}")) }
    })
    .await;
    let failure = &waiting.iter().find(|it| it.attempts > 0).unwrap().failure;
    assert!(failure.contains("could not be sent") && !failure.contains("hook"), "{failure}");
    let home = server.stop().await;

    // One of them was under way when the server was killed: it stays claimed until the claim ends.
    let claimed = claim(&home, "pager", 1_500).await;
    let receiver = Receiver::start_at(address).await;
    let server = Server::start_in(home, Clock::system()).await;
    server.all_delivered().await;
    let got = receiver.got();
    let ids: BTreeSet<&str> = got.iter().map(|got| got.id.as_str()).collect();
    assert_eq!(got.len(), ids.len(), "each once: {got:?}");
    assert!(ids.contains(claimed.as_str()) && ids.len() == server.decisions("").await.len());
}

/// Claims the oldest delivery of a webhook as a server does that is killed then. Gives its id.
async fn claim(home: &Arc<Home>, webhook: &str, ms: i64) -> String {
    let database = Database::open(&home.url().parse().unwrap()).await.unwrap();
    let store = Store::new(database.relational().clone());
    let now = Clock::system().now();
    // What waits for its next attempt is due by then.
    let due = now.plus_ms(60_000);
    let fence = store.lease().await.unwrap().fence;
    let mine = store.claim(fence, webhook, new_id(now), due, now.plus_ms(ms)).await.unwrap().unwrap();
    database.close().await;
    mine.delivery.notice.id.0.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_belongs_to_one_claim_at_a_time() {
    let (server, receiver) = (Server::start().await, Receiver::start().await);
    let off = Webhook { targets: vec!["gate:one".to_owned()], ..webhook("pager", &receiver.url()) };
    receiver.answer(vec![Answer::Status(500, String::new()); 1_000]);
    server.create_webhook(off).await;
    server.create_gate(gate("one", 0.0)).await;
    server.edit("one", &[30.0]).await;
    receiver.wait(1).await;
    let home = server.stop().await;
    let database = Database::open(&home.url().parse().unwrap()).await.unwrap();
    let store = Store::new(database.relational().clone());
    let count =
        store.deliveries(&DeliveryQuery { limit: 100, ..DeliveryQuery::default() }).await.unwrap().len();
    let now = Clock::system().now().plus_ms(86_400_000);
    let until = now.plus_ms(1_000);
    let fence = store.lease().await.unwrap().fence;
    let claim = async |now: Timestamp| {
        store.claim(fence, "pager", new_id(now), now, now.plus_ms(1_000)).await.unwrap()
    };
    let mut claims = Vec::new();
    for claimed in futures_of(&store, now, 2 * count).await {
        claims.extend(claimed);
    }
    assert_eq!(claims.len(), count, "each went to one");
    assert!(claim(now).await.is_none());
    // Whoever comes back too late changes nothing of what another one does meanwhile.
    let again = claim(until).await.unwrap();
    let late = claims.iter().find(|it| it.delivery.notice == again.delivery.notice).unwrap();
    store.delivered(late).await.unwrap();
    store.failed(late, "late", until, None).await.unwrap();
    store.release(late).await.unwrap();
    let left = store.deliveries(&DeliveryQuery { limit: 100, ..DeliveryQuery::default() }).await.unwrap();
    let still = left.iter().find(|it| it.notice == again.delivery.notice).unwrap();
    assert_eq!((still.attempts, still.dead_at), (again.delivery.attempts, None));
    store.delivered(&again).await.unwrap();
    let left = store.deliveries(&DeliveryQuery { limit: 100, ..DeliveryQuery::default() }).await.unwrap();
    assert_eq!(left.len(), count - 1);
    database.close().await;
}

/// Claims so many times at once.
async fn futures_of(
    store: &Store,
    now: Timestamp,
    times: usize,
) -> Vec<Option<portcullis::store::outbox::Claim>> {
    let mut tasks = Vec::new();
    let fence = store.lease().await.unwrap().fence;
    for _ in 0..times {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            store.claim(fence, "pager", new_id(now), now, now.plus_ms(1_000)).await.unwrap()
        }));
    }
    let mut claims = Vec::new();
    for task in tasks {
        claims.push(task.await.unwrap());
    }
    claims
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_on_one_database_send_each_notice_once() {
    let (one, receiver) = (Server::start().await, Receiver::start().await);
    let folder = tempfile::tempdir().unwrap();
    let settings = ServeSettings { data_dir: folder.path().to_owned(), ..settings(one.home()) };
    let other = App::start(&settings, Clock::system()).await.unwrap();
    connect(other.address()).await;
    one.create_webhook(webhook("pager", &receiver.url())).await;
    one.create_gate(gate("one", 0.0)).await;
    for share in [30.0, 10.0, 0.0].repeat(7) {
        eventually("an edit goes through", async || {
            one.set_rollout(percentage("one", share)).await.map_err(|status| status.to_string())
        })
        .await;
    }
    one.all_delivered().await;
    let got = receiver.got();
    let ids: BTreeSet<&str> = got.iter().map(|got| got.id.as_str()).collect();
    assert_eq!((got.len(), ids.len()), (one.decisions("").await.len(), got.len()));
    other.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_archived_gets_nothing_more() {
    let server = start_as(|settings| settings.webhook_retry = Duration::from_millis(20)).await;
    let receiver = Receiver::start().await;
    receiver.answer(vec![Answer::Status(500, String::new()); 1_000]);
    server.create_webhook(webhook("pager", &receiver.url())).await;
    server.create_gate(gate("one", 0.0)).await;
    server.edit("one", &[30.0]).await;
    receiver.wait(1).await;
    let count = server.deliveries(false).await.len();
    let request = ArchiveWebhookRequest { key: "pager".to_owned(), revision: 1 };
    server.admin().archive_webhook(request).await.unwrap();
    server.edit("one", &[10.0]).await;
    let dead = server.given_up(count).await;
    // One may have been under way meanwhile, and tells what became of that.
    let others: Vec<&str> =
        dead.iter().map(|it| it.failure.as_str()).filter(|it| *it != "the webhook is archived").collect();
    assert!(others.len() <= 1 && others.iter().all(|it| it.contains("500")), "{dead:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_made_or_given_kept_and_never_shown() {
    let (server, receiver) = (Server::start().await, Receiver::start().await);
    let made =
        server.create_webhook(Webhook { secret: String::new(), ..webhook("made", &receiver.url()) }).await;
    assert!(made.starts_with("whsec_"), "{made}");
    let mut stored = server.get_webhook("made").await;
    assert_eq!((stored.secret.as_str(), stored.secret_sha256.len()), ("", 64));
    // An update that gives no secret keeps the one that is there.
    stored.description = "Wakes people up.".to_owned();
    let request = UpdateWebhookRequest { webhook: Some(stored.clone()) };
    server.admin().update_webhook(request).await.unwrap();
    server.create_gate(gate("one", 0.0)).await;
    server.edit("one", &[30.0]).await;
    assert!(receiver.wait(1).await[0].is_signed_with(&made));
    server.all_delivered().await;

    // One that names a file has what is in it, also after it was changed.
    let folder = server.home().path().join("secrets");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("pager"), format!("{SECRET}\n")).unwrap();
    stored = server.get_webhook("made").await;
    stored.secret_file = "pager".to_owned();
    server.admin().update_webhook(UpdateWebhookRequest { webhook: Some(stored) }).await.unwrap();
    let before = receiver.got().len();
    server.edit("one", &[10.0]).await;
    assert!(receiver.wait(before + 1).await[before].is_signed_with(SECRET));
    server.all_delivered().await;

    let audited = server.home().rows("select detail from audit").await;
    assert!(audited.iter().all(|row| !row.get::<String, _>(0).contains(&made)), "the audit shows the secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_has_webhooks_without_their_secrets() {
    let server = Server::start().await;
    let mut whole = webhook("pager", "https://pager.example/hook");
    whole.kinds = vec![DecisionKind::RollBack.into(), DecisionKind::Block.into()];
    whole.targets = vec!["gate:one/everyone".to_owned(), "experiment:form".to_owned()];
    server.create_webhook(whole).await;
    let exported = server.configuration().export_configuration(ExportConfigurationRequest {}).await.unwrap();
    let yaml = exported.into_inner().yaml;
    assert!(!yaml.contains("whsec_") && yaml.contains("sha256"), "{yaml}");

    let plan = async |yaml: &str| {
        let request = PlanConfigurationRequest { yaml: yaml.to_owned(), prune: false };
        server.configuration().plan_configuration(request).await.map(tonic::Response::into_inner)
    };
    assert_eq!(plan(&yaml).await.unwrap().changes, [], "the same is no change");
    // A secret that is given in the file is a change, and shows in none of its lines.
    let rotated = format!(
        "webhooks:\n- key: pager\n  url: https://pager.example/hook\n  secret: {{kind: text, text: {SECRET}AAAA}}\n"
    );
    let planned = plan(&rotated).await.unwrap();
    let [change] = &planned.changes[..] else { panic!("{planned:?}") };
    assert!(change.difference.contains("+  sha256") && !change.difference.contains("whsec_"), "{change:?}");
    let apply = ApplyConfigurationRequest { yaml: rotated, prune: false, revision: planned.revision };
    server.configuration().apply_configuration(apply).await.unwrap();
    let hash = server.get_webhook("pager").await.secret_sha256;
    // The first file has another secret's hash now.
    let refused = plan(&yaml).await.unwrap_err();
    assert_eq!(fields(&refused), ["webhooks[0].secret"], "{refused:?}");
    assert!(!yaml.contains(&hash));
    let refused = plan("webhooks:\n- key: new\n  url: https://pager.example/hook\n").await.unwrap_err();
    assert_eq!(fields(&refused), ["webhooks[0].secret"], "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_webhook_can_not_be_is_refused_by_its_field() {
    let server = Server::start().await;
    let refused = async |webhook: Webhook| {
        let request = CreateWebhookRequest { webhook: Some(webhook) };
        let status = server.admin().create_webhook(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        fields(&status)
    };
    let good = || webhook("pager", "https://pager.example/hook");
    assert_eq!(refused(Webhook { url: "file:///etc/passwd".to_owned(), ..good() }).await, ["webhook.url"]);
    assert_eq!(refused(Webhook { secret: "hunter2".to_owned(), ..good() }).await, ["webhook.secret"]);
    assert_eq!(refused(Webhook { secret_file: "x".to_owned(), ..good() }).await, ["webhook.secret_file"]);
    let upwards = Webhook { secret: String::new(), secret_file: "../x".to_owned(), ..good() };
    assert_eq!(refused(upwards).await, ["webhook.secret.name"]);
    assert_eq!(refused(Webhook { kinds: vec![9], ..good() }).await, ["webhook.kinds[0]"]);
    assert_eq!(refused(Webhook { targets: vec!["one".to_owned()], ..good() }).await, ["webhook.targets[0]"]);
}
