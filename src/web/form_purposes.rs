//! What the forms do, in words.

use actix_web::dev::ResourceDef;

/// The purpose of each form whose page has to name it, by its path. The table of page routes states them.
pub(crate) struct FormPurposes {
    forms: Vec<(ResourceDef, &'static str)>,
}

impl FormPurposes {
    /// From patterns such as `/calls/{call}/delete`, each with a purpose such as `delete the call`. The first one that
    /// matches counts.
    pub(crate) fn new(forms: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        let forms = forms.into_iter().map(|(pattern, purpose)| (ResourceDef::new(pattern), purpose));
        Self { forms: forms.collect() }
    }

    /// A verb first, to follow “to”: `delete the call`.
    pub(crate) fn find(&self, path: &str) -> Option<&'static str> {
        self.forms.iter().find(|(pattern, _)| pattern.is_match(path)).map(|(_, purpose)| *purpose)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_found_by_its_path() {
        let purposes = FormPurposes::new([
            ("/calls/delete", "delete the selected calls"),
            ("/calls/{call}/delete", "delete the call"),
        ]);

        assert_eq!(purposes.find("/calls/7/delete"), Some("delete the call"));
        assert_eq!(purposes.find("/calls/delete"), Some("delete the selected calls"));
        assert_eq!(purposes.find("/calls/7"), None);
    }
}
