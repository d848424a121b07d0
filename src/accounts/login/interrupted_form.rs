//! A form that was sent after the sign-in of its user had ended. It is carried through the login and shown again.

use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use crate::web::local_path::LocalPath;

/// Fields that hold a secret. They are never carried.
const SECRET_FIELDS: [&str; 4] = ["password", "currentPassword", "newPassword", "code"];
/// Fields that users do not see.
const HIDDEN_FIELDS: [&str; 4] = ["clientId", "userId", "formNonce", "part"];
/// Beginning of the names of the fields, when the login page carries them.
const PREFIX: &str = "lost:";
const ACTION: &str = "lostAction";
const BACK: &str = "lostBack";

/// The form without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InterruptedForm {
    /// The path that the form is sent to.
    action: String,
    /// The page that had the form, if the browser named it.
    back: Option<String>,
    fields: Vec<(String, String)>,
}

/// How a field is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldView {
    Hidden,
    Checkbox,
    Line,
    Lines,
}

impl InterruptedForm {
    pub(crate) fn new<'a>(
        action: &LocalPath,
        back: Option<&LocalPath>,
        fields: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let kept = fields.filter(|(name, _)| !SECRET_FIELDS.contains(name));
        Self {
            action: action.to_string(),
            back: back.map(ToString::to_string),
            fields: kept.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }

    /// Reads what [`Self::carried_fields`] wrote. The visitor may have changed it.
    pub(crate) fn from_carried<'a>(
        fields: &(impl Iterator<Item = (&'a str, &'a str)> + Clone),
    ) -> Option<Self> {
        let path = |wanted: &str| -> Option<LocalPath> {
            fields.clone().find(|(name, _)| *name == wanted)?.1.parse().ok()
        };
        let carried = fields.clone().filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?, value)));
        Some(Self::new(&path(ACTION)?, path(BACK).as_ref(), carried))
    }

    /// Names and values of the hidden fields of the login page.
    pub(crate) fn carried_fields(&self) -> Vec<(String, String)> {
        let paths = [(ACTION, Some(&self.action)), (BACK, self.back.as_ref())];
        let paths = paths.into_iter().filter_map(|(name, path)| Some((name.to_owned(), path?.clone())));
        let fields = self.fields.iter().map(|(name, value)| (format!("{PREFIX}{name}"), value.clone()));
        paths.chain(fields).collect()
    }

    /// The body with which the form is sent (`application/x-www-form-urlencoded`).
    pub(crate) fn encode(&self) -> String {
        let fields = self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
    }

    pub(crate) fn action(&self) -> &str {
        &self.action
    }

    /// The page that had the form.
    pub(crate) fn back(&self) -> Option<&str> {
        self.back.as_deref()
    }

    /// Whether there is anything that the user filled in.
    pub(crate) fn has_visible_fields(&self) -> bool {
        self.fields.iter().any(|(name, _)| !HIDDEN_FIELDS.contains(&name.as_str()))
    }

    /// Name, label, value and appearance of each field.
    pub(crate) fn views(&self) -> Vec<(&str, String, &str, FieldView)> {
        let fields = self.fields.iter();
        fields.map(|(name, value)| (name.as_str(), label(name), value.as_str(), view(name, value))).collect()
    }
}

fn view(name: &str, value: &str) -> FieldView {
    match value {
        _ if HIDDEN_FIELDS.contains(&name) => FieldView::Hidden,
        "yes" | "on" => FieldView::Checkbox,
        _ if value.contains('\n') || value.chars().count() > 80 => FieldView::Lines,
        _ => FieldView::Line,
    }
}

/// `expiresOn` is shown as `Expires on`, the name of a scope as it is.
fn label(name: &str) -> String {
    if name.contains(':') {
        return name.to_owned();
    }
    let mut label = String::new();
    for character in name.chars() {
        if label.is_empty() {
            label.extend(character.to_uppercase());
        } else if character.is_uppercase() {
            label.push(' ');
            label.extend(character.to_lowercase());
        } else {
            label.push(character);
        }
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> InterruptedForm {
        let fields = [
            ("clientId", "cl_4f9k2m7qxw"),
            ("name", "Ware <house>"),
            ("allowedNetworks", "10.0.0.0/8\n192.0.2.0/24"),
            ("sessions:read", "yes"),
            ("password", "never carried"),
            ("currentPassword", "never carried"),
        ];
        let page = "/settings/api-keys?page=2".parse().unwrap();
        InterruptedForm::new(&"/settings/api-keys".parse().unwrap(), Some(&page), fields.into_iter())
    }

    #[test]
    fn a_form_is_carried_without_its_secrets() {
        let carried = form().carried_fields();
        let pairs = carried.iter().map(|(name, value)| (name.as_str(), value.as_str()));

        assert_eq!(InterruptedForm::from_carried(&pairs), Some(form()));
        assert!(!carried.iter().any(|(_, value)| value == "never carried"));
        assert_eq!(carried.len(), 6);
    }

    #[test]
    fn a_form_is_encoded_as_browsers_do() {
        let body = form().encode();

        assert!(
            body.starts_with("clientId=cl_4f9k2m7qxw&name=Ware+%3Chouse%3E&allowedNetworks=10.0.0.0%2F8%0A")
        );
        assert!(!body.contains("carried"), "{body}");
    }

    #[test]
    fn a_form_for_another_site_is_not_shown() {
        for action in ["https://evil.example/", "//evil.example", "javascript:alert(1)"] {
            let pairs = [("lostAction", action), ("lost:name", "x")];
            assert_eq!(InterruptedForm::from_carried(&pairs.into_iter()), None, "{action}");
        }
    }

    #[test]
    fn fields_are_labelled_and_shown_by_what_they_hold() {
        let form = form();
        let shown: Vec<_> = form.views().into_iter().map(|(_, label, _, view)| (label, view)).collect();
        let expected = [
            ("Client id", FieldView::Hidden),
            ("Name", FieldView::Line),
            ("Allowed networks", FieldView::Lines),
            ("sessions:read", FieldView::Checkbox),
        ];
        assert_eq!(shown, expected.map(|(label, view)| (label.to_owned(), view)));
    }
}
