//! The state that `app.rs` shares with all handlers.

use actix_web::{HttpRequest, web::Data};

use crate::error::AppError;

/// The shared value of this type.
///
/// # Errors
/// [`AppError::Broken`] if `app.rs` does not provide one.
pub(crate) fn app_data<T: 'static>(request: &HttpRequest) -> Result<Data<T>, AppError> {
    request.app_data().cloned().ok_or_else(|| AppError::broken("app.rs does not provide what a page needs"))
}
