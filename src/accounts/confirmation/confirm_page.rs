//! The page that asks for the password or a code.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use askama::Template;

use crate::{
    accounts::{
        login::{after_login::LoginReturn, interrupted_form::InterruptedForm},
        sign_in::extractor::{MaybeSignedIn, SignedInUser},
    },
    error::AppError,
    web::{
        app_data::app_data,
        body::form::FormState,
        form_purposes::FormPurposes,
        page::{NavSection, PageLayout, respond},
    },
};

const TITLE: &str = "Confirm it’s you";
/// What is confirmed without a form: the way to a page.
const NO_FORM: &str = "continue";

#[derive(Template)]
#[template(path = "accounts/confirmation/confirm.html")]
struct ConfirmPage {
    layout: PageLayout,
    form: FormState,
    email: String,
    /// Whether a code is accepted too.
    has_second_factor: bool,
    /// What the user confirms, to follow “to”: `delete the API key`.
    purpose: &'static str,
    /// The page that the user came from.
    back: Option<String>,
    hidden_fields: Vec<(String, String)>,
}

/// Shows the page. It carries where to go, or which form to send, afterwards.
pub(super) fn show_confirm_page(
    request: &HttpRequest,
    visitor: MaybeSignedIn,
    status: StatusCode,
    form: FormState,
    after: &LoginReturn,
) -> Result<HttpResponse, AppError> {
    let action = after.form.as_ref().map(InterruptedForm::action);
    let section = action.map_or(NavSection::None, NavSection::of_path);
    let (user, layout) = visitor.required_user(TITLE, section)?;
    let purposes = app_data::<FormPurposes>(request)?;
    let path = action.map(|action| action.split('?').next().unwrap_or_default());
    let purpose = path.and_then(|path| purposes.find(path)).unwrap_or(NO_FORM);
    respond(status, &ConfirmPage::new(layout, form, &user, after, purpose))
}

impl ConfirmPage {
    fn new(
        layout: PageLayout,
        form: FormState,
        user: &SignedInUser,
        after: &LoginReturn,
        purpose: &'static str,
    ) -> Self {
        let back = after.form.as_ref().and_then(|form| form.back().map(str::to_owned));
        Self {
            layout,
            form,
            email: user.email().to_owned(),
            has_second_factor: user.has_second_factor(),
            purpose,
            back: back.or_else(|| after.path.as_ref().map(ToString::to_string)),
            hidden_fields: after.hidden_fields(),
        }
    }
}
