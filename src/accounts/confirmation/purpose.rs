//! What the forms that need a confirmation are for.

use actix_web::{HttpRequest, dev::ResourceDef};

use crate::{error::AppError, web::app_data::app_data};

/// Without a form, the confirmation is only the way to a page.
const NO_FORM: &str = "continue";

/// The purpose of each form that needs a confirmation, by its path. The table of page routes states it.
pub(crate) struct ConfirmationPurposes {
    forms: Vec<(ResourceDef, &'static str)>,
}

impl ConfirmationPurposes {
    /// From patterns such as `/calls/{call}/delete`, each with a purpose such as `delete the call`. The first one that
    /// matches counts.
    pub(crate) fn new(forms: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        let forms = forms.into_iter().map(|(pattern, purpose)| (ResourceDef::new(pattern), purpose));
        Self { forms: forms.collect() }
    }

    pub(crate) fn find(&self, path: &str) -> Option<&'static str> {
        self.forms.iter().find(|(pattern, _)| pattern.is_match(path)).map(|(_, purpose)| *purpose)
    }
}

/// What the user confirms, to follow “to”: `delete the API key`. `path` is that of the form, if there is one.
pub(super) fn find_purpose(request: &HttpRequest, path: Option<&str>) -> Result<&'static str, AppError> {
    let purposes = app_data::<ConfirmationPurposes>(request)?;
    let path = path.map(|path| path.split('?').next().unwrap_or_default());
    Ok(path.and_then(|path| purposes.find(path)).unwrap_or(NO_FORM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_found_by_its_path() {
        let purposes = ConfirmationPurposes::new([
            ("/calls/delete", "delete the selected calls"),
            ("/calls/{call}/delete", "delete the call"),
        ]);

        assert_eq!(purposes.find("/calls/7/delete"), Some("delete the call"));
        assert_eq!(purposes.find("/calls/delete"), Some("delete the selected calls"));
        assert_eq!(purposes.find("/calls/7"), None);
    }
}
