//! Migrations of databases in use.

mod migrations;
