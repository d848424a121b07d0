//! Fixtures for the tests: databases, nodes, HTTP clients and browsers.

pub(crate) mod browser;
pub(crate) mod cacheable_proxy;
pub(crate) mod database_pool;
pub(crate) mod database_url;
pub(crate) mod faulty_proxy;
pub(crate) mod html;
pub(crate) mod later_migration;
pub(crate) mod other_site;
pub(crate) mod pgbouncer;
pub(crate) mod postgres_proxy;
pub(crate) mod route_requests;
pub(crate) mod smtp_server;
pub(crate) mod sql;
pub(crate) mod test_app;
pub(crate) mod test_db;

pub(crate) use browser::Browser;
pub(crate) use cacheable_proxy::CacheableProxy;
pub(crate) use faulty_proxy::{FaultyProxy, ProxyAction};
pub(crate) use other_site::OtherSite;
pub(crate) use pgbouncer::{PgBouncer, PgBouncerProgram};
pub(crate) use postgres_proxy::PostgresProxy;
pub(crate) use smtp_server::SmtpServer;
pub(crate) use test_app::{Reply, TestApp, Visitor, export_at};
pub(crate) use test_db::TestDb;
