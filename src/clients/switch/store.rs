//! The client that owns what an address names, and what it is called there.

use diesel::prelude::*;

use super::object_id::ObjectId;
use crate::{
    db::DataPlacement,
    ids::{ClientId, PublicKey},
    schema::{api_keys, imports, invitations, memberships, sessions, users},
};

/// The first of these clients that owns the object, ordered by id.
pub(super) fn find_owner(
    connection: &mut PgConnection,
    clients: &mut [ClientId],
    object: &ObjectId,
    placement: DataPlacement,
) -> QueryResult<Option<ClientId>> {
    clients.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    for clients in placement.split_clients(clients) {
        if let Some(owner) = find_owner_among(connection, clients, object)? {
            return Ok(Some(owner));
        }
    }
    Ok(None)
}

fn find_owner_among(
    connection: &mut PgConnection,
    clients: &[ClientId],
    object: &ObjectId,
) -> QueryResult<Option<ClientId>> {
    match object {
        ObjectId::Key(public_key) => api_keys::table
            .filter(api_keys::client_id.eq_any(clients).and(api_keys::public_key.eq(public_key)))
            .order(api_keys::client_id)
            .select(api_keys::client_id)
            .first(connection),
        ObjectId::Session(session_id) => sessions::table
            .filter(sessions::client_id.eq_any(clients).and(sessions::session_id.eq(session_id)))
            .order(sessions::client_id)
            .select(sessions::client_id)
            .first(connection),
        ObjectId::Import(import_id) => imports::table
            .filter(imports::client_id.eq_any(clients).and(imports::import_id.eq(import_id)))
            .order(imports::client_id)
            .select(imports::client_id)
            .first(connection),
        ObjectId::Invitation(invitation_id) => invitations::table
            .filter(invitations::client_id.eq_any(clients).and(invitations::invitation_id.eq(invitation_id)))
            .order(invitations::client_id)
            .select(invitations::client_id)
            .first(connection),
        ObjectId::Member(user_id) => memberships::table
            .filter(memberships::client_id.eq_any(clients).and(memberships::user_id.eq(user_id)))
            .order(memberships::client_id)
            .select(memberships::client_id)
            .first(connection),
    }
    .optional()
}

/// The names of these keys of the client, by name.
pub(super) fn load_key_names(
    connection: &mut PgConnection,
    client: &ClientId,
    keys: &[PublicKey],
) -> QueryResult<Vec<(String, PublicKey)>> {
    api_keys::table
        .filter(api_keys::client_id.eq(client).and(api_keys::public_key.eq_any(keys)))
        .order((api_keys::name, api_keys::public_key))
        .select((api_keys::name, api_keys::public_key))
        .load(connection)
}

/// The address of an invitation, the file of an import or the name of a member. Returns `None` for a session, which has no
/// name, for a key (see [`load_key_names`]) and for what the client does not have.
pub(super) fn find_name(
    connection: &mut PgConnection,
    client: &ClientId,
    object: &ObjectId,
) -> QueryResult<Option<String>> {
    match object {
        ObjectId::Session(_) | ObjectId::Key(_) => return Ok(None),
        ObjectId::Import(import_id) => {
            imports::table.find((client, import_id)).select(imports::file_name).first(connection)
        }
        ObjectId::Invitation(invitation_id) => invitations::table
            .filter(invitations::client_id.eq(client).and(invitations::invitation_id.eq(invitation_id)))
            .select(invitations::email)
            .first(connection),
        ObjectId::Member(user_id) => memberships::table
            .inner_join(users::table)
            .filter(memberships::client_id.eq(client).and(memberships::user_id.eq(user_id)))
            .select(users::name)
            .first(connection),
    }
    .optional()
}
