//! `uptok distribute`: distributes the tables over the servers of Citus.

use super::command_context::{DatabaseHandle, print_line};
use crate::{config::Settings, db::distribution};

pub(super) fn run(settings: &Settings) -> anyhow::Result<()> {
    let database = DatabaseHandle::open(settings)?;
    // Before anything is changed.
    distribution::require_cluster(&database.url)?;
    database.set_up(settings)?;
    let mut is_new = false;
    distribution::distribute(&database.url, |change| {
        is_new = true;
        print_line(&change.to_string())
    })?;
    print_line(if is_new {
        "Start the nodes of Uptok again, so that they know where the tables are."
    } else {
        "Every table is distributed already."
    })
}
