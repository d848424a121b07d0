//! x
pub mod private_postgres;
