//! Which object of a client an address names.

use actix_web::HttpRequest;
use url::form_urlencoded;
use uuid::Uuid;

use crate::ids::PublicKey;

/// Something that belongs to a client, as an address names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ObjectId {
    Key(PublicKey),
    Session(Uuid),
    Import(Uuid),
    Invitation(Uuid),
    Member(Uuid),
}

/// What the path names, or else the query string.
pub(super) fn find_object(request: &HttpRequest) -> Option<ObjectId> {
    find_path_object(request).or_else(|| {
        let mut query = form_urlencoded::parse(request.query_string().as_bytes());
        query.find_map(|(name, text)| match name.as_ref() {
            "key" => parse_object("public_key", &text),
            "session" => parse_object("session_id", &text),
            _ => None,
        })
    })
}

/// What the path names.
pub(super) fn find_path_object(request: &HttpRequest) -> Option<ObjectId> {
    request.match_info().iter().find_map(|(name, text)| parse_object(name, text))
}

/// A parameter of a path as the table of routes names it.
fn parse_object(parameter: &str, text: &str) -> Option<ObjectId> {
    match parameter {
        "public_key" => text.parse().ok().map(ObjectId::Key),
        "session_id" => text.parse().ok().map(ObjectId::Session),
        "import_id" => text.parse().ok().map(ObjectId::Import),
        "invitation_id" => text.parse().ok().map(ObjectId::Invitation),
        "user_id" => text.parse().ok().map(ObjectId::Member),
        _ => None,
    }
}
