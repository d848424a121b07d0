//! What holds for the repository: its layout, documents, licences and migrations.

mod docs;
mod layout;
mod licences;
mod migrations;
