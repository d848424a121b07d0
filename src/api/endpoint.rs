//! One call of the API, whole: its address, who may make it, what answers it, and what the document says of it.

use actix_web::{
    Route,
    web::{ServiceConfig, delete, get, patch, post, resource},
};
use serde_json::Value;

use crate::api_keys::Access;

/// How a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMethod {
    /// Reads.
    Get,
    /// Makes, or reads with fields in the body.
    Post,
    /// Changes.
    Patch,
    /// Deletes.
    Delete,
}

impl HttpMethod {
    /// The word of HTTP.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    fn route(self) -> Route {
        match self {
            Self::Get => get(),
            Self::Post => post(),
            Self::Patch => patch(),
            Self::Delete => delete(),
        }
    }
}

/// One call of the API.
#[derive(Clone, Copy)]
pub struct Endpoint {
    /// How it is made.
    pub method: HttpMethod,
    /// Its address below `/api`: `/sessions/{sessionId}`.
    pub path: &'static str,
    /// Who may make it.
    pub access: Access,
    /// What answers it.
    pub handler: fn(Route) -> Route,
    /// What the document says of it, but for what follows from the rest: an OpenAPI operation.
    pub operation: fn() -> Value,
}

/// Takes these calls. Of two addresses that fit a request, the one that is listed first does.
pub(super) fn routes(calls: &[Endpoint], config: &mut ServiceConfig) {
    let mut taken: Vec<&str> = Vec::new();
    for call in calls {
        if taken.contains(&call.path) {
            continue;
        }
        taken.push(call.path);
        let same = calls.iter().filter(|it| it.path == call.path);
        config.service(same.fold(resource(call.path), |resource, call| {
            resource.route(call.access.guard((call.handler)(call.method.route())))
        }));
    }
}
