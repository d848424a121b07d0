//! `uptok user sign-ins` and `end-sign-ins`.

use anyhow::{Context as _, bail, ensure};
use diesel::PgConnection;
use uuid::Uuid;

use super::command_context::{DatabaseHandle, audit_context, print_line};
use crate::{
    accounts::{self, EmailAddress, describe_device},
    config::Settings,
    web::format::{hex, plural, time::rfc3339},
};

/// Hexadecimal digits of an ID: 64 bits of the key in the table, which signs nobody in.
const ID_LENGTH: usize = 16;

pub(super) fn list(settings: &Settings, email: &EmailAddress) -> anyhow::Result<()> {
    let (_database, db) = DatabaseHandle::connect(settings)?;
    let mut connection = db.connect()?;
    let user_id = find_user(&mut connection, email)?;
    for sign_in in accounts::list_sign_ins(&mut connection, user_id)? {
        let (first_seen, last_seen) = (rfc3339(sign_in.created_at), rfc3339(sign_in.last_seen_at));
        let address = sign_in.address.map_or_else(|| "-".to_owned(), |network| network.addr().to_string());
        let device = describe_device(sign_in.user_agent.as_deref().unwrap_or_default());
        let id = format_id(&sign_in.id_hash);
        print_line(&format!("{id}\t{first_seen}\t{last_seen}\t{address}\t{device}"))?;
    }
    Ok(())
}

/// Ends the sign-in with this ID, or all without one.
pub(super) fn end(settings: &Settings, email: &EmailAddress, id: Option<&str>) -> anyhow::Result<()> {
    let (_database, db) = DatabaseHandle::connect(settings)?;
    let (mut connection, context) = (db.connect()?, audit_context(settings)?);
    let user_id = find_user(&mut connection, email)?;
    let Some(id) = id else {
        let ended = accounts::end_sign_ins(&mut connection, &context, user_id, None)?;
        let count = i128::try_from(ended)?;
        return print_line(&format!("{ended} {} of {email} ended", plural(count, "sign-in")));
    };
    let sign_ins = accounts::list_sign_ins(&mut connection, user_id)?;
    let Some(sign_in) = sign_ins.iter().find(|it| format_id(&it.id_hash) == id) else {
        bail!("{email} has no sign-in with this ID; list them with uptok user sign-ins")
    };
    let has_ended = accounts::end_sign_in(&mut connection, &context, user_id, &sign_in.id_hash)?;
    ensure!(has_ended, "the sign-in had ended already");
    print_line(&format!("The sign-in {id} of {email} has ended"))
}

fn find_user(connection: &mut PgConnection, email: &EmailAddress) -> anyhow::Result<Uuid> {
    accounts::find_user_id(connection, email)?.with_context(|| format!("there is no user {email}"))
}

fn format_id(id_hash: &[u8]) -> String {
    hex(id_hash).chars().take(ID_LENGTH).collect()
}
