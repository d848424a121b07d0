//! A recorded session, as the API, the CSV and the pages show it.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::Serialize;
use uuid::Uuid;

use super::fields::{COLUMNS, Channel, FIELDS, FormatValue, SessionStatus, session_fields};
use crate::{schema::sessions, web::format::csv::CsvCell};

macro_rules! define_session {
    ($($section:ident { $($field:ident: $type:ty $(, $personal:ident)? = $spec:expr;)* })*) => {
        /// One recorded session, with a member for each of the [`SESSION_FIELDS`](super::SESSION_FIELDS). `None` is
        /// null in JSON and empty in CSV.
        #[derive(Clone, Debug, PartialEq, Queryable, Selectable, Serialize)]
        #[diesel(table_name = sessions, check_for_backend(diesel::pg::Pg))]
        #[serde(rename_all = "camelCase")]
        pub struct Session {
            $($(#[serde(serialize_with = "FormatValue::serialize_json")] pub $field: $type,)*)*
        }

        impl Session {
            /// The cells of this session, in the order of [`COLUMNS`].
            #[must_use]
            pub fn cells(&self) -> [CsvCell<'_>; COLUMNS.len()] {
                [$($(FIELDS.$field.csv_cell(self.$field.to_cell()),)*)*]
            }
        }
    };
}
session_fields!(define_session);
