//! A file that is uploaded: the one body that is not read whole before it is parsed, because it may be large. It is
//! counted as it comes in, part heads included, and has deadlines.

use std::time::Duration;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::{
    HttpRequest,
    error::PayloadError,
    http::header::CONTENT_ENCODING,
    web::{Bytes, BytesMut, Payload},
};
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout_at};

use crate::error::AppError;

/// A file comes in chunks of this many bytes; the last may have fewer.
pub const CHUNK_BYTES: usize = 1024 * 1024;
/// Nothing came for so long: the sender is gone, in seconds.
const IDLE_SECONDS: u64 = 30;
/// A whole upload may take so long, in seconds.
const TOTAL_SECONDS: u64 = 3600;
/// So many parts at most come before the file.
const PARTS_MAX: usize = 8;
/// A field beside the file has at most so many bytes.
const FIELD_MAX: usize = 1024;

/// The file of a form, and the fields that came before it.
pub struct FileUpload {
    fields: Vec<(String, String)>,
    name: String,
    file: Field,
    // The field reads from it.
    _parts: Multipart,
    rest: BytesMut,
    is_at_end: bool,
    deadline: Instant,
    limit: usize,
}

impl FileUpload {
    /// Reads until the part `file_field`. The whole body has at most `limit` bytes.
    ///
    /// # Errors
    /// 400 when there is no such part, 408, 413, 415.
    pub async fn begin(
        request: &HttpRequest,
        payload: Payload,
        file_field: &str,
        limit: usize,
    ) -> Result<Self, AppError> {
        if request.headers().contains_key(CONTENT_ENCODING) {
            return Err(AppError::UnsupportedType);
        }
        let mut left = limit;
        let counted = payload.map(move |chunk| {
            let chunk = chunk?;
            left = left.checked_sub(chunk.len()).ok_or(PayloadError::Overflow)?;
            Ok(chunk)
        });
        let mut parts = Multipart::new(request.headers(), counted);
        let deadline = Instant::now() + Duration::from_secs(TOTAL_SECONDS);
        let mut fields = Vec::new();
        for _ in 0..PARTS_MAX {
            let Some(part) = within(deadline, parts.next()).await? else { break };
            let part = part.map_err(|error| refused(&error, limit))?;
            let field = part.name().unwrap_or_default().to_owned();
            if field == file_field {
                let name = part.content_disposition().and_then(|it| it.get_filename()).unwrap_or_default();
                let name = name.to_owned();
                let rest = BytesMut::new();
                return Ok(Self {
                    fields,
                    name,
                    file: part,
                    _parts: parts,
                    rest,
                    is_at_end: false,
                    deadline,
                    limit,
                });
            }
            fields.push((field, text(part, deadline, limit).await?));
        }
        Err(AppError::Malformed("The form has no file. Choose one and send it again.".into()))
    }

    /// A field that came before the file; absent is empty.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    /// What the sender calls the file.
    #[must_use]
    pub fn file_name(&self) -> &str {
        &self.name
    }

    /// The next [`CHUNK_BYTES`] of the file; `None`: that was all.
    ///
    /// # Errors
    /// 400 when the body is cut off, 408, 413.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, AppError> {
        while self.rest.len() < CHUNK_BYTES && !self.is_at_end {
            match within(self.deadline, self.file.next()).await? {
                Some(bytes) => {
                    self.rest.extend_from_slice(&bytes.map_err(|error| refused(&error, self.limit))?);
                }
                None => self.is_at_end = true,
            }
        }
        let length = self.rest.len().min(CHUNK_BYTES);
        Ok((length > 0).then(|| self.rest.split_to(length).freeze()))
    }
}

async fn text(mut part: Field, deadline: Instant, limit: usize) -> Result<String, AppError> {
    let mut value = Vec::new();
    while let Some(bytes) = within(deadline, part.next()).await? {
        value.extend_from_slice(&bytes.map_err(|error| refused(&error, limit))?);
        if value.len() > FIELD_MAX {
            return Err(AppError::TooLarge(FIELD_MAX));
        }
    }
    String::from_utf8(value).map_err(|_not_text| AppError::Malformed("A field is not UTF-8 text.".into()))
}

/// What comes before the sender is taken to be gone and before the upload has taken too long.
async fn within<T>(deadline: Instant, next: impl Future<Output = T>) -> Result<T, AppError> {
    let idle = Instant::now() + Duration::from_secs(IDLE_SECONDS);
    timeout_at(deadline.min(idle), next).await.map_err(|_elapsed| AppError::TooSlow(IDLE_SECONDS))
}

fn refused(error: &MultipartError, limit: usize) -> AppError {
    match error {
        MultipartError::Payload(PayloadError::Overflow) => AppError::TooLarge(limit),
        error => AppError::Malformed(format!("The upload cannot be read: {error}.").into()),
    }
}
