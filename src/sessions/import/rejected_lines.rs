//! The rejected lines of an import as a file.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use uuid::Uuid;

use super::{job::ImportId, store};
use crate::{accounts::SignedIn, db::Db, error::AppError, web::format::csv};

/// All errors that are kept: at most [`store::REJECTED_FIELDS_MAX`].
pub(crate) async fn download(
    signed_in: SignedIn,
    path: Path<Uuid>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let import = ImportId { client: signed_in.client(), id: *path };
    let details = db.run(move |connection| store::load_details(connection, &import)).await?;
    let header = ["line", "field", "message"].map(str::to_owned);
    let rows = details.rejected.into_iter().map(|field| [field.line.to_string(), field.field, field.message]);
    let body = csv::lines(std::iter::once(header).chain(rows))?;
    let mut response = csv::download("bad-lines.csv");
    Ok(response.content_type("text/csv; charset=utf-8; header=present").body(body))
}
