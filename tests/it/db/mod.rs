//! Migrations of databases in use, adoption of databases of versions before the first release, and connections that
//! stop answering.

mod adoption;
mod migrations;
mod silent_connections;
