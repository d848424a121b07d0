//! Receives an uploaded file.

use super::{
    file::{
        check::{CheckedFile, FileCheck},
        encoding::FileEncoding,
        unreadable_file::UnreadableFile,
    },
    job::{ImportId, ImportState},
    layout::FileKind,
    store::{self, UploadedFile},
};
use crate::{db::Db, error::AppError, sessions, web::body::upload::MultipartFile};

/// Stores the file while it arrives, and checks all of it. The inner error is the reason why it cannot be imported.
pub(super) async fn receive_file(
    upload: &mut MultipartFile,
    encoding: FileEncoding,
    db: &Db,
    import: &ImportId,
) -> Result<Result<(), UnreadableFile>, AppError> {
    let mut check = FileCheck::new(encoding, None);
    let (mut chunks, mut size) = (0, 0);
    while let Some(bytes) = upload.next_chunk().await? {
        if let Err(reason) = check.feed(&bytes) {
            // Browsers show an answer only after they have sent everything.
            while let Ok(Some(_rest)) = upload.next_chunk().await {}
            return Ok(Err(reason));
        }
        size += i64::try_from(bytes.len()).map_err(AppError::broken)?;
        let (import, number) = (import.clone(), chunks);
        db.run(move |connection| store::add_chunk(connection, &import, number, &bytes)).await?;
        chunks += 1;
    }
    let checked = match check.finish() {
        Ok(checked) => checked,
        Err(reason) => return Ok(Err(reason)),
    };
    let is_json = checked.kind == FileKind::Ndjson;
    let file = UploadedFile { chunks, bytes: size, is_json, encoding, state: state_after_upload(&checked) };
    let import = import.clone();
    db.run(move |connection| store::end_upload(connection, &import, &file)).await?;
    Ok(Ok(()))
}

/// Whether the file can be checked at once, or its columns have to be mapped first.
fn state_after_upload(file: &CheckedFile) -> ImportState {
    let needs_mapping = file.kind == FileKind::Csv && sessions::needs_mapping(&file.column_names);
    if needs_mapping { ImportState::Mapping } else { ImportState::Checking }
}
