//! The page that asks for the password or a code.

use actix_web::{HttpResponse, http::StatusCode};
use askama::Template;

use crate::{
    accounts::{
        login::after_login::LoginReturn,
        sign_in::extractor::{MaybeSignedIn, SignedInUser},
    },
    error::AppError,
    web::{
        body::form::FormState,
        page::{NavSection, PageLayout, respond},
    },
};

const TITLE: &str = "Confirm that it is you";

#[derive(Template)]
#[template(path = "accounts/confirmation/confirm.html")]
struct ConfirmPage {
    layout: PageLayout,
    form: FormState,
    email: String,
    /// Whether a code is accepted too.
    has_second_factor: bool,
    /// Whether a form is sent afterwards.
    has_form: bool,
    /// The page that the user came from.
    back: Option<String>,
    hidden_fields: Vec<(String, String)>,
}

/// Shows the page. It carries where to go, or which form to send, afterwards.
pub(super) fn show_confirm_page(
    visitor: MaybeSignedIn,
    status: StatusCode,
    form: FormState,
    after: &LoginReturn,
) -> Result<HttpResponse, AppError> {
    let (user, layout) = visitor.required_user(TITLE, NavSection::None)?;
    let page = ConfirmPage::new(layout, form, &user, after);
    respond(status, &page)
}

impl ConfirmPage {
    fn new(layout: PageLayout, form: FormState, user: &SignedInUser, after: &LoginReturn) -> Self {
        let back = after.form.as_ref().and_then(|form| form.back().map(str::to_owned));
        Self {
            layout,
            form,
            email: user.email().to_owned(),
            has_second_factor: user.has_second_factor(),
            has_form: after.form.is_some(),
            back: back.or_else(|| after.path.as_ref().map(ToString::to_string)),
            hidden_fields: after.hidden_fields(),
        }
    }
}
