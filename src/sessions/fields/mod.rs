//! The fields of a session: the one table of them, the types with a fixed set of values, and how a value is read and
//! written as text.

mod choice;
mod table;
mod value;

pub use choice::{Channel, SessionStatus};
pub use table::{COLUMNS, FieldType, SESSION_FIELDS, SessionField};
pub(crate) use table::{FIELDS, session_fields};
pub(crate) use value::{FormatValue, ParseValue};
