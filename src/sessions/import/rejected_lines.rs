//! What is wrong in an import, as a file.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use uuid::Uuid;

use super::store;
use crate::{accounts::SignedIn, db::Db, error::AppError, web::csv};

/// Everything that is wrong, as far as it is kept: [`store::BAD_LINES_MAX`] reasons.
pub(crate) async fn download(
    signed_in: SignedIn,
    path: Path<Uuid>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (client, import_id) = (signed_in.client(), *path);
    let (_, _, wrong) = db.run(move |connection| store::view(connection, &client, import_id)).await?;
    let header = ["line", "field", "message"].map(str::to_owned);
    let rows = wrong.into_iter().map(|(line, field, message)| [line.to_string(), field, message]);
    let body = csv::lines(std::iter::once(header).chain(rows))?;
    let mut response = csv::download("bad-lines.csv");
    Ok(response.content_type("text/csv; charset=utf-8; header=present").body(body))
}
