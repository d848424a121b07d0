//! Forms: parsing their fields, and showing a refused form again with its errors.

use std::{borrow::Cow, fmt::Display};

use crate::error::{FieldError, FieldErrors};

/// The values of a form and the errors of its fields. Passwords are never kept.
#[derive(Clone, Debug, Default)]
pub struct FormState {
    values: Vec<(&'static str, String)>,
    errors: FieldErrors,
}

impl FormState {
    /// Keeps the value, so that the form shows it again.
    #[must_use]
    pub fn keep(mut self, name: &'static str, value: &str) -> Self {
        self.values.push((name, value.to_owned()));
        self
    }

    /// Adds an error to the field. The empty name stands for the form as a whole.
    #[must_use]
    pub fn refuse(mut self, name: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        self.errors.add(name, message);
        self
    }

    /// The value of `result`. Returns `None` after adding its error to the field.
    pub fn check<T, E: Display>(&mut self, name: &'static str, result: Result<T, E>) -> Option<T> {
        self.errors.check(name, result.map_err(|error| error.to_string()))
    }

    /// The kept value, or an empty text.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        self.values.iter().find(|(field, _)| *field == name).map_or("", |(_, value)| value)
    }

    /// The first error of the field.
    #[must_use]
    pub fn error(&self, name: &str) -> Option<&str> {
        self.errors.message(name)
    }

    /// Whether the field is the first one with an error. It gets the focus, so add errors in the order of the form.
    #[must_use]
    pub fn is_first_wrong(&self, name: &str) -> bool {
        self.errors.first_field() == Some(name)
    }

    /// Whether any field has an error.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        !self.errors.is_empty()
    }

    /// The errors of all fields.
    #[must_use]
    pub fn into_errors(self) -> FieldErrors {
        self.errors
    }
}

impl Extend<FieldError> for FormState {
    fn extend<I: IntoIterator<Item = FieldError>>(&mut self, errors: I) {
        self.errors.extend(errors);
    }
}

/// Reads named text fields and collects every error.
pub struct FieldReader<F> {
    field: F,
    errors: FieldErrors,
}

impl<'a, F: Fn(&str) -> Option<&'a str>> FieldReader<F> {
    /// `field` returns the text of a field by its name, or `None` if it is absent.
    pub fn new(field: F) -> Self {
        Self { field, errors: FieldErrors::default() }
    }

    /// The text of the field, if it is present.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        (self.field)(name)
    }

    /// Whether the field is present.
    pub fn has(&self, name: &str) -> bool {
        (self.field)(name).is_some()
    }

    /// The parsed field. Returns `None` if it is absent or wrong.
    pub fn read<T, E: Into<Cow<'static, str>>>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = (self.field)(name)?;
        self.errors.check(name, parse(text))
    }

    /// Adds an error.
    pub fn refuse(&mut self, name: &'static str, message: impl Into<Cow<'static, str>>) {
        self.errors.add(name, message);
    }

    /// `value`, unless there were errors.
    ///
    /// # Errors
    /// All errors.
    pub fn finish<T>(self, value: T) -> Result<T, Vec<FieldError>> {
        self.errors.finish(value)
    }
}
