//! Migrations of databases in use, adoption of databases of versions before the first release, distribution of tables,
//! connections that stop answering, and connection poolers.

mod adoption;
mod distribution;
mod migrations;
mod pooler;
mod silent_connections;
