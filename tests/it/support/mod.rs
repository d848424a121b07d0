//! What the tests stand on.

pub(crate) mod html;
pub(crate) mod test_app;
pub(crate) mod test_db;

pub(crate) use test_app::{Reply, TestApp, Visitor, export_at};
pub(crate) use test_db::TestDb;
