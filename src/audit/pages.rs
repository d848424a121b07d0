//! Settings → Audit log, for owners and admins.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use askama::Template;

use super::{
    csv,
    entity_names::EntityNames,
    list,
    log::{event::RecordKind, record::AuditRecord},
    query::AuditQuery,
    sentence::{AuditSentence, SentencePart},
};
use crate::{
    accounts::{MaybeSignedIn, SignedIn},
    db::Db,
    error::AppError,
    web::{
        body::form::FormState,
        format::time::{DisplayTime, rfc3339_micros},
        page::{
            NavSection, PageLayout,
            list::{KeysetPage, Pager},
            respond,
        },
    },
};

const INDEX: &str = "/settings/audit";
/// Actors that are no user of this client: the word in a record, its label in a row and in the filter.
const ACTORS: [(&str, &str, &str); 4] = [
    ("key", "API key", "Any API key"),
    ("command_line", "Command line", "Command line"),
    ("system", "Uptok", "Uptok"),
    ("visitor", "Not signed in", "Not signed in"),
];

#[derive(Template)]
#[template(path = "audit/index.html")]
struct AuditLogPage {
    layout: PageLayout,
    rows: Vec<AuditListRow>,
    /// Value and label.
    actors: Vec<(String, String)>,
    form: FormState,
    is_filtered: bool,
    /// The filters as a query string, empty or with its `?`.
    query: String,
    pager: Pager,
}

struct AuditListRow {
    sequence: i64,
    time: DisplayTime,
    actor: SentencePart,
    sentence: AuditSentence,
    /// The record as indented JSON.
    json: String,
    address: String,
}

impl AuditListRow {
    fn new(record: &AuditRecord, names: &EntityNames) -> Self {
        Self {
            sequence: record.sequence,
            time: record.at.into(),
            actor: describe_actor(record, names),
            sentence: AuditSentence::new(record, names),
            json: format_json(record),
            address: format_address(record),
        }
    }
}

fn describe_actor(record: &AuditRecord, names: &EntityNames) -> SentencePart {
    match (&record.actor, ACTORS.iter().find(|(kind, ..)| *kind == record.actor_kind)) {
        (Some(id), _) => SentencePart::entity(id, names),
        (None, Some((_, label, _))) => SentencePart::Words(label),
        (None, None) => SentencePart::Code { text: record.actor_kind.clone(), link: None },
    }
}

/// The columns of the CSV file without the hashes, empty ones left out.
fn format_json(record: &AuditRecord) -> String {
    let details: serde_json::Value =
        serde_json::from_str(&record.details).unwrap_or_else(|_| record.details.clone().into());
    let address = record.address.map(|_| format_address(record));
    let mut columns = serde_json::json!({
        "sequence": record.sequence, "at": rfc3339_micros(record.at), "act": record.act,
        "actorKind": record.actor_kind, "actor": record.actor, "target": record.target,
        "related": record.related, "details": details, "address": address, "requestId": record.request_id,
    });
    if let Some(columns) = columns.as_object_mut() {
        columns.retain(|_, value| !value.is_null());
    }
    format!("{columns:#}")
}

fn format_address(record: &AuditRecord) -> String {
    record.address.map(|network| network.addr().to_string()).unwrap_or_default()
}

pub(crate) async fn index(
    request: HttpRequest,
    visitor: MaybeSignedIn,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Audit log", NavSection::AuditLog)?;
    let query = AuditQuery::parse(INDEX, request.query_string());
    let (client, filter, direction) = (signed_in.client(), query.filter.clone(), query.direction);
    let (mut page, names, mut actors) = db
        .run(move |connection| {
            let page = list::load_page(connection, &client, &filter, direction)?;
            let names = list::load_names(connection, &client, &page.rows)?;
            list::load_members(connection, &client).map(|members| (page, names, members))
        })
        .await?;
    if query.form.is_wrong() {
        page = KeysetPage::single(Vec::new());
    }
    let names = EntityNames::new(names, actors.iter().map(|(user_id, _)| user_id.clone()));
    actors.extend(ACTORS.map(|(kind, _, label)| (kind.to_owned(), label.to_owned())));
    let page = AuditLogPage {
        layout,
        rows: page.rows.iter().map(|record| AuditListRow::new(record, &names)).collect(),
        actors,
        is_filtered: !query.address.filters().is_empty(),
        query: query.address.query(),
        pager: query.address.pager(&page, |record| record.sequence.to_string()),
        form: query.form,
    };
    let is_wrong = page.form.is_wrong();
    respond(if is_wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &page)
}

/// The filtered log as a CSV file.
pub(crate) async fn download(
    request: HttpRequest,
    signed_in: SignedIn,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let query = AuditQuery::parse(INDEX, request.query_string());
    if query.form.is_wrong() {
        return Err(AppError::invalid("from", "Enter the date as YYYY-MM-DD."));
    }
    Ok(csv::download(signed_in, query.filter, db))
}
