//! What a form shows again after it was refused: the values, and a sentence per field.

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
