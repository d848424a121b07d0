//! File uploads. Unlike other bodies, an upload is parsed while it arrives, because it may be large. Its size
//! limit includes the part headers, and it has deadlines.

use std::{
    future::{Ready, ready},
    rc::Rc,
    time::Duration,
};

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::{
    FromRequest, HttpMessage as _, HttpRequest, dev,
    error::PayloadError,
    http::header::{CONTENT_ENCODING, CONTENT_TYPE},
    web::{Bytes, BytesMut},
};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};

use super::multipart::headers_with_boundary;
use crate::error::AppError;

/// Size of a chunk. The last one of a file may be smaller.
pub const CHUNK_BYTES: usize = 1024 * 1024;
/// The upload fails after this long without a byte.
const IDLE_SECONDS: u64 = 30;
/// Maximum duration of an upload.
const TOTAL_SECONDS: u64 = 3600;
/// Maximum number of parts, of which the file is the last.
const PARTS_MAX: usize = 8;
/// Maximum size of a field before the file, in bytes.
const FIELD_MAX: usize = 1024;
/// The boundary must occur within this many bytes.
const START_MAX: usize = 8 * 1024;

/// The check of the field `clientId`. The route attaches it to the request, because only the handler reads the body.
#[derive(Clone)]
pub struct FormClientCheck(Rc<CheckText>);

type CheckText = dyn Fn(&str) -> Result<(), AppError>;

impl FormClientCheck {
    /// `check` gets the value of the field, or an empty text.
    pub fn new(check: impl Fn(&str) -> Result<(), AppError> + 'static) -> Self {
        Self(Rc::new(check))
    }
}

/// A request whose body is a form with a file, not read yet.
///
/// # Errors
/// [`AppError::Broken`] if the route has no [`FormClientCheck`].
pub struct UploadRequest {
    request: HttpRequest,
    payload: dev::Payload,
    client_check: FormClientCheck,
}

impl FromRequest for UploadRequest {
    type Error = AppError;
    type Future = Ready<Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let client_check = request.extensions().get::<FormClientCheck>().cloned();
        let client_check =
            client_check.ok_or_else(|| AppError::broken("the route of an upload does not check its client"));
        let (request, payload) = (request.clone(), payload.take());
        ready(client_check.map(|client_check| Self { request, payload, client_check }))
    }
}

/// The file of a form, and the fields that came before it.
pub struct MultipartFile {
    fields: Vec<(String, String)>,
    name: String,
    /// `None` at its end.
    file: Option<Field>,
    /// `file` reads from it.
    parts: Multipart,
    rest: BytesMut,
    deadline: Instant,
    limit: usize,
}

impl MultipartFile {
    /// Reads up to the part `file_field`. `limit` is the maximum size of the body in bytes.
    ///
    /// # Errors
    /// 400 if there is no such part, 408, 413, 415; what the [`FormClientCheck`] refuses.
    pub async fn begin(upload: UploadRequest, file_field: &str, limit: usize) -> Result<Self, AppError> {
        let UploadRequest { request, payload, client_check } = upload;
        if request.headers().contains_key(CONTENT_ENCODING) {
            return Err(AppError::UnsupportedType);
        }
        let mut bytes_left = limit;
        let mut limited = payload.map(move |chunk| {
            let chunk = chunk?;
            bytes_left = bytes_left.checked_sub(chunk.len()).ok_or(PayloadError::Overflow)?;
            Ok(chunk)
        });
        let deadline = Instant::now() + Duration::from_secs(TOTAL_SECONDS);
        let start = read_start(&mut limited, deadline, limit).await?;
        let headers = headers_with_boundary(request.headers().get(CONTENT_TYPE), &start)?;
        let mut parts = Multipart::new(&headers, stream::iter([Ok(start)]).chain(limited));
        let mut fields = Vec::new();
        for _ in 0..PARTS_MAX {
            let Some(part) = within(deadline, parts.next()).await? else { break };
            let part = part.map_err(|error| upload_error(&error, limit))?;
            let field = part.name().unwrap_or_default().to_owned();
            if field == file_field {
                (client_check.0)(find_text(&fields, "clientId"))?;
                let name = part.content_disposition().and_then(|it| it.get_filename()).unwrap_or_default();
                let name = name.to_owned();
                let rest = BytesMut::new();
                return Ok(Self { fields, name, file: Some(part), parts, rest, deadline, limit });
            }
            if fields.iter().any(|(name, _)| *name == field) {
                return Err(AppError::Malformed("The form has a field twice. Send each field once.".into()));
            }
            fields.push((field, read_text(part, deadline, limit).await?));
        }
        Err(AppError::Malformed("The form has no file. Choose one and try again.".into()))
    }

    /// A field that came before the file, or an empty text.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        find_text(&self.fields, name)
    }

    /// The name that the sender gave the file.
    #[must_use]
    pub fn file_name(&self) -> &str {
        &self.name
    }

    /// The next [`CHUNK_BYTES`] of the file. Returns `None` at its end.
    ///
    /// # Errors
    /// 400 if the body is cut off or has a field after the file, 408, 413.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, AppError> {
        while self.rest.len() < CHUNK_BYTES
            && let Some(file) = &mut self.file
        {
            match within(self.deadline, file.next()).await? {
                Some(bytes) => {
                    self.rest.extend_from_slice(&bytes.map_err(|error| upload_error(&error, self.limit))?);
                }
                None => self.end_file().await?,
            }
        }
        let length = self.rest.len().min(CHUNK_BYTES);
        Ok((length > 0).then(|| self.rest.split_to(length).freeze()))
    }

    /// What follows the file would be lost.
    async fn end_file(&mut self) -> Result<(), AppError> {
        // The next part can be read only once this one is dropped.
        self.file = None;
        match within(self.deadline, self.parts.next()).await? {
            None => Ok(()),
            Some(Ok(_part)) => Err(AppError::Malformed(
                "Something follows the file. Send one file, and the other fields before it.".into(),
            )),
            Some(Err(error)) => Err(upload_error(&error, self.limit)),
        }
    }
}

fn find_text<'a>(fields: &'a [(String, String)], name: &str) -> &'a str {
    fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
}

/// Reads the first lines of the body, up to one that begins with `--`, because it may be the boundary.
async fn read_start(
    body: &mut (impl Stream<Item = Result<Bytes, PayloadError>> + Unpin),
    deadline: Instant,
    limit: usize,
) -> Result<Bytes, AppError> {
    let mut start = BytesMut::new();
    while !has_delimiter(&start) && start.len() < START_MAX {
        let Some(bytes) = within(deadline, body.next()).await? else { break };
        let bytes = bytes.map_err(|error| upload_error(&MultipartError::Payload(error), limit))?;
        start.extend_from_slice(&bytes);
    }
    Ok(start.freeze())
}

fn has_delimiter(start: &[u8]) -> bool {
    start.split_inclusive(|byte| *byte == b'\n').any(|line| line.starts_with(b"--") && line.ends_with(b"\n"))
}

async fn read_text(mut part: Field, deadline: Instant, limit: usize) -> Result<String, AppError> {
    let mut value = Vec::new();
    while let Some(bytes) = within(deadline, part.next()).await? {
        value.extend_from_slice(&bytes.map_err(|error| upload_error(&error, limit))?);
        if value.len() > FIELD_MAX {
            return Err(AppError::TooLarge(FIELD_MAX));
        }
    }
    String::from_utf8(value).map_err(|_not_text| AppError::Malformed("A field is not UTF-8 text.".into()))
}

/// The result of `next`, unless the upload is idle or takes too long.
async fn within<T>(deadline: Instant, next: impl Future<Output = T>) -> Result<T, AppError> {
    let idle = Instant::now() + Duration::from_secs(IDLE_SECONDS);
    timeout_at(deadline.min(idle), next).await.map_err(|_elapsed| AppError::TooSlow(IDLE_SECONDS))
}

fn upload_error(error: &MultipartError, limit: usize) -> AppError {
    match error {
        MultipartError::Payload(PayloadError::Overflow) => AppError::TooLarge(limit),
        error => AppError::Malformed(format!("The upload cannot be read: {error}.").into()),
    }
}
