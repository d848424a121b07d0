//! Settings → Usage, and the usage of one key. Every member may look.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use askama::Template;
use chrono::{DateTime, Utc};

use super::{
    queries::{self, KeyUse, KnownKey, UsageScope},
    report::{ReportPeriod, UsageReport},
};
use crate::{
    accounts::MaybeSignedIn,
    db::Db,
    error::AppError,
    ids::PublicKey,
    web::{
        format::grouped,
        page::{NavSection, PageLayout, respond},
        time::{self, DisplayTime, RelativeTime},
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
    deleted: Option<DisplayTime>,
    last: Option<LastUseText>,
    calls_of_day: String,
    calls_of_week: String,
}

struct LastUseText {
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
    let (span, now) = (ReportPeriod::of(request.query_string()), time::now());
    let scope = UsageScope { client: signed_in.client(), key: None, since: span.since(now) };
    let figures = db.run(move |connection| queries::figures(connection, &scope)).await?;
    let report = UsageReport::new(figures, span, now, INDEX);
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
    let (span, now) = (ReportPeriod::of(request.query_string()), time::now());
    let scope = UsageScope { client: signed_in.client(), key: Some(key.clone()), since: span.since(now) };
    let asked = key.clone();
    let (known, key_use, figures) = db
        .run(move |connection| {
            let known = queries::find_key(connection, &scope.client, &asked)?;
            let key_use = queries::of_key(connection, &scope.client, &asked)?;
            queries::figures(connection, &scope).map(|figures| (known, key_use, figures))
        })
        .await?;
    let report = UsageReport::new(figures, span, now, &format!("/settings/api-keys/{key}/usage"));
    respond(StatusCode::OK, &KeyUsagePage::new(layout, report, &key, (known, key_use), now))
}

impl KeyUsagePage {
    fn new(
        layout: PageLayout,
        report: UsageReport,
        key: &PublicKey,
        (known, key_use): (KnownKey, KeyUse),
        now: DateTime<Utc>,
    ) -> Self {
        let last = key_use.last.map(|last| LastUseText {
            at: RelativeTime::of(last.at, now),
            address: last.address.to_string(),
            user_agent: last.user_agent,
        });
        Self {
            layout,
            report,
            name: known.name,
            public_key: key.to_string(),
            deleted: known.deleted_at.map(DisplayTime::from),
            last,
            calls_of_day: grouped(key_use.calls_of_day),
            calls_of_week: grouped(key_use.calls_of_week),
        }
    }
}
