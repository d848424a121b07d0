//! Settings → Usage, and the usage page of one key, for every member of the client.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use askama::Template;
use chrono::{DateTime, Utc};

use super::{
    queries::{self, KeyUsage, LastUse, UsageScope},
    report_view::{ReportPeriod, UsageReport},
};
use crate::{
    accounts::MaybeSignedIn,
    db::Db,
    error::AppError,
    ids::PublicKey,
    web::{
        format::{
            grouped, plural,
            time::{self, DisplayTime, RelativeTime},
        },
        page::{NavSection, PageLayout, respond},
    },
};

const INDEX: &str = "/settings/usage";

#[derive(Template)]
#[template(path = "usage/index.html")]
struct UsagePage {
    layout: PageLayout,
    report: UsageReport,
}

#[derive(Template)]
#[template(path = "usage/show.html")]
struct KeyUsagePage {
    layout: PageLayout,
    report: UsageReport,
    name: String,
    public_key: String,
    deleted_at: Option<DisplayTime>,
    last_use: Option<LastUseView>,
    requests_last_day: String,
    requests_last_week: String,
}

struct LastUseView {
    at: RelativeTime,
    address: String,
    user_agent: Option<String>,
}

pub(crate) async fn index(
    request: HttpRequest,
    visitor: MaybeSignedIn,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Usage", NavSection::Usage)?;
    let (period, now) = (ReportPeriod::parse(request.query_string()), time::now());
    let scope = UsageScope { client: signed_in.client(), key: None, since: period.start(now) };
    let totals = db.run(move |connection| queries::load_totals(connection, &scope)).await?;
    let report = UsageReport::new(totals, period, now, INDEX);
    respond(StatusCode::OK, &UsagePage { layout, report })
}

pub(crate) async fn show(
    request: HttpRequest,
    visitor: MaybeSignedIn,
    public_key: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Usage of an API key", NavSection::Usage)?;
    let key: PublicKey = public_key.parse().map_err(|_malformed| AppError::NotFound)?;
    let (period, now) = (ReportPeriod::parse(request.query_string()), time::now());
    let (client, since) = (signed_in.client(), period.start(now));
    let usage = db.run(move |connection| queries::load_key_usage(connection, client, key, since)).await?;
    respond(StatusCode::OK, &KeyUsagePage::new(layout, usage, period, now))
}

impl KeyUsagePage {
    fn new(layout: PageLayout, usage: KeyUsage, period: ReportPeriod, now: DateTime<Utc>) -> Self {
        let KeyUsage { public_key, name, deleted_at, activity, requests_last_week, totals } = usage;
        let requests_last_day = activity.as_ref().map_or(0, |activity| activity.requests_last_day);
        let path = format!("/settings/api-keys/{public_key}/usage");
        Self {
            layout,
            report: UsageReport::new(totals, period, now, &path),
            name,
            public_key: public_key.to_string(),
            deleted_at: deleted_at.map(DisplayTime::from),
            last_use: activity.map(|activity| LastUseView::new(activity.last, now)),
            requests_last_day: requests_text(requests_last_day),
            requests_last_week: requests_text(requests_last_week),
        }
    }
}

/// `1 request`, `1,204 requests`.
fn requests_text(requests: i64) -> String {
    format!("{} {}", grouped(requests), plural(requests, "request"))
}

impl LastUseView {
    fn new(last_use: LastUse, now: DateTime<Utc>) -> Self {
        Self {
            at: RelativeTime::new(last_use.at, now),
            address: last_use.address.to_string(),
            user_agent: last_use.user_agent,
        }
    }
}
