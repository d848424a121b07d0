//! What a page or form of another client is about, as the user is told.

use actix_web::HttpRequest;

use super::{object_id::ObjectId, store};
use crate::{
    accounts::{ClientMembership, SignedInUser},
    db::Db,
    error::AppError,
    ids::PublicKey,
    web::app_data::app_data,
};

/// What an address names, or the keys that a form names.
pub(super) enum Subject {
    Object(ObjectId),
    Keys(Vec<PublicKey>),
}

/// A label and its value.
pub(super) struct Fact {
    pub(super) label: &'static str,
    pub(super) value: FactValue,
}

pub(super) enum FactValue {
    Text(String),
    /// Names, each with an id if one is shown.
    Names(Vec<(String, Option<String>)>),
}

impl Fact {
    pub(super) fn new(label: &'static str, text: String) -> Self {
        Self { label, value: FactValue::Text(text) }
    }

    /// The client that a page or form belongs to.
    pub(super) fn owner(client: &ClientMembership) -> Self {
        let owner = (client.name.clone(), Some(client.client_id.to_string()));
        Self { label: "Client", value: FactValue::Names(vec![owner]) }
    }
}

impl Subject {
    /// How many keys it is about.
    pub(super) fn key_count(&self) -> usize {
        match self {
            Self::Keys(keys) => keys.len(),
            Self::Object(ObjectId::Key(_)) => 1,
            Self::Object(_) => 0,
        }
    }

    /// The heading of the page that tells the user.
    pub(super) fn heading(&self) -> &'static str {
        match self {
            Self::Keys(keys) if keys.len() != 1 => "These API keys belong to another client",
            Self::Keys(_) | Self::Object(ObjectId::Key(_)) => "This API key belongs to another client",
            Self::Object(ObjectId::Session(_)) => "This session belongs to another client",
            Self::Object(ObjectId::Import(_)) => "This file belongs to another client",
            Self::Object(ObjectId::Invitation(_)) => "This invitation belongs to another client",
            Self::Object(ObjectId::Member(_)) => "This member belongs to another client",
        }
    }

    /// What to call one of its kind in a sentence.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Keys(_) | Self::Object(ObjectId::Key(_)) => "key",
            Self::Object(ObjectId::Session(_)) => "session",
            Self::Object(ObjectId::Import(_)) => "file",
            Self::Object(ObjectId::Invitation(_)) => "invitation",
            Self::Object(ObjectId::Member(_)) => "member",
        }
    }

    fn label(&self) -> &'static str {
        match self {
            Self::Keys(keys) if keys.len() != 1 => "API keys",
            Self::Keys(_) | Self::Object(ObjectId::Key(_)) => "API key",
            Self::Object(ObjectId::Session(_)) => "Session",
            Self::Object(ObjectId::Import(_)) => "File",
            Self::Object(ObjectId::Invitation(_)) => "Invitation for",
            Self::Object(ObjectId::Member(_)) => "Member",
        }
    }

    /// What the client calls it. `None` if it has no name, if the client does not have it, and if the client requires a
    /// second factor that the user lacks.
    pub(super) async fn load_name(
        self,
        request: &HttpRequest,
        user: &SignedInUser,
        client: &ClientMembership,
    ) -> Result<Option<Fact>, AppError> {
        if user.lacks_second_factor(client) {
            return Ok(None);
        }
        let label = self.label();
        let client = client.client_id.clone();
        let value = app_data::<Db>(request)?
            .run(move |connection| match self {
                Self::Keys(keys) => store::load_key_names(connection, &client, &keys).map(name_keys),
                Self::Object(ObjectId::Key(key)) => {
                    store::load_key_names(connection, &client, &[key]).map(name_keys)
                }
                Self::Object(object) => store::find_name(connection, &client, &object)
                    .map(|name| name.map(|name| FactValue::Names(vec![(name, None)]))),
            })
            .await?;
        Ok(value.map(|value| Fact { label, value }))
    }
}

fn name_keys(keys: Vec<(String, PublicKey)>) -> Option<FactValue> {
    let names: Vec<_> = keys.into_iter().map(|(name, key)| (name, Some(format!("{key}_••••")))).collect();
    (!names.is_empty()).then_some(FactValue::Names(names))
}
