//! Who reads a stream: a program with a key, or a member in the browser. Asked again with every piece of it.

use diesel::prelude::*;
use uuid::Uuid;

use crate::{
    accounts,
    api_keys::{Credentials, is_admitted},
    ids::ClientId,
};

/// Somebody who may read a client's sessions as long as [`Reader::is_admitted`] says so.
#[derive(Clone, Debug)]
pub(crate) enum Reader {
    /// A program, with what its key proves.
    Program(Credentials),
    /// A user who is logged in.
    Member {
        /// The active client.
        client: ClientId,
        /// The user.
        user_id: Uuid,
    },
}

impl Reader {
    /// Whose sessions are read.
    pub(crate) fn client(&self) -> &ClientId {
        match self {
            Self::Program(credentials) => &credentials.client,
            Self::Member { client, .. } => client,
        }
    }

    /// Whether the key still lives, or the user is still a member.
    pub(crate) fn is_admitted(&self, connection: &mut PgConnection) -> QueryResult<bool> {
        match self {
            Self::Program(credentials) => is_admitted(connection, credentials),
            Self::Member { client, user_id } => accounts::is_member(connection, client, *user_id),
        }
    }
}
