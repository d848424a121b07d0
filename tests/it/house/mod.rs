//! Checks of the repository: layout, documents, licences and migrations.

mod docs;
mod icons;
mod imports;
mod layout;
mod left_out_tests;
mod licences;
mod migration_rules;
mod migrations;
mod styles;
mod wording;
