//! The object that a page or form of another client is about: its name, and the words that pages use for it.

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
pub(super) enum PageSubject {
    Object(ObjectId),
    Keys(Vec<PublicKey>),
}

/// The words that pages use for a subject.
pub(super) struct SubjectWording {
    /// The heading of a page that offers to switch to its client.
    pub(super) heading: &'static str,
    /// The label of its name.
    label: &'static str,
    /// For a sentence or a button: `key`.
    pub(super) noun: &'static str,
}

/// A label and its value.
pub(super) struct PageFact {
    pub(super) label: &'static str,
    pub(super) value: FactValue,
}

pub(super) enum FactValue {
    Text(String),
    /// Names, each with an id if one is shown.
    Names(Vec<(String, Option<String>)>),
}

impl PageFact {
    pub(super) fn new(label: &'static str, text: String) -> Self {
        Self { label, value: FactValue::Text(text) }
    }

    /// The client that a page or form belongs to.
    pub(super) fn owner(client: &ClientMembership) -> Self {
        let owner = (client.name.clone(), Some(client.client_id.to_string()));
        Self { label: "Client", value: FactValue::Names(vec![owner]) }
    }
}

impl PageSubject {
    /// How many keys it is about.
    pub(super) fn key_count(&self) -> usize {
        match self {
            Self::Keys(keys) => keys.len(),
            Self::Object(ObjectId::Key(_)) => 1,
            Self::Object(_) => 0,
        }
    }

    pub(super) fn wording(&self) -> SubjectWording {
        let (heading, label, noun) = match self {
            Self::Keys(keys) if keys.len() != 1 => {
                ("These API keys belong to another client", "API keys", "keys")
            }
            Self::Keys(_) | Self::Object(ObjectId::Key(_)) => {
                ("This API key belongs to another client", "API key", "key")
            }
            Self::Object(ObjectId::Session(_)) => {
                ("This session belongs to another client", "Session", "session")
            }
            Self::Object(ObjectId::Import(_)) => ("This file belongs to another client", "File", "file"),
            Self::Object(ObjectId::Invitation(_)) => {
                ("This invitation belongs to another client", "Invitation for", "invitation")
            }
            Self::Object(ObjectId::Member(_)) => {
                ("This member belongs to another client", "Member", "member")
            }
        };
        SubjectWording { heading, label, noun }
    }

    /// Its name in the client. Returns `None` if it has none, if it belongs to another client, and if the client requires a
    /// second factor that the user does not have.
    pub(super) async fn load_name(
        self,
        request: &HttpRequest,
        user: &SignedInUser,
        client: &ClientMembership,
    ) -> Result<Option<PageFact>, AppError> {
        if user.lacks_second_factor(client) {
            return Ok(None);
        }
        let label = self.wording().label;
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
        Ok(value.map(|value| PageFact { label, value }))
    }
}

fn name_keys(keys: Vec<(String, PublicKey)>) -> Option<FactValue> {
    let names: Vec<_> = keys.into_iter().map(|(name, key)| (name, Some(format!("{key}_••••")))).collect();
    (!names.is_empty()).then_some(FactValue::Names(names))
}
