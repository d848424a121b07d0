//! Settings → Audit log, for owners and admins.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use askama::Template;
use chrono::NaiveDate;

use super::{
    csv,
    list::{self, AuditFilter, Towards},
    log::{event::EventKind, record::AuditRecord},
};
use crate::{
    accounts::{MaybeSignedIn, SignedIn},
    db::Db,
    error::AppError,
    ids::PublicKey,
    web::{
        form::FormState,
        page::{NavSection, PageLayout, respond},
        time::{midnight, rfc3339},
    },
};

const INDEX: &str = "/settings/audit";
/// Records on one page.
const ROWS: usize = 50;
/// What the log can be narrowed by, in the order of the form.
const FILTERS: [&str; 5] = ["act", "actor", "key", "from", "to"];
/// Actors that are not a user of this client: the word in a record, and what people call it.
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
    rows: Vec<AuditRow>,
    acts: Vec<&'static str>,
    /// Value and name of each.
    actors: Vec<(String, String)>,
    form: FormState,
    is_filtered: bool,
    is_wrong: bool,
    /// The filter as a query string, empty or with its `?`.
    query: String,
    newer: Option<String>,
    older: Option<String>,
}

/// One record in the table.
struct AuditRow {
    sequence: i64,
    /// RFC 3339.
    at: String,
    /// To the second, in words.
    time: String,
    act: String,
    actor: AuditTarget,
    target: AuditTarget,
    related: AuditTarget,
    details: Vec<(String, String)>,
    address: String,
}

/// A user or a key, as it is shown.
#[derive(Default)]
struct AuditTarget {
    text: String,
    is_key: bool,
}

impl AuditTarget {
    fn of(id: Option<&str>, names: &HashMap<String, String>) -> Self {
        let id = id.unwrap_or_default();
        let text = names.get(id).map_or(id, String::as_str).to_owned();
        Self { text, is_key: id.parse::<PublicKey>().is_ok() }
    }
}

impl AuditRow {
    fn new(record: &AuditRecord, names: &HashMap<String, String>) -> Self {
        let mut actor = AuditTarget::of(record.actor.as_deref(), names);
        if let Some((_, name)) = ACTORS.iter().find(|(kind, _)| *kind == record.actor_kind && !actor.is_key) {
            (*name).clone_into(&mut actor.text);
        }
        let details: HashMap<String, String> = serde_json::from_str(&record.details).unwrap_or_default();
        let mut details: Vec<_> = details.into_iter().collect();
        details.sort();
        Self {
            sequence: record.sequence,
            at: rfc3339(record.at),
            time: record.at.format("%-d %b %Y, %H:%M:%S UTC").to_string(),
            act: record.act.clone(),
            actor,
            target: AuditTarget::of(record.target.as_deref(), names),
            related: AuditTarget::of(record.related.as_deref(), names),
            details,
            address: record.address.map(|it| it.addr().to_string()).unwrap_or_default(),
        }
    }
}

/// What the address asks for.
struct AuditQuery {
    filter: AuditFilter,
    form: FormState,
    is_wrong: bool,
    /// The filter as pairs, for links.
    pairs: Vec<(&'static str, String)>,
    towards: Towards,
}

impl AuditQuery {
    fn parse(query: &str) -> Self {
        let given: HashMap<String, String> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let text = |name: &str| given.get(name).map_or("", String::as_str);
        let chosen = |name: &str| Some(text(name).to_owned()).filter(|it| !it.is_empty());
        let mut form = FILTERS.iter().fold(FormState::default(), |form, name| form.keep(name, text(name)));
        let mut is_wrong = false;
        let mut day = |name: &'static str| {
            let day = chosen(name)?.parse::<NaiveDate>();
            if day.is_err() {
                is_wrong = true;
                form = std::mem::take(&mut form).refuse(name, "Write the day as YYYY-MM-DD.");
            }
            day.ok().map(midnight)
        };
        let (from, to) = (day("from"), day("to"));
        // No record holds a control character, and PostgreSQL takes no NUL.
        let plain = |name: &str| chosen(name).map(|it| it.replace(char::is_control, ""));
        let filter = AuditFilter { act: plain("act"), actor: plain("actor"), key: plain("key"), from, to };
        let pairs = FILTERS.iter().filter_map(|name| Some((*name, chosen(name)?))).collect();
        let towards = match (text("after").parse(), text("before").parse()) {
            (Ok(after), _) => Towards::Newer(after),
            (_, before) => Towards::Older(before.ok()),
        };
        Self { filter, form, is_wrong, pairs, towards }
    }

    /// The address of the log with its filter, and this too.
    fn link(&self, name: &str, record: &AuditRecord) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.pairs).append_pair(name, &record.sequence.to_string());
        format!("{INDEX}?{}", query.finish())
    }

    fn query(&self) -> String {
        if self.pairs.is_empty() {
            return String::new();
        }
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        format!("?{}", query.extend_pairs(&self.pairs).finish())
    }
}

pub(crate) async fn index(
    request: HttpRequest,
    visitor: MaybeSignedIn,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Audit log", NavSection::AuditLog)?;
    signed_in.require_admin(ADMINS_ONLY)?;
    let asked = AuditQuery::parse(request.query_string());
    let (client, filter, towards) = (signed_in.client(), asked.filter.clone(), asked.towards);
    let (mut found, names, mut actors) = db
        .run(move |connection| {
            let limit = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
            let found = list::newest_first(connection, &client, &filter, towards, limit)?;
            let names = list::names(connection, &found)?;
            list::members(connection, &client).map(|actors| (found, names, actors))
        })
        .await?;
    let (has_newer, has_older) = trim(&mut found, towards);
    if asked.is_wrong {
        found.clear();
    }
    actors.extend(ACTORS.map(|(kind, name)| (kind.to_owned(), name.to_owned())));
    let page = AuditLogPage {
        layout,
        rows: found.iter().map(|record| AuditRow::new(record, &names)).collect(),
        acts: EventKind::ALL.map(EventKind::as_str).to_vec(),
        actors,
        is_filtered: !asked.pairs.is_empty(),
        is_wrong: asked.is_wrong,
        query: asked.query(),
        newer: found.first().filter(|_| has_newer).map(|record| asked.link("after", record)),
        older: found.last().filter(|_| has_older).map(|record| asked.link("before", record)),
        form: asked.form,
    };
    respond(StatusCode::OK, &page)
}

/// What the log is narrowed to, as a CSV.
pub(crate) async fn download(
    request: HttpRequest,
    signed_in: SignedIn,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    signed_in.require_admin(ADMINS_ONLY)?;
    let asked = AuditQuery::parse(request.query_string());
    if asked.is_wrong {
        return Err(AppError::invalid("from", "Write days as YYYY-MM-DD."));
    }
    Ok(csv::answer(signed_in, asked.filter, db))
}

/// Takes away the one record too many, which says that there is more in the direction of the walk; in the other there
/// is more unless the walk began at the top.
fn trim(found: &mut Vec<AuditRecord>, towards: Towards) -> (bool, bool) {
    let has_more = found.len() > ROWS;
    match towards {
        Towards::Older(from) => {
            found.truncate(ROWS);
            (from.is_some(), has_more)
        }
        Towards::Newer(_) => {
            if has_more {
                found.remove(0);
            }
            (has_more, true)
        }
    }
}
