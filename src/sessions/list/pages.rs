//! Sessions: the list, one session, and the list as a file.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use askama::Template;
use chrono::{DateTime, Utc};
use diesel::PgConnection;
use uuid::Uuid;

use super::{
    daily_chart,
    details::{self, DetailValue, SessionHeading},
    no_results_reason,
    page_filter::resolve_filter,
    previous_next::load_with_neighbours,
    query::SessionListQuery,
    result_summary::summary,
    row::SessionListRow,
    store::{self, SessionListCriteria},
};
use crate::{
    accounts::{MaybeSignedIn, Permission, SignedIn},
    config::Settings,
    db::Db,
    error::AppError,
    sessions::{
        erasure::shopper::ShopperIdentifier,
        export::{
            query::{ExportFormat, SessionPageRequest},
            store::ExportPrincipal,
            stream,
        },
        fields::{Channel, SessionStatus},
    },
    web::{
        body::form::FormState,
        format::{
            grouped,
            time::{self, DisplayTime},
        },
        page::{
            NavSection, PageLayout,
            chart::Chart,
            date_range::DateRangeMenu,
            list::{AppliedFilter, KeysetPage, Pager},
            respond,
        },
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
    dates: DateRangeMenu,
    /// What to do if filters are wrong.
    correction: String,
    /// Names to suggest for the filter by agent.
    agent_names: Vec<String>,
    /// The filters as a query string, empty or with its `?`. `None` if a filter is wrong.
    download: Option<String>,
    /// The query string of the link to a session, by which its page knows the list.
    session_query: String,
    /// Why no session matches.
    empty_reason: Option<String>,
    /// The list without its limits of time, if it has any and other filters.
    any_date: Option<String>,
    pager: Pager,
    /// Where the search continues.
    older_search: Option<String>,
    chart: Option<Chart>,
}

#[derive(Template)]
#[template(path = "sessions/list/show.html")]
struct SessionDetailsPage {
    layout: PageLayout,
    session_id: String,
    heading: SessionHeading,
    created: DisplayTime,
    erased: Option<DisplayTime>,
    may_erase: bool,
    sections: Vec<details::DetailSection>,
    /// The list that the neighbours belong to.
    list: String,
    newer: Option<String>,
    older: Option<String>,
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
    let reason = list.empty_facts.and_then(|facts| no_results_reason::explain(query.filter(), &facts, now));
    let page = SessionListPage {
        layout,
        rows: list.sessions.rows.iter().map(|session| SessionListRow::new(session, now)).collect(),
        total: grouped(list.total),
        summary: summary(&query, &list),
        client_id: signed_in.client().to_string(),
        origin: settings.public_url.origin(),
        may_erase: signed_in.may(Permission::EraseShoppers),
        statuses: SessionStatus::NAMES,
        channels: Channel::NAMES,
        applied: query.applied_filters(list.shopper.as_ref()),
        dates: DateRangeMenu::new(&query.address, now.date_naive()),
        correction: query.correction_heading(),
        download: (!list.sessions.rows.is_empty()).then(|| query.address.query()),
        session_query: query.session_query(),
        empty_reason: reason.filter(|_| list.searched_to == 0),
        any_date: query.any_date_link(),
        pager: query.pager(&list.sessions),
        agent_names: list.agent_names,
        older_search: (list.searched_to > 0).then(|| query.older_search_link(list.searched_to)),
        chart: daily_chart::chart(query.filter(), &list.days),
        form: query.form,
    };
    let is_wrong = page.form.is_wrong();
    respond(if is_wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &page)
}

fn list_request(query: &SessionListQuery, now: DateTime<Utc>) -> SessionListCriteria {
    let days = if query.is_search() { None } else { daily_chart::days_to_show(query.filter(), now) };
    SessionListCriteria {
        chosen: query.chosen_filter(),
        direction: query.direction,
        search_from: query.search_from,
        days,
    }
}

/// Shows a session. The query string is that of the list it was opened from, and decides what Previous and Next are.
pub(crate) async fn show(
    request: HttpRequest,
    visitor: MaybeSignedIn,
    session_id: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Session", NavSection::Sessions)?;
    let session_id = session_id.parse::<Uuid>().map_err(|_malformed| AppError::NotFound)?;
    let client = signed_in.client();
    let query = SessionListQuery::parse(request.query_string())?;
    let list = list_request(&query, time::now());
    let load =
        move |connection: &mut PgConnection| load_with_neighbours(connection, &client, session_id, &list);
    let (session, neighbours) = db.run(load).await?;
    let list_query = query.session_query();
    let link = |session_id: Uuid| format!("/sessions/{session_id}{list_query}");
    let page = SessionDetailsPage {
        layout,
        session_id: session_id.to_string(),
        heading: SessionHeading::new(&session),
        created: session.created_at.into(),
        erased: session.erased_at.map(DisplayTime::from),
        may_erase: ShopperIdentifier::from_session(&session).is_some()
            && signed_in.may(Permission::EraseShoppers),
        sections: details::sections(&session),
        list: format!("/sessions{list_query}"),
        newer: neighbours.newer.map(link),
        older: neighbours.older.map(link),
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
    if query.form.is_wrong() {
        return Err(query.form.into_errors().into());
    }
    let (client, chosen) = (signed_in.client(), query.chosen_filter());
    let resolved = db.run(move |connection| resolve_filter(connection, &client, &chosen)).await?;
    let request = SessionPageRequest { filter: resolved.filter, ..query.request };
    let reader = ExportPrincipal::Member { client: signed_in.client(), user_id: signed_in.user_id };
    stream::stream_for_member(reader, format, request, db).await
}
