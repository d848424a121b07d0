//! The form of the account page.

use super::service::Account;
use crate::{
    accounts::{display_name::DisplayName, email::EmailAddress, password::NewPassword},
    web::body::{FormFields, form::FormState},
};

/// Maximum size of a form, in bytes.
pub(super) const FORM_LIMIT: usize = 16 * 1024;

pub(super) const PASSWORD_MISSING: &str = "Enter your current password.";
const NEW_PASSWORD_MISSING: &str = "Enter a new password.";

/// One of the forms of the page, as sent, with what it changes. A field that is absent changes nothing.
#[derive(Default)]
pub(super) struct AccountForm {
    pub(super) state: FormState,
    pub(super) name: Option<DisplayName>,
    pub(super) email: Option<EmailAddress>,
    pub(super) password: Option<NewPassword>,
}

impl AccountForm {
    /// The form before the user changes it.
    pub(super) fn new(account: &Account) -> Self {
        let state = FormState::default();
        let state = state.keep("name", account.name.as_str()).keep("email", account.email.as_str());
        Self { state, ..Self::default() }
    }

    pub(super) fn parse(fields: &FormFields<FORM_LIMIT>, account: &Account) -> Self {
        let has = |name: &str| fields.iter().any(|(field, _)| field == name);
        let is_password_form = !has("name") && !has("email");
        let text = |name: &str, present: &str| {
            if has(name) { fields.text(name).to_owned() } else { present.to_owned() }
        };
        let name = text("name", account.name.as_str());
        let email = text("email", account.email.as_str());
        let mut state = FormState::default().keep("name", &name).keep("email", &email);
        let new_name = state.check("name", name.parse::<DisplayName>());
        let new_email = state.check("email", parse_email(&email, &account.email));
        let new_password = fields.get("newPassword");
        if (is_password_form || new_password.is_some()) && fields.get("currentPassword").is_none() {
            state = state.refuse("currentPassword", PASSWORD_MISSING);
        }
        if is_password_form && new_password.is_none() {
            state = state.refuse("newPassword", NEW_PASSWORD_MISSING);
        }
        let password = new_password.and_then(|password| {
            state.check("newPassword", NewPassword::parse(password, &[name.as_str(), email.as_str()]))
        });
        Self {
            state,
            name: new_name.filter(|name| *name != account.name),
            email: new_email.filter(|email| *email != account.email),
            password,
        }
    }

    /// The name of the field for the current password, if it is needed: as an error names it. The form for the email has
    /// one of its own. It is needed for a new password, and for a new email unless the user has just logged in.
    pub(super) fn password_field(&self, is_recent: bool) -> Option<&'static str> {
        match (&self.password, &self.email) {
            (Some(_), _) => Some("currentPassword"),
            (None, Some(_)) if !is_recent => Some("emailPassword"),
            _ => None,
        }
    }
}

/// An address that stays need not be one that would be accepted today.
fn parse_email(text: &str, present: &EmailAddress) -> Result<EmailAddress, &'static str> {
    if text.parse().as_ref() == Ok(present) {
        Ok(present.clone())
    } else {
        EmailAddress::parse_deliverable(text)
    }
}
