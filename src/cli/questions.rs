//! `uptok questions`: prints the latest questions of readers of the API documentation.

use super::command_context::{DatabaseHandle, print_line};
use crate::{config::Settings, questions, web::format::time::rfc3339};

pub(super) fn run(settings: &Settings, last: i64) -> anyhow::Result<()> {
    let (_database, db) = DatabaseHandle::connect(settings)?;
    for questions::Question { asked_at, name, email, question } in
        questions::latest(&mut *db.connect()?, last)?
    {
        print_line(&format!("{} {name} <{email}>\n{question}\n", rfc3339(asked_at)))?;
    }
    Ok(())
}
