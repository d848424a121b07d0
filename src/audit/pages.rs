//! Settings → Audit log, for owners and admins.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use askama::Template;
use chrono::{DateTime, Utc};

use super::{
    csv,
    entity_names::EntityNames,
    list::{self, AuditFilter},
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
        format::time::{self, DisplayTime, rfc3339_micros},
        page::{
            NavSection, PageLayout,
            date_range::{DateRangeMenu, explain_empty_range},
            list::{AppliedFilter, KeysetPage, Pager},
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
    days: Vec<AuditDay>,
    /// Value and label.
    actors: Vec<(String, String)>,
    form: FormState,
    applied: Vec<AppliedFilter>,
    dates: DateRangeMenu,
    /// What to do if filters are wrong.
    correction: String,
    /// Why no record matches.
    empty_reason: Option<String>,
    /// The filters as a query string, empty or with its `?`.
    query: String,
    pager: Pager,
}

/// The records of a day in UTC.
struct AuditDay {
    /// `23 Nov 2026`.
    day: String,
    rows: Vec<AuditListRow>,
}

struct AuditListRow {
    /// `10:45`.
    clock: String,
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
            clock: record.at.format("%H:%M").to_string(),
            time: record.at.into(),
            actor: describe_actor(record, names),
            sentence: AuditSentence::new(record, names),
            json: format_json(record),
            address: format_address(record),
        }
    }
}

/// Groups records, which are in order of time, by their days.
fn group_by_day(records: &[AuditRecord], names: &EntityNames) -> Vec<AuditDay> {
    let is_same_day = |one: &AuditRecord, other: &AuditRecord| one.at.date_naive() == other.at.date_naive();
    let day = |records: &[AuditRecord]| AuditDay {
        day: records.first().map(|record| day_text(record.at)).unwrap_or_default(),
        rows: records.iter().map(|record| AuditListRow::new(record, names)).collect(),
    };
    records.chunk_by(is_same_day).map(day).collect()
}

fn day_text(instant: DateTime<Utc>) -> String {
    instant.format("%-d %b %Y").to_string()
}

/// Why no record is in the range of the filter, if that is the reason. `span` is from the first to the latest record.
fn explain_empty_log(
    filter: &AuditFilter,
    span: Option<(DateTime<Utc>, DateTime<Utc>)>,
    now: DateTime<Utc>,
) -> Option<String> {
    if let Some(fault) = explain_empty_range(filter.from, filter.to, now) {
        return Some(fault.to_owned());
    }
    let (first, latest) = span?;
    if filter.to.is_some_and(|to| to <= first) {
        return Some(format!("The log starts on {}, after this range.", day_text(first)));
    }
    let is_later = filter.from.is_some_and(|from| from > latest);
    is_later.then(|| format!("The latest event was on {}, before this range.", day_text(latest)))
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
    let now = time::now();
    let query = AuditQuery::parse(INDEX, request.query_string());
    let (client, filter, direction) = (signed_in.client(), query.filter.clone(), query.direction);
    let (mut page, names, mut actors, span) = db
        .run(move |connection| {
            let page = list::load_page(connection, &client, &filter, direction)?;
            let names = list::load_names(connection, &client, &page.rows)?;
            let members = list::load_members(connection, &client)?;
            let span = if page.rows.is_empty() { list::load_span(connection, &client)? } else { None };
            Ok::<_, AppError>((page, names, members, span))
        })
        .await?;
    if query.form.is_wrong() {
        page = KeysetPage::single(Vec::new());
    }
    let names = EntityNames::new(names, actors.iter().map(|(user_id, _)| user_id.clone()));
    actors.extend(ACTORS.map(|(kind, _, label)| (kind.to_owned(), label.to_owned())));
    let page = AuditLogPage {
        layout,
        days: group_by_day(&page.rows, &names),
        applied: query.applied_filters(&actors),
        dates: DateRangeMenu::new(&query.address, now.date_naive()),
        correction: query.correction_heading(),
        empty_reason: explain_empty_log(&query.filter, span, now),
        actors,
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
        return Err(query.form.into_errors().into());
    }
    Ok(csv::download(signed_in, query.filter, db))
}
