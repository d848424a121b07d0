//! What a file is: its encoding, and whether it is text at all.

pub(in crate::sessions) mod check;
pub(in crate::sessions) mod encoding;
mod signature;
pub(super) mod text_decoder;
pub(in crate::sessions) mod unreadable_file;
