//! The fields of a session: the one table of them, the types with a fixed set of values, and how a value is read and
//! written as text.

mod choice;

pub use choice::{Channel, SessionStatus};
