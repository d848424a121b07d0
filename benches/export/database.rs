//! A private PostgreSQL with production tuning, filled with one large client and several small ones.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use diesel::{
    Connection as _, PgConnection, QueryableByName, RunQueryDsl as _, sql_query,
    sql_types::{Array, BigInt, Text},
};
use uptok::{
    accounts::{self, ClientToJoin, DisplayName, EmailAddress, NewUser},
    api_keys::{
        self, ClientKey, HashedKey, KeyChangeActor, KeyCredentials, KeyHasher, KeyLifetime, KeyRights,
        KeySpec, Scope,
    },
    audit::{Actor, AuditContext, ChainKey},
    db::Db,
    ids::ClientId,
    private_postgres::{DurabilityMode, PrivatePostgres},
    secret::InstallationSecret,
};

/// `UPTOK_SECRET` of the measured server.
pub(crate) const SECRET: &str = "the secret of the benchmark, nothing worth hiding";

/// Number of other clients. Each has a hundredth of the sessions of the measured client.
const OTHER_CLIENTS: usize = 20;
/// Address from which wrk calls the server.
pub(crate) const CALLER_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Stopped and deleted on drop.
pub(crate) struct BenchDatabase {
    // Must stay before `directory`: fields are dropped in order, and PostgreSQL must stop before its files are deleted.
    postgres: PrivatePostgres,
    directory: TempDirectory,
}

/// The client whose sessions are exported.
pub(crate) struct MeasuredClient {
    pub(crate) key: ClientKey,
    /// A key that records sessions of another client.
    pub(crate) recorder: ClientKey,
    pub(crate) credentials: KeyCredentials,
    pub(crate) sessions: u32,
}

impl BenchDatabase {
    pub(crate) fn start() -> anyhow::Result<Self> {
        // Below Cargo's target directory: on a disk, and `cargo clean` removes what a killed run leaves behind.
        let name = format!("bench-{}", std::process::id());
        let directory = TempDirectory(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        let postgres = PrivatePostgres::start(&directory.0, DurabilityMode::Durable)?;
        Ok(Self { postgres, directory })
    }

    pub(crate) fn url(&self) -> &str {
        self.postgres.url()
    }

    /// Directory for temporary files, deleted together with the database.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory.0
    }

    /// Reads a file of the cluster directory, such as `postmaster.pid`.
    pub(crate) fn read_cluster_file(&self, name: &str) -> anyhow::Result<String> {
        let path = self.directory.cluster().join(name);
        fs::read_to_string(&path).with_context(|| format!("Cannot read {}", path.display()))
    }

    /// Runs `sql`, which must return one row with a text column named `answer`.
    pub(crate) fn query_text(&self, sql: &str) -> anyhow::Result<String> {
        #[derive(QueryableByName)]
        struct TextRow {
            #[diesel(sql_type = Text)]
            answer: String,
        }
        let mut connection = PgConnection::establish(self.url())?;
        Ok(sql_query(sql).get_result::<TextRow>(&mut connection)?.answer)
    }
}

/// Removed on drop, with the cluster if that is elsewhere.
struct TempDirectory(PathBuf);

impl TempDirectory {
    /// Resolves the symlink that exists if the directory is not accessible to PostgreSQL's system account.
    fn cluster(&self) -> PathBuf {
        let link = self.0.join("postgres");
        link.canonicalize().unwrap_or(link)
    }
}

impl Drop for TempDirectory {
    fn drop(&mut self) {
        // The benchmark is over, so the error would be reported nowhere.
        let _ignored = PrivatePostgres::destroy(&self.0);
    }
}

pub(crate) fn connect(url: &str) -> anyhow::Result<PgConnection> {
    Ok(PgConnection::establish(url)?)
}

/// Makes the keys of the client look used within the last days.
pub(crate) fn use_keys(connection: &mut PgConnection, client: &ClientId) -> anyhow::Result<()> {
    for sql in [
        "insert into key_last_uses (client_id, public_key, used_at, address, user_agent) \
         select client_id, public_key, now(), '203.0.113.24', 'warehouse-sync/2.4' from api_keys where client_id = $1",
        "insert into key_usage (client_id, public_key, hour, endpoint, status_class, requests) \
         select client_id, public_key, date_trunc('hour', now()) - make_interval(hours => n), 'GET /api/sessions', 2, 8 \
         from api_keys, generate_series(0, 99) n where client_id = $1",
    ] {
        sql_query(sql).bind::<Text, _>(client.as_str()).execute(connection)?;
    }
    Ok(())
}

/// Migrates the database at `url` and generates sessions. A million take about a minute.
pub(crate) fn fill(url: &str, sessions: u32) -> anyhow::Result<MeasuredClient> {
    Db::migrate(url)?;
    let mut connection = PgConnection::establish(url)?;
    let client = add_client(&mut connection, "Measured Store")?;
    let (mut clients, mut counts) = (vec![client.to_string()], vec![i64::from(sessions)]);
    for number in 1..=OTHER_CLIENTS {
        clients.push(add_client(&mut connection, &format!("Store {number}"))?.to_string());
        counts.push(i64::from(sessions.div_ceil(100)));
    }
    sql_query("select setseed(0.5)").execute(&mut connection)?;
    for sql in [
        include_str!("fill.sql"),
        "update session_counters as counter set recorded = counts.recorded \
         from unnest($1, $2) as counts (client_id, recorded) where counter.client_id = counts.client_id",
    ] {
        sql_query(sql)
            .bind::<Array<Text>, _>(&clients)
            .bind::<Array<BigInt>, _>(&counts)
            .execute(&mut connection)?;
    }
    sql_query(
        "insert into session_days (client_id, day, status, channel, sessions) \
         select client_id, (created_at at time zone 'UTC')::date, status, channel, count(*) from sessions group by 1, 2, 3, 4",
    )
    .execute(&mut connection)?;
    sql_query("vacuum analyze").execute(&mut connection)?;
    sql_query("checkpoint").execute(&mut connection)?;
    let recording_client = add_client(&mut connection, "Recording Store")?;
    let (recorder, _) = add_key(&mut connection, recording_client, "bench", Scope::SessionsWrite)?;
    let (key, credentials) = add_key(&mut connection, client, "bench", Scope::SessionsRead)?;
    Ok(MeasuredClient { key, recorder, credentials, sessions })
}

fn add_client(connection: &mut PgConnection, company: &str) -> anyhow::Result<ClientId> {
    let name: DisplayName = company.parse()?;
    let address = format!("{}@example.org", company.replace(' ', "."));
    let email: EmailAddress = address.parse().map_err(anyhow::Error::msg)?;
    // Not a valid hash, so no password matches: nobody signs in to this database.
    let owner = NewUser { email, name: name.clone(), password_hash: "none".to_owned() };
    accounts::add_user(connection, &trail(), &owner, ClientToJoin::Company(&name), accounts::Role::Owner)
}

pub(crate) fn trail() -> AuditContext {
    AuditContext::new(&ChainKey::new(&InstallationSecret::new(SECRET.into())), Actor::CommandLine)
}

pub(crate) fn add_key(
    connection: &mut PgConnection,
    client: ClientId,
    name: &str,
    scope: Scope,
) -> anyhow::Result<(ClientKey, KeyCredentials)> {
    let key = ClientKey::generate();
    let secret_hash = KeyHasher::new(&InstallationSecret::new(SECRET.into())).hash(&key, &client);
    let credentials = KeyCredentials {
        client,
        public_key: key.public().clone(),
        secret_hash,
        scope: Some(scope),
        address: CALLER_ADDRESS,
    };
    let new = HashedKey {
        public_key: credentials.public_key.clone(),
        secret_hash: credentials.secret_hash.clone(),
        form_nonce: None,
    };
    let manager = KeyChangeActor { client: credentials.client.clone(), context: trail() };
    // 0 means no rate limit, which would otherwise cap the measured rate.
    let rights = KeyRights { scopes: vec![scope], requests_per_minute: "0".parse()?, ..KeyRights::default() };
    let plan = KeySpec { name: name.parse()?, lifetime: KeyLifetime::Never, rights };
    api_keys::create(connection, &manager, &plan, &new)?;
    Ok((key, credentials))
}
