//! What is wrong in an import, as a file.

use actix_web::{
    HttpResponse,
    http::header::CONTENT_DISPOSITION,
    web::{Data, Path},
};
use uuid::Uuid;

use super::store;
use crate::{accounts::SignedIn, db::Db, error::AppError, sessions::guarded};

/// Everything that is wrong, as far as it is kept: [`store::BAD_LINES_MAX`] reasons.
pub(super) async fn download(
    signed_in: SignedIn,
    path: Path<Uuid>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (client, import_id) = (signed_in.client(), *path);
    let (_, _, wrong) = db.run(move |connection| store::view(connection, &client, import_id)).await?;
    let mut file = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    file.write_record(["line", "field", "message"]).map_err(AppError::broken)?;
    for (line, field, message) in &wrong {
        let cells = [line.to_string().into(), guarded(field), guarded(message)];
        file.write_record(cells.iter().map(AsRef::<str>::as_ref)).map_err(AppError::broken)?;
    }
    let body = file.into_inner().map_err(|error| AppError::broken(error.into_error()))?;
    let mut response = HttpResponse::Ok();
    response.content_type("text/csv; charset=utf-8; header=present");
    response.insert_header((CONTENT_DISPOSITION, "attachment; filename=\"bad-lines.csv\""));
    Ok(response.body(body))
}
