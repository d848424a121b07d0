//! Where requests are counted: around everything below `/api`, once the answer is known.

use actix_web::{
    Error, HttpMessage as _,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::USER_AGENT,
    middleware::Next,
    web::Data,
};

use super::meter::{MeteredRequest, UsageMeter};
use crate::{
    config::Settings,
    ids::{ClientId, PublicKey},
    web::{
        client_address::client_address,
        error_pages,
        request_log::{RequestId, route_of},
        time,
    },
};

/// Whose key was let in, or is known to live: left with the request for whoever looks at the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiCaller {
    /// The client.
    pub client: ClientId,
    /// The public key.
    pub public_key: PublicKey,
}

/// Counts the request for the key that was let in, if one was. A stream counts when it begins.
///
/// # Errors
/// Passes errors on.
pub async fn count(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let response = next.call(request).await?;
    if let Some(meter) = response.request().app_data::<Data<UsageMeter>>().filter(|meter| meter.is_on()) {
        count_answer(meter, &response);
    }
    Ok(response)
}

fn count_answer(meter: &UsageMeter, response: &ServiceResponse<impl MessageBody>) {
    let request = response.request();
    let route = route_of(request);
    let extensions = request.extensions();
    let Some(caller) = extensions.get::<ApiCaller>() else { return };
    let trusted = request.app_data::<Data<Settings>>().map_or(&[][..], |settings| &settings.trusted_proxies);
    let status = response.status();
    let request_id = RequestId::uuid_of(request);
    let has_failed = status.is_client_error() || status.is_server_error();
    meter.count(&MeteredRequest {
        client: &caller.client,
        public_key: &caller.public_key,
        at: time::now(),
        method: request.method().as_str(),
        route: &route,
        status: status.as_u16(),
        address: client_address(request, trusted),
        user_agent: request.headers().get(USER_AGENT).map_or(b"", |value| value.as_bytes()),
        error: request_id
            .filter(|_| has_failed)
            .map(|id| (id, error_pages::code(response.response().error(), status))),
    });
}
