//! Middleware around `/api` that counts each request once its status is known.

use actix_web::{
    Error, HttpMessage as _,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::USER_AGENT,
    middleware::Next,
    web::Data,
};

use super::meter::{MeteredError, MeteredRequest, UsageMeter};
use crate::{
    config::Settings,
    ids::{ClientId, PublicKey},
    web::{
        connection::client_address::client_address,
        format::time,
        middleware::{
            error_responses,
            request_log::{request_id, route_pattern},
        },
    },
};

/// The key to count a request for. Authentication attaches it to the request, also if it then rejects an active key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiCaller {
    pub(crate) client: ClientId,
    pub(crate) public_key: PublicKey,
}

/// Requests without an [`ApiCaller`] are not counted. A stream is counted when it starts.
pub(crate) async fn count_request(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let response = next.call(request).await?;
    if let Some(meter) = response.request().app_data::<Data<UsageMeter>>().filter(|meter| meter.is_on()) {
        count_response(meter, &response);
    }
    Ok(response)
}

fn count_response(meter: &UsageMeter, response: &ServiceResponse<impl MessageBody>) {
    let request = response.request();
    let route = route_pattern(request);
    let extensions = request.extensions();
    let Some(caller) = extensions.get::<ApiCaller>() else { return };
    let trusted = request.app_data::<Data<Settings>>().map_or(&[][..], |settings| &settings.trusted_proxies);
    meter.count(&MeteredRequest {
        client: &caller.client,
        public_key: &caller.public_key,
        answered_at: time::now(),
        method: request.method().as_str(),
        route: &route,
        status: response.status().as_u16(),
        address: client_address(request, trusted),
        user_agent: request.headers().get(USER_AGENT).map_or(b"", |value| value.as_bytes()),
        error: metered_error(response),
    });
}

fn metered_error(response: &ServiceResponse<impl MessageBody>) -> Option<MeteredError> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let code = error_responses::code(response.response().error(), status);
    request_id(response.request()).map(|request_id| MeteredError { request_id, code })
}
