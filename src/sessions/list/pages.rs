//! Sessions: the list, the newest first; one session; and what the list shows as a file.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use askama::Template;
use uuid::Uuid;

use super::{
    daily_chart,
    details::{self, DetailValue},
    query::{AppliedFilter, ListQuery},
    row::{DurationText, SessionRow},
    search::{LOOKED_THROUGH, SHOWN_MAX},
    store::{self, ListPage, ListRequest},
};
use crate::{
    accounts::{MaybeSignedIn, SignedIn},
    config::Settings,
    db::Db,
    error::AppError,
    sessions::{
        export::{query::ExportFormat, store::ExportReader, stream},
        fields::{Channel, SessionStatus},
        queries,
    },
    web::{
        chart::Chart,
        form::FormState,
        format::grouped,
        page::{NavSection, PageLayout, respond},
        time::{self, DisplayTime},
    },
};

#[derive(Template)]
#[template(path = "sessions/list/index.html")]
struct SessionListPage {
    layout: PageLayout,
    rows: Vec<SessionRow>,
    /// The filter cannot be read.
    is_wrong: bool,
    /// How many there are in all, in words.
    total: String,
    /// What the list is, in a sentence.
    said: String,
    client_id: String,
    /// Where programs find this installation.
    origin: String,
    may_erase: bool,
    statuses: &'static [&'static str],
    channels: &'static [&'static str],
    form: FormState,
    applied: Vec<AppliedFilter>,
    /// The filter as a query string, empty or with its `?`; `None`: a search cannot be downloaded.
    download: Option<String>,
    /// The list with its filter, from the top.
    top: String,
    newer: Option<String>,
    older: Option<String>,
    /// Where the search goes on.
    further_back: Option<String>,
    chart: Option<Chart>,
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
    let asked = ListQuery::parse(request.query_string())?;
    let search = asked.search().map(|text| (text.to_owned(), asked.back));
    let days = if search.is_none() { daily_chart::days_of(asked.filter(), now) } else { None };
    let view = ListRequest { filter: asked.filter().clone(), towards: asked.towards, search, days };
    let mut seen = db.run(move |connection| store::seen(connection, &client, &view)).await?;
    let is_wrong = !asked.errors.is_empty();
    if is_wrong {
        seen.sessions.clear();
        seen.days.clear();
    }
    let (chart, share) = daily_chart::drawn(asked.filter(), &seen.days).unzip();
    let further_back =
        asked.search().filter(|_| seen.looked_to > 0).map(|_| asked.further_back(seen.looked_to));
    let page = SessionListPage {
        layout,
        is_wrong,
        rows: seen.sessions.iter().map(|session| SessionRow::of(session, now)).collect(),
        total: grouped(seen.total),
        said: said(&asked, &seen),
        client_id: signed_in.client().to_string(),
        origin: settings.public_url.origin(),
        may_erase: signed_in.is_admin(),
        statuses: SessionStatus::NAMES,
        channels: Channel::NAMES,
        applied: asked.applied(),
        download: (!is_wrong && asked.search().is_none()).then(|| asked.query()),
        top: format!("/sessions{}", asked.query()),
        newer: seen.sessions.first().filter(|_| seen.has_newer).map(|it| asked.beyond("after", it)),
        older: seen.sessions.last().filter(|_| seen.has_older).map(|it| asked.beyond("before", it)),
        further_back,
        chart,
        share: share.flatten(),
        form: asked.form,
    };
    respond(StatusCode::OK, &page)
}

/// What the list is, in a sentence.
fn said(asked: &ListQuery, seen: &ListPage) -> String {
    if asked.search().is_some() {
        return said_of_search(seen, asked.back.is_some());
    }
    match (asked.is_narrowed(), asked.errors.is_empty()) {
        (true, true) if seen.matching == 1 => "1 matches.".to_owned(),
        (true, true) => format!("{} match.", grouped(seen.matching)),
        (false, true) => "The newest first.".to_owned(),
        (_, false) => String::new(),
    }
}

fn said_of_search(seen: &ListPage, is_further_back: bool) -> String {
    let place = match (is_further_back, seen.looked_to > 0) {
        (false, false) => "all sessions".to_owned(),
        (false, true) => format!("the last {} sessions recorded", grouped(LOOKED_THROUGH)),
        (true, true) => format!("the {} sessions before", grouped(LOOKED_THROUGH)),
        (true, false) => "the oldest sessions".to_owned(),
    };
    if seen.is_cut {
        return format!("The last {SHOWN_MAX} that match in {place}. Add a word or a filter to see others.");
    }
    format!("{} found in {place}.", grouped(seen.matching))
}

pub(crate) async fn show(
    visitor: MaybeSignedIn,
    session_id: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Session", NavSection::Sessions)?;
    let session_id = session_id.parse::<Uuid>().map_err(|_not_an_id| AppError::NotFound)?;
    let client = signed_in.client();
    let session = db.run(move |connection| queries::find_for_member(connection, &client, session_id)).await?;
    let tells_of_shopper = session.shopper_id.is_some() || session.shopper_email.is_some();
    let page = SessionDetailsPage {
        layout,
        session_id: session_id.to_string(),
        created: session.created_at.into(),
        wait: session.wait_seconds.into(),
        duration: session.duration_seconds.into(),
        erased: session.erased_at.map(DisplayTime::from),
        may_erase: tells_of_shopper && signed_in.is_admin(),
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

/// What the list is narrowed to, as a file.
async fn download(
    request: &HttpRequest,
    signed_in: &SignedIn,
    db: Data<Db>,
    format: ExportFormat,
) -> Result<HttpResponse, AppError> {
    let asked = ListQuery::parse(request.query_string())?;
    if asked.search().is_some() {
        return Err(AppError::invalid(
            "q",
            "What a search finds is not a file. Narrow the list with filters instead.",
        ));
    }
    if !asked.errors.is_empty() {
        return Err(AppError::Invalid(asked.errors));
    }
    let reader = ExportReader::Member { client: signed_in.client(), user_id: signed_in.user_id };
    stream::stream_for_member(reader, format, asked.request, db).await
}
