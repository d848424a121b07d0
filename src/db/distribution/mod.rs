//! Citus: several servers that look like one database. A coordinator takes all statements; workers have the shards.
//!
//! What a client owns is distributed by its id, so that a statement that names one client is carried out by one worker.
//! [`DataPlacement`] is for the few that name several. [`TABLES`] says where each table is, and [`distribute`] puts it
//! there.
//!
//! A transaction that writes on two servers is committed in two phases: the servers prepare it, the coordinator records
//! that it is committed, and only then they commit. If one of them crashes in between, the coordinator's maintenance
//! daemon commits or rolls back what was prepared, within a minute after the server is back (`citus.recover_2pc_interval`).
//! Until then its rows stay locked, and requests that need them get 503. That covers all tables but those that are
//! [`Local`](TableKind::Local), which no transaction changes together with others.

mod cluster;
mod distributor;
mod placement;
mod shards;
mod tables;

pub use cluster::NotDistributable;
pub use distributor::{TableChange, distribute, distribute_new_tables, require_cluster};
pub use placement::DataPlacement;
pub(super) use shards::is_name_on_shard;
pub(crate) use shards::{ClientShard, locate_clients};
pub use tables::{TABLES, TableKind, TablePlacement};
