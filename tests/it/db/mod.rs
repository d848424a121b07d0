//! Migrations of databases in use, and the adoption of databases of versions before the first release.

mod adoption;
mod migrations;
