//! One entry of the endpoint table: method, path, access rule, handler and OpenAPI operation.

use actix_web::{
    Route,
    web::{ServiceConfig, delete, get, patch, post, resource},
};
use serde_json::Value;

use crate::api_keys::{EndpointAccess, KeyRoute};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMethod {
    Get,
    Post,
    Patch,
    Delete,
}

impl HttpMethod {
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

#[derive(Clone, Copy)]
pub enum EndpointHandler {
    /// Needs no key.
    Public(fn(Route) -> Route),
    /// Answers only authorized keys: [`KeyRoute`] accepts no other handler.
    Key(EndpointAccess, fn(Route) -> KeyRoute),
}

impl EndpointHandler {
    fn attach(self, route: Route) -> Route {
        match self {
            Self::Public(handler) => handler(route),
            Self::Key(access, handler) => handler(route).require(access),
        }
    }
}

#[derive(Clone, Copy)]
pub struct Endpoint {
    pub method: HttpMethod,
    /// The path below `/api`, with parameters in braces: `/sessions/{sessionId}`.
    pub path: &'static str,
    pub handler: EndpointHandler,
    /// The OpenAPI operation. What follows from the other fields, such as security and error responses, is added later.
    pub operation: fn() -> Value,
}

impl Endpoint {
    /// The access rule. Returns `None` if no key is needed.
    #[must_use]
    pub const fn access(&self) -> Option<EndpointAccess> {
        match self.handler {
            EndpointHandler::Public(_) => None,
            EndpointHandler::Key(access, _) => Some(access),
        }
    }
}

/// Registers the endpoints, one resource per path, so that a wrong method gets 405. If two paths match a request, the one
/// listed first serves it.
pub(super) fn register_routes(endpoints: &[Endpoint], config: &mut ServiceConfig) {
    let mut registered: Vec<&str> = Vec::new();
    for endpoint in endpoints {
        if registered.contains(&endpoint.path) {
            continue;
        }
        registered.push(endpoint.path);
        let same_path = endpoints.iter().filter(|it| it.path == endpoint.path);
        config.service(same_path.fold(resource(endpoint.path), |resource, it| {
            resource.route(it.handler.attach(it.method.route()))
        }));
    }
}
