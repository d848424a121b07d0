//! Rate limits across nodes that share a database.
//!
//! A limit refills while a test runs, so what may be allowed depends on the time that has passed; it is measured. Tests
//! wait for exchanges between nodes, which the metrics count.

use std::{
    future::Future,
    net::TcpListener,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use reqwest::Method;
use uptok::api_keys::ClientKey;

use crate::{
    api_keys::auth::replace_secret,
    serve::Node,
    support::{Reply, TestDb, Visitor, test_app::PASSWORD},
};

/// Three processes on one database.
struct Cluster {
    db: TestDb,
    nodes: [ClusterNode; 3],
}

struct ClusterNode {
    node: Node,
    metrics: Visitor,
}

impl ClusterNode {
    fn start(db: &TestDb, arguments: &[&str]) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let common =
            ["--sign-up", "open", "--trusted-proxies", "127.0.0.1", "--metrics-listen", address.as_str()];
        let node = Node::start(&db.url, &[&common, arguments].concat());
        Self { node, metrics: Visitor::new(&format!("http://{address}")) }
    }

    async fn count_exchanges(&self) -> u64 {
        let text = self.metrics.get("/metrics").await.body;
        let sample = "uptok_rate_limit_exchanges_total{result=\"done\"} ";
        text.lines().find_map(|line| line.strip_prefix(sample)).unwrap().parse().unwrap()
    }

    /// Waits for an exchange that begins after this call.
    async fn exchange(&self) {
        let before = self.count_exchanges().await;
        // One may be under way.
        while self.count_exchanges().await < before + 2 {
            actix_web::rt::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends a call with this key.
    async fn call(&self, key: &str) -> Reply {
        let request = self.node.visitor().request(Method::GET, "/api/sessions").bearer_auth(key);
        Reply::read(request.send().await.unwrap()).await
    }

    /// Tries to log in with a wrong password from this address. Returns whether the attempt was allowed.
    async fn try_log_in(&self, address: &str, email: &str) -> bool {
        let request = self.node.visitor().request(Method::POST, "/login");
        let request = request
            .header("Sec-Fetch-Site", "same-origin")
            .header("X-Forwarded-For", address)
            .form(&[("email", email), ("password", "a wrong password")]);
        request.send().await.unwrap().status() != 429
    }
}

impl Cluster {
    fn start(arguments: &[&str]) -> Self {
        let db = TestDb::new();
        let nodes = std::array::from_fn(|_| ClusterNode::start(&db, arguments));
        Self { db, nodes }
    }

    /// Waits until each node knows what all have used.
    async fn exchange(&self) {
        // First all send, then all read.
        for _ in 0..2 {
            join_all(self.nodes.iter().map(ClusterNode::exchange)).await;
        }
    }

    async fn sign_up(&self) -> Visitor {
        let visitor = self.nodes[0].node.visitor();
        let account =
            [("name", "Ada"), ("company", "Ada"), ("email", "ada@example.org"), ("password", PASSWORD)];
        visitor.post("/register", &account).await.assert_sent_to("/settings/api-keys");
        visitor
    }

    /// Uses a limit of which this number a minute is allowed: a third of it on each node, each after an exchange, and then
    /// all of it again on each node. Asserts that the nodes together allowed the limit, and nothing more than what was
    /// refilled meanwhile. `attempt` returns whether it was allowed.
    async fn assert_limited<'a, F: Future<Output = bool>>(
        &'a self,
        per_minute: usize,
        attempt: impl Fn(&'a ClusterNode) -> F,
    ) {
        let (attempt, start) = (&attempt, Instant::now());
        let burst = async |node: &'a ClusterNode, attempts: usize| {
            let mut allowed = 0;
            for _ in 0..attempts {
                allowed += usize::from(attempt(node).await);
            }
            allowed
        };
        let shares = [per_minute / 3, per_minute / 3, per_minute - 2 * (per_minute / 3)];
        for (node, share) in self.nodes.iter().zip(shares).rev() {
            assert_eq!(burst(node, share).await, share, "the whole limit can be used");
            self.exchange().await;
        }

        let mut allowed = 0;
        for node in &self.nodes {
            allowed += burst(node, per_minute).await;
            self.exchange().await;
        }

        let refilled = start.elapsed().as_secs_f64() * f64::from(u32::try_from(per_minute).unwrap()) / 60.0;
        assert!(
            f64::from(u32::try_from(allowed).unwrap()) <= refilled + 1.0,
            "{allowed} more were allowed, {refilled} were refilled"
        );
    }
}

#[actix_web::test]
async fn a_key_is_limited_for_all_nodes_together() {
    let mut cluster = Cluster::start(&[]);
    // One of them has no meter.
    cluster.nodes[2] = ClusterNode::start(&cluster.db, &["--metering", "off"]);
    let key = cluster.sign_up().await.generate("laptop").await;
    cluster.db.execute("update api_keys set requests_per_minute = 60");

    let called = async |node: &ClusterNode| {
        let reply = node.call(&key).await;
        assert!([200, 429].contains(&reply.status.as_u16()), "{}", reply.body);
        reply.status == 200
    };
    cluster.assert_limited(60, called).await;
}

#[actix_web::test]
async fn the_headers_and_the_first_call_on_a_node_know_what_others_have_used() {
    let cluster = Cluster::start(&[]);
    let key = cluster.sign_up().await.generate("laptop").await;
    cluster.db.execute("update api_keys set requests_per_minute = 60");
    let start = Instant::now();
    for _ in 0..20 {
        assert_eq!(cluster.nodes[0].call(&key).await.status, 200);
    }
    cluster.exchange().await;

    let reply = cluster.nodes[1].call(&key).await;

    let left = reply.header("ratelimit").trim_start_matches("\"key\";r=").split(';').next().unwrap();
    let left: f64 = left.parse().unwrap();
    assert!((39.0..=39.0 + start.elapsed().as_secs_f64()).contains(&left), "{left}");
    // As if other nodes had used what is refilled in ten hours.
    cluster
        .db
        .execute("update key_rate_limits set used = used + 36000, full_at = now() + interval '10 hours'");
    cluster.exchange().await;
    for node in &cluster.nodes {
        let reply = node.call(&key).await;
        reply.assert_problem(429, "too_many_requests");
        assert!(reply.header("ratelimit").starts_with("\"key\";r=0;t=35"), "{}", reply.header("ratelimit"));
        assert_eq!(node.call(&replace_secret(&key)).await.status, 401, "a stranger learns nothing");
    }
}

#[actix_web::test]
async fn a_raised_limit_and_a_deletion_take_effect_on_every_node() {
    let cluster = Cluster::start(&[]);
    let ada = cluster.sign_up().await;
    let (raised, deleted) = (ada.generate("raised").await, ada.generate("deleted").await);
    cluster.db.execute("update api_keys set requests_per_minute = 60");
    for key in [&raised, &deleted] {
        for node in &cluster.nodes {
            assert_eq!(node.call(key).await.status, 200);
        }
    }
    cluster.exchange().await;
    cluster
        .db
        .execute("update key_rate_limits set used = used + 36000, full_at = now() + interval '10 hours'");
    cluster.exchange().await;
    for key in [&raised, &deleted] {
        for node in &cluster.nodes {
            assert_eq!(node.call(key).await.status, 429);
        }
    }

    cluster.db.execute("update api_keys set requests_per_minute = 600 where name = 'raised'");
    cluster.db.execute("update api_keys set deleted_at = now(), secret_hash = null where name = 'deleted'");

    // A node compares a limit that is used up with the database once a second.
    for (key, status) in [(&raised, 200), (&deleted, 401)] {
        for node in &cluster.nodes {
            while node.call(key).await.status != status {
                actix_web::rt::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    let reply = cluster.nodes[1].call(&raised).await;
    assert_eq!((reply.status.as_u16(), reply.header("ratelimit-policy")), (200, "\"key\";q=600;w=60"));
}

#[actix_web::test]
async fn bad_keys_are_limited_for_all_nodes_together() {
    let cluster = Cluster::start(&["--metering", "off"]);
    let called = async |node: &ClusterNode| {
        let status = node.call(&ClientKey::generate().expose()).await.status.as_u16();
        assert!([401, 429].contains(&status), "{status}");
        status == 401
    };
    cluster.assert_limited(60, called).await;
}

#[actix_web::test]
async fn questions_are_limited_for_all_nodes_together() {
    let cluster = Cluster::start(&[]);
    let asked = async |node: &ClusterNode| {
        let status = node.node.visitor().post("/questions", &[]).await.status.as_u16();
        assert!([422, 429].contains(&status), "{status}");
        status == 422
    };
    cluster.assert_limited(5, asked).await;
}

#[actix_web::test]
async fn login_attempts_are_counted_exactly_across_nodes() {
    let cluster = Cluster::start(&["--database-wait-seconds", "30"]);
    // Of one address to many accounts, and of many addresses to one account.
    for is_of_address in [true, false] {
        let start = Instant::now();
        let attempts =
            (0..10).flat_map(|number| cluster.nodes.iter().enumerate().map(move |it| (number, it)));
        let attempts = attempts.map(async |(number, (index, node))| {
            let (address, email) =
                (format!("192.0.{index}.{number}"), format!("ada-{index}-{number}@example.org"));
            if is_of_address {
                node.try_log_in("198.51.100.7", &email).await
            } else {
                node.try_log_in(&address, "ada@example.org").await
            }
        });

        let allowed = join_all(attempts).await.into_iter().filter(|is_allowed| *is_allowed).count();

        let refilled = usize::try_from(start.elapsed().as_secs() / 6).unwrap();
        assert!((10..=10 + refilled).contains(&allowed), "{allowed} were allowed, {refilled} were refilled");
    }
}

#[actix_web::test]
async fn nodes_count_alone_while_the_tables_are_locked() {
    use diesel::{Connection as _, connection::SimpleConnection as _};

    let db = TestDb::new();
    let node = ClusterNode::start(&db, &["--database-statement-seconds", "1"]);
    let visitor = node.node.visitor();
    let account = [("name", "Ada"), ("company", "Ada"), ("email", "ada@example.org"), ("password", PASSWORD)];
    visitor.post("/register", &account).await.assert_sent_to("/settings/api-keys");
    let key = visitor.generate("laptop").await;
    db.execute("update api_keys set requests_per_minute = 60");
    let mut lock = diesel::PgConnection::establish(&db.url).unwrap();
    lock.batch_execute("begin; lock table key_rate_limits, attempt_rate_limits").unwrap();
    let failed = async || {
        let text = node.metrics.get("/metrics").await.body;
        !text.contains("uptok_rate_limit_exchanges_total{result=\"failed\"} 0\n")
    };
    while !failed().await {
        actix_web::rt::time::sleep(Duration::from_millis(20)).await;
    }

    for _ in 0..60 {
        assert_eq!(node.call(&key).await.status, 200);
    }
    assert_eq!(node.call("uptok_typo").await.status, 401);
    let login = [("email", "ada@example.org"), ("password", PASSWORD)];
    node.node.visitor().post("/login", &login).await.assert_sent_to("/settings/api-keys");

    lock.batch_execute("rollback").unwrap();
    node.exchange().await;
}

#[actix_web::test]
async fn limits_that_are_available_again_leave_no_rows() {
    let db = TestDb::new();
    db.execute(
        "insert into key_rate_limits (client_id, public_key, requests_per_minute, used, full_at) \
         values ('cl_4f9k2m7qxw', 'uptok_AAAAAAAAAAAA', 60, 1, now() - interval '2 minutes')",
    );
    db.execute(
        "insert into attempt_rate_limits (kind, subject_hash, used, full_at) \
         values ('questions', decode(repeat('00', 16), 'hex'), 1, now() - interval '2 minutes')",
    );

    let _node = ClusterNode::start(&db, &[]);

    let count = "select concat((select count(*) from key_rate_limits), (select count(*) from attempt_rate_limits)) as answer";
    while db.query_text(count) != "00" {
        actix_web::rt::time::sleep(Duration::from_millis(20)).await;
    }
}
