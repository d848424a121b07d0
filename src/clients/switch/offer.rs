//! Offers to switch (409) where a page belongs to another client of the user, or a form was opened under one.
//!
//! What belongs to a client that the user is not a member of stays 404.

use actix_web::{
    Error, FromRequest as _, HttpRequest, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode},
    middleware::Next,
    web::Data,
};
use askama::Template;

use super::{
    object_id::{ObjectId, find_object},
    page_subject::{FactValue, PageFact, PageSubject},
    refused_form::RefusedFormPage,
    store,
};
use crate::{
    accounts::{ClientMembership, MaybeSignedIn, SignedInUser},
    db::Db,
    error::AppError,
    ids::ClientId,
    web::page::{NavSection, PageLayout, respond},
};

#[derive(Template)]
#[template(path = "clients/switch/page.html")]
struct PageOfOtherClient {
    layout: PageLayout,
    client: ClientMembership,
    facts: Vec<PageFact>,
    /// What the button opens: `key`.
    noun: &'static str,
    /// Where to go after switching.
    next: String,
}

/// Replaces the response by the offer, if there is one to make.
///
/// # Errors
/// Passes errors on.
pub(crate) async fn offer_switch(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let response = next.call(request).await?;
    let offer = match RefusedFormPage::find(response.request()).await? {
        Some(page) => Some(respond(StatusCode::CONFLICT, &page)?),
        None => find_other_page(&response).await?,
    };
    Ok(match offer {
        Some(offer) => {
            let (request, _refused) = response.into_parts();
            ServiceResponse::new(request, offer).map_into_right_body()
        }
        None => response.map_into_left_body(),
    })
}

/// The offer for a page that the active client does not have, or whose permission the user lacks there.
async fn find_other_page<B>(response: &ServiceResponse<B>) -> Result<Option<HttpResponse>, AppError> {
    let error = response.response().error().and_then(Error::as_error::<AppError>);
    if !matches!(error, Some(AppError::NotFound | AppError::Forbidden(_))) {
        return Ok(None);
    }
    let request = response.request();
    let Ok(user) = SignedInUser::extract(request).await else { return Ok(None) };
    let Some((client, object)) = find_owner(request, &user).await? else { return Ok(None) };
    let visitor = MaybeSignedIn::extract(request).await?;
    let subject = PageSubject::Object(object);
    let wording = subject.wording();
    let layout = visitor.layout(wording.heading, NavSection::of_path(request.path()));
    let noun = wording.noun;
    let name = subject.load_name(request, &user, &client).await?;
    let facts = name.into_iter().chain([PageFact::owner(&client)]).collect();
    let address = request.uri().path_and_query().map_or("/", |it| it.as_str());
    let next = if request.method() == Method::GET { address } else { "/sessions" }.to_owned();
    respond(StatusCode::CONFLICT, &PageOfOtherClient { layout, client, facts, noun, next }).map(Some)
}

/// What the address names, and the other client of the user that owns it.
async fn find_owner(
    request: &HttpRequest,
    user: &SignedInUser,
) -> Result<Option<(ClientMembership, ObjectId)>, AppError> {
    let mut others: Vec<ClientId> = user.other_clients().iter().map(|it| it.client_id.clone()).collect();
    let db = request.app_data::<Data<Db>>().filter(|_| !others.is_empty());
    let (Some(object), Some(db)) = (find_object(request), db) else { return Ok(None) };
    let (placement, wanted) = (db.data_placement(), object.clone());
    let owner =
        db.run(move |connection| store::find_owner(connection, &mut others, &wanted, placement)).await?;
    Ok(owner.and_then(|owner| user.find_client(owner.as_str()).cloned()).map(|client| (client, object)))
}
