//! Settings → Audit log, for owners and admins.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use askama::Template;

use super::{
    csv, list,
    log::{event::EventKind, record::AuditRecord},
    query::AuditQuery,
};
use crate::{
    accounts::{MaybeSignedIn, SignedIn},
    db::Db,
    error::AppError,
    ids::PublicKey,
    web::{
        form::FormState,
        list::{KeysetPage, Pager},
        page::{NavSection, PageLayout, respond},
        time::rfc3339,
    },
};

const INDEX: &str = "/settings/audit";
/// Actors that are no user of this client: the word in a record and its label.
const ACTORS: [(&str, &str); 4] = [
    ("key", "A program, with an API key"),
    ("command_line", "The command line"),
    ("system", "Uptok itself"),
    ("visitor", "Somebody not logged in"),
];
const ADMINS_ONLY: &str = "Only owners and admins of the client see the audit log.";

#[derive(Template)]
#[template(path = "audit/index.html")]
struct AuditLogPage {
    layout: PageLayout,
    rows: Vec<AuditListRow>,
    event_kinds: Vec<&'static str>,
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
    /// RFC 3339.
    time: String,
    /// `23 Nov 2026, 10:45:06 UTC`.
    time_text: String,
    event_kind: String,
    actor: AuditEntity,
    target: AuditEntity,
    related: AuditEntity,
    details: Vec<(String, String)>,
    address: String,
}

/// A user or a key.
#[derive(Default)]
struct AuditEntity {
    text: String,
    is_key: bool,
}

impl AuditEntity {
    fn new(id: Option<&str>, names: &HashMap<String, String>) -> Self {
        let id = id.unwrap_or_default();
        let text = names.get(id).map_or(id, String::as_str).to_owned();
        Self { text, is_key: id.parse::<PublicKey>().is_ok() }
    }
}

impl AuditListRow {
    fn new(record: &AuditRecord, names: &HashMap<String, String>) -> Self {
        let mut actor = AuditEntity::new(record.actor.as_deref(), names);
        if let Some((_, name)) = ACTORS.iter().find(|(kind, _)| *kind == record.actor_kind && !actor.is_key) {
            (*name).clone_into(&mut actor.text);
        }
        let details: HashMap<String, String> = serde_json::from_str(&record.details).unwrap_or_default();
        let mut details: Vec<_> = details.into_iter().collect();
        details.sort();
        Self {
            sequence: record.sequence,
            time: rfc3339(record.at),
            time_text: record.at.format("%-d %b %Y, %H:%M:%S UTC").to_string(),
            event_kind: record.act.clone(),
            actor,
            target: AuditEntity::new(record.target.as_deref(), names),
            related: AuditEntity::new(record.related.as_deref(), names),
            details,
            address: record.address.map(|network| network.addr().to_string()).unwrap_or_default(),
        }
    }
}

pub(crate) async fn index(
    request: HttpRequest,
    visitor: MaybeSignedIn,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Audit log", NavSection::AuditLog)?;
    signed_in.require_admin(ADMINS_ONLY)?;
    let query = AuditQuery::parse(INDEX, request.query_string());
    let (client, filter, direction) = (signed_in.client(), query.filter.clone(), query.direction);
    let (mut page, names, mut actors) = db
        .run(move |connection| {
            let page = list::load_page(connection, &client, &filter, direction)?;
            let names = list::load_user_names(connection, &page.rows)?;
            list::load_members(connection, &client).map(|members| (page, names, members))
        })
        .await?;
    if query.form.is_wrong() {
        page = KeysetPage::single(Vec::new());
    }
    actors.extend(ACTORS.map(|(kind, label)| (kind.to_owned(), label.to_owned())));
    let page = AuditLogPage {
        layout,
        rows: page.rows.iter().map(|record| AuditListRow::new(record, &names)).collect(),
        event_kinds: EventKind::ALL.map(EventKind::as_str).to_vec(),
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
    signed_in.require_admin(ADMINS_ONLY)?;
    let query = AuditQuery::parse(INDEX, request.query_string());
    if query.form.is_wrong() {
        return Err(AppError::invalid("from", "Write days as YYYY-MM-DD."));
    }
    Ok(csv::download(signed_in, query.filter, db))
}
