//! Which server has the rows of each table.

/// Where the rows of a table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// On the worker that has the client, by `client_id`: what clients own.
    ByClient,
    /// A copy on every server: what is read together with rows of clients, or on every request, and rarely changes.
    /// Changing it needs all servers.
    Everywhere,
    /// On the coordinator, known to Citus: what belongs to users and what is found without a client. A transaction may
    /// change it together with rows of a client.
    Coordinator,
    /// On the coordinator, unknown to Citus: no transaction changes it together with other tables.
    Local,
}

/// A table and where its rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TablePlacement {
    pub name: &'static str,
    pub kind: TableKind,
}

/// Every table, each after those that it references. Foreign keys stay within a client, or lead from tables on the
/// coordinator to tables there and everywhere, so none has to be dropped; a test compares them with this list.
pub const TABLES: [TablePlacement; 30] = [
    by_client("clients"),
    by_client("api_keys"),
    by_client("audit_heads"),
    by_client("audit_log"),
    by_client("idempotency_keys"),
    by_client("imports"),
    by_client("import_bad_lines"),
    by_client("import_chunks"),
    by_client("key_errors"),
    by_client("key_last_uses"),
    by_client("key_usage"),
    by_client("session_counters"),
    by_client("session_days"),
    by_client("sessions"),
    by_client("shard_usage_batches"),
    // Looked up with every first use of a key, whatever server has its client.
    everywhere("api_key_directory"),
    // Joined to the keys that they created.
    everywhere("users"),
    // Found by their user, or by a link.
    coordinator("account_links"),
    coordinator("invitations"),
    coordinator("memberships"),
    coordinator("outbox"),
    coordinator("pending_logins"),
    coordinator("second_factors"),
    coordinator("recovery_codes"),
    coordinator("sign_ins"),
    // Every node reads all of it every second, so it must not depend on any worker.
    local("key_rate_limits"),
    local("attempt_rate_limits"),
    local("questions"),
    // Takes the place of `shard_usage_batches` where nothing is distributed.
    local("usage_batches"),
    // Diesel's.
    local("__diesel_schema_migrations"),
];

const fn by_client(name: &'static str) -> TablePlacement {
    TablePlacement { name, kind: TableKind::ByClient }
}

const fn everywhere(name: &'static str) -> TablePlacement {
    TablePlacement { name, kind: TableKind::Everywhere }
}

const fn coordinator(name: &'static str) -> TablePlacement {
    TablePlacement { name, kind: TableKind::Coordinator }
}

const fn local(name: &'static str) -> TablePlacement {
    TablePlacement { name, kind: TableKind::Local }
}
