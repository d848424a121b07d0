//! Offers to switch (409) where a page belongs to another client of the user, or a form was opened under one.
//!
//! What belongs to a client that the user is not a member of stays 404.

use actix_web::{
    Error, FromRequest as _, HttpMessage as _, HttpRequest, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode},
    middleware::Next,
    web::Data,
};
use askama::Template;
use url::form_urlencoded;

use super::store::{self, ObjectId};
use crate::{
    accounts::{ClientMembership, FormOfOtherClient, MaybeSignedIn, SWITCH_FIELD, SignedInUser},
    db::Db,
    error::AppError,
    ids::ClientId,
    web::{
        app_data::app_data,
        form_purposes::FormPurposes,
        format::capitalized,
        page::{NavSection, PageLayout, respond},
    },
};

/// Name and label of the fields that users write themselves. The other fields hold ids and codes of choices.
const WRITTEN_FIELDS: [(&str, &str); 6] = [
    ("name", "Name"),
    ("company", "Company"),
    ("email", "Email"),
    ("shopperId", "Shopper ID"),
    ("requestsPerMinute", "Requests per minute"),
    ("allowedNetworks", "Allowed networks"),
];

#[derive(Template)]
#[template(path = "clients/switch/page.html")]
struct PageOfOtherClient {
    layout: PageLayout,
    client: ClientMembership,
    /// Where to go after switching.
    next: String,
}

#[derive(Template)]
#[template(path = "clients/switch/form.html")]
struct RefusedFormPage {
    layout: PageLayout,
    client: ClientMembership,
    active_name: String,
    /// The Client ID of the active client. `None` if the form has no fields or names something of the other client.
    active_id: Option<String>,
    /// The address that the form was sent to.
    action: String,
    /// Labels and values: what the form does, to which key, and what the user wrote.
    facts: Vec<(&'static str, String)>,
    /// The fields to send again, without the client.
    fields: Vec<(String, String)>,
    switch_field: &'static str,
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
    let offer = match find_refused_form(response.request()).await? {
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

async fn find_refused_form(request: &HttpRequest) -> Result<Option<RefusedFormPage>, AppError> {
    let form = request.extensions_mut().remove::<FormOfOtherClient>();
    let Some(FormOfOtherClient { client, active_name, mut fields }) = form else { return Ok(None) };
    let visitor = MaybeSignedIn::extract(request).await?;
    let active = visitor.signed_in.as_ref().map(|it| it.client().to_string());
    fields.retain(|(name, _)| name != "clientId");
    let names_no_object = request.match_info().is_empty() && fields.iter().all(|(name, _)| name != "keys");
    Ok(Some(RefusedFormPage {
        layout: visitor.layout("This form is for another client", NavSection::of_path(request.path())),
        active_id: active.filter(|_| names_no_object && !fields.is_empty()),
        facts: collect_facts(request, &fields)?,
        action: request.path().to_owned(),
        client,
        active_name,
        fields,
        switch_field: SWITCH_FIELD,
    }))
}

/// What [`RefusedFormPage::facts`] shows.
fn collect_facts(
    request: &HttpRequest,
    fields: &[(String, String)],
) -> Result<Vec<(&'static str, String)>, AppError> {
    let find = |name: &str| {
        let field = fields.iter().find(|(field, value)| field == name && !value.is_empty());
        field.map(|(_, value)| value.clone())
    };
    let action = app_data::<FormPurposes>(request)?.find(request.path()).map(capitalized);
    let key = request.match_info().get("public_key").map(str::to_owned);
    let keys = find("keys").map(|keys| keys.replace(' ', "\n"));
    let about = [("Action", action), ("Public Key", key), ("Public Keys", keys)];
    let written = WRITTEN_FIELDS.map(|(name, label)| (label, find(name)));
    let facts = about.into_iter().chain(written);
    Ok(facts.filter_map(|(label, value)| Some((label, value?))).collect())
}

/// The offer for a page that the active client does not have, or whose permission the user lacks there.
async fn find_other_page<B>(response: &ServiceResponse<B>) -> Result<Option<HttpResponse>, AppError> {
    let error = response.response().error().and_then(Error::as_error::<AppError>);
    if !matches!(error, Some(AppError::NotFound | AppError::Forbidden(_))) {
        return Ok(None);
    }
    let request = response.request();
    let Ok(user) = SignedInUser::extract(request).await else { return Ok(None) };
    let Some(client) = find_owner(request, &user).await? else { return Ok(None) };
    let visitor = MaybeSignedIn::extract(request).await?;
    let section = NavSection::of_path(request.path());
    let layout = visitor.layout("This page belongs to another client", section);
    let address = request.uri().path_and_query().map_or("/", |it| it.as_str());
    let next = if request.method() == Method::GET { address } else { "/sessions" }.to_owned();
    respond(StatusCode::CONFLICT, &PageOfOtherClient { layout, client, next }).map(Some)
}

/// The other client of the user that owns what the address names.
async fn find_owner(
    request: &HttpRequest,
    user: &SignedInUser,
) -> Result<Option<ClientMembership>, AppError> {
    let mut others: Vec<ClientId> = user.other_clients().iter().map(|it| it.client_id.clone()).collect();
    let db = request.app_data::<Data<Db>>().filter(|_| !others.is_empty());
    let (Some(object), Some(db)) = (find_object(request), db) else { return Ok(None) };
    let placement = db.data_placement();
    let owner =
        db.run(move |connection| store::find_owner(connection, &mut others, &object, placement)).await?;
    Ok(owner.and_then(|owner| user.find_client(owner.as_str()).cloned()))
}

/// What the path names, or else the query string.
fn find_object(request: &HttpRequest) -> Option<ObjectId> {
    let path = request.match_info().iter().find_map(|(name, text)| parse_object(name, text));
    path.or_else(|| {
        let mut query = form_urlencoded::parse(request.query_string().as_bytes());
        query.find_map(|(name, text)| match name.as_ref() {
            "key" => parse_object("public_key", &text),
            "session" => parse_object("session_id", &text),
            _ => None,
        })
    })
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
