//! Sessions: the list, one session, and the list as a file.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use askama::Template;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    daily_chart,
    details::{self, DetailValue},
    query::{AppliedFilter, SessionListQuery},
    row::{DurationText, SessionListRow},
    search::{SEARCHED_AT_ONCE, SHOWN_MAX},
    store::{self, SearchRequest, SessionListCriteria, SessionListResult},
};
use crate::{
    accounts::{MaybeSignedIn, SignedIn},
    config::Settings,
    db::Db,
    error::AppError,
    sessions::{
        export::{query::ExportFormat, store::ExportPrincipal, stream},
        fields::{Channel, SessionStatus},
        queries,
    },
    web::{
        chart::Chart,
        form::FormState,
        format::grouped,
        list::{KeysetPage, Pager},
        page::{NavSection, PageLayout, respond},
        time::{self, DisplayTime},
    },
};

#[derive(Template)]
#[template(path = "sessions/list/index.html")]
struct SessionListPage {
    layout: PageLayout,
    rows: Vec<SessionListRow>,
    total: String,
    /// A sentence about the rows.
    summary: String,
    client_id: String,
    /// The origin of the API, for the sample call.
    origin: String,
    may_erase: bool,
    statuses: &'static [&'static str],
    channels: &'static [&'static str],
    form: FormState,
    applied: Vec<AppliedFilter>,
    /// The filters as a query string, empty or with its `?`. `None` for a search, which cannot be downloaded.
    download: Option<String>,
    pager: Pager,
    /// Where the search continues.
    older_search: Option<String>,
    chart: Option<Chart>,
    /// A sentence with the share of answered sessions.
    share: Option<String>,
}

#[derive(Template)]
#[template(path = "sessions/list/show.html")]
struct SessionDetailsPage {
    layout: PageLayout,
    session_id: String,
    created: DisplayTime,
    wait: DurationText,
    duration: DurationText,
    erased: Option<DisplayTime>,
    may_erase: bool,
    sections: Vec<details::DetailSection>,
}

pub(crate) async fn index(
    request: HttpRequest,
    visitor: MaybeSignedIn,
    settings: Data<Settings>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Sessions", NavSection::Sessions)?;
    let client = signed_in.client();
    let now = time::now();
    let query = SessionListQuery::parse(request.query_string())?;
    let list_request = list_request(&query, now);
    let mut list = db.run(move |connection| store::load_list(connection, &client, &list_request)).await?;
    if query.form.is_wrong() {
        list.sessions = KeysetPage::single(Vec::new());
        list.days.clear();
    }
    let (chart, share) = daily_chart::chart(query.filter(), &list.days).unzip();
    let is_list = !query.form.is_wrong() && query.search().is_none();
    let page = SessionListPage {
        layout,
        rows: list.sessions.rows.iter().map(|session| SessionListRow::new(session, now)).collect(),
        total: grouped(list.total),
        summary: summary(&query, &list),
        client_id: signed_in.client().to_string(),
        origin: settings.public_url.origin(),
        may_erase: signed_in.is_admin(),
        statuses: SessionStatus::NAMES,
        channels: Channel::NAMES,
        applied: query.applied_filters(),
        download: is_list.then(|| query.address.query()),
        pager: query.pager(&list.sessions),
        older_search: (list.searched_to > 0).then(|| query.older_search_link(list.searched_to)),
        chart,
        share: share.flatten(),
        form: query.form,
    };
    let is_wrong = page.form.is_wrong();
    respond(if is_wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &page)
}

fn list_request(query: &SessionListQuery, now: DateTime<Utc>) -> SessionListCriteria {
    let search =
        query.search().map(|text| SearchRequest { text: text.to_owned(), newest: query.search_from });
    let days = if search.is_none() { daily_chart::days_to_show(query.filter(), now) } else { None };
    SessionListCriteria { filter: query.filter().clone(), direction: query.direction, search, days }
}

fn summary(query: &SessionListQuery, list: &SessionListResult) -> String {
    if query.search().is_some() {
        return search_summary(list, query.search_from.is_some());
    }
    match (query.is_filtered(), query.form.is_wrong()) {
        (_, true) => String::new(),
        (true, false) if list.matching == 1 => "1 matches.".to_owned(),
        (true, false) => format!("{} match.", grouped(list.matching)),
        (false, false) => "The newest first.".to_owned(),
    }
}

fn search_summary(list: &SessionListResult, is_continued: bool) -> String {
    let searched = match (is_continued, list.searched_to > 0) {
        (false, false) => "all sessions".to_owned(),
        (false, true) => format!("the last {} sessions recorded", grouped(SEARCHED_AT_ONCE)),
        (true, true) => format!("the {} sessions before", grouped(SEARCHED_AT_ONCE)),
        (true, false) => "the oldest sessions".to_owned(),
    };
    if list.is_truncated {
        return format!(
            "The last {SHOWN_MAX} that match in {searched}. Add a word or a filter to see others."
        );
    }
    format!("{} found in {searched}.", grouped(list.matching))
}

pub(crate) async fn show(
    visitor: MaybeSignedIn,
    session_id: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Session", NavSection::Sessions)?;
    let session_id = session_id.parse::<Uuid>().map_err(|_malformed| AppError::NotFound)?;
    let client = signed_in.client();
    let session = db.run(move |connection| queries::find_for_member(connection, &client, session_id)).await?;
    let has_shopper = session.shopper_id.is_some() || session.shopper_email.is_some();
    let page = SessionDetailsPage {
        layout,
        session_id: session_id.to_string(),
        created: session.created_at.into(),
        wait: session.wait_seconds.into(),
        duration: session.duration_seconds.into(),
        erased: session.erased_at.map(DisplayTime::from),
        may_erase: has_shopper && signed_in.is_admin(),
        sections: details::sections(&session),
    };
    respond(StatusCode::OK, &page)
}

pub(crate) async fn download_csv(
    request: HttpRequest,
    signed_in: SignedIn,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    download(&request, &signed_in, db, ExportFormat::Csv).await
}

pub(crate) async fn download_ndjson(
    request: HttpRequest,
    signed_in: SignedIn,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    download(&request, &signed_in, db, ExportFormat::Ndjson).await
}

/// The filtered list as a file.
async fn download(
    request: &HttpRequest,
    signed_in: &SignedIn,
    db: Data<Db>,
    format: ExportFormat,
) -> Result<HttpResponse, AppError> {
    let query = SessionListQuery::parse(request.query_string())?;
    if query.search().is_some() {
        return Err(AppError::invalid(
            "q",
            "What a search finds is not a file. Narrow the list with filters instead.",
        ));
    }
    if query.form.is_wrong() {
        return Err(query.form.into_errors().into());
    }
    let reader = ExportPrincipal::Member { client: signed_in.client(), user_id: signed_in.user_id };
    stream::stream_for_member(reader, format, query.request, db).await
}
