//! What a form shows again after it was refused: the values, and a sentence per field.

use std::borrow::Cow;

use crate::error::FieldError;

/// The state of a form. Passwords are never kept.
#[derive(Clone, Debug, Default)]
pub struct FormState {
    values: Vec<(&'static str, String)>,
    errors: Vec<FieldError>,
}

impl FormState {
    /// Keeps `value` for the field `name`.
    #[must_use]
    pub fn keep(mut self, name: &'static str, value: &str) -> Self {
        self.values.push((name, value.to_owned()));
        self
    }

    /// Adds a sentence to the field `name`; the empty name is the form as a whole.
    #[must_use]
    pub fn refuse(mut self, name: &'static str, message: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        self.errors.push(FieldError::new(name, message));
        self
    }

    /// Adds the sentence of `result` to the field `name` when it is one.
    pub fn check<T, E: std::fmt::Display>(&mut self, name: &'static str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.errors.push(FieldError::new(name, error.to_string()))).ok()
    }

    /// The kept value of the field `name`, or nothing.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        self.values.iter().find(|(field, _)| *field == name).map_or("", |(_, value)| value)
    }

    /// The sentence for the field `name`.
    #[must_use]
    pub fn error(&self, name: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == name).map(|error| error.message.as_ref())
    }
}

/// Reads named text fields and collects every error, so that a caller can fix all of them at once.
pub struct FieldReader<F> {
    field: F,
    errors: Vec<FieldError>,
}

impl<'a, F: Fn(&str) -> Option<&'a str>> FieldReader<F> {
    /// A reader of the fields that `field` returns by name; `None` is absent.
    pub fn new(field: F) -> Self {
        Self { field, errors: Vec::new() }
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
        parse(text).map_err(|message| self.refuse(name, message)).ok()
    }

    /// Adds an error.
    pub fn refuse(&mut self, name: &'static str, message: impl Into<Cow<'static, str>>) {
        self.errors.push(FieldError::new(name, message));
    }

    /// `value`, unless there were errors.
    ///
    /// # Errors
    /// All of them.
    pub fn finish<T>(self, value: T) -> Result<T, Vec<FieldError>> {
        if self.errors.is_empty() { Ok(value) } else { Err(self.errors) }
    }
}
