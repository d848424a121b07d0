//! Proof that a key was authorized, and the only code that creates it.
//!
//! [`Authorized`] comes from statements that this file filters by [`authorizes`] or [`AUTHORIZED_SQL`], so a statement
//! cannot forget to check the key.

use diesel::{
    expression::{AppearsOnTable, ValidGrouping, is_aggregate},
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, QueryFragment, QueryId},
    query_dsl::methods,
    sql_types::Bool,
};

use super::key_authenticator::{AUTHORIZED_SQL, KeyCredentials, authorizes, find_live_key};
use crate::{
    api_keys::rights::Scope,
    db::pipeline::{Pipeline, PipelineRow, PipelinedStatement, SqlParameter},
    error::AppError,
    schema::api_keys,
};

/// A value from a statement or transaction that authorized the key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Authorized<T> {
    /// The limit of the key; 0 is unlimited.
    requests_per_minute: i32,
    value: T,
}

impl<T> Authorized<T> {
    pub(super) fn requests_per_minute(&self) -> i32 {
        self.requests_per_minute
    }

    pub(crate) fn value(&self) -> &T {
        &self.value
    }

    pub(crate) fn into_value(self) -> T {
        self.value
    }

    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Authorized<U> {
        Authorized { requests_per_minute: self.requests_per_minute, value: change(self.value) }
    }
}

/// A query on `api_keys`, alone or joined, that can be narrowed to the presented key.
pub(crate) trait AuthorizableQuery<'a, Columns, Row> {
    /// The rows, each with the limit of the key.
    fn load_rows(
        self,
        connection: &mut PgConnection,
        credentials: &'a KeyCredentials,
        columns: Columns,
    ) -> QueryResult<Vec<(i32, Row)>>;
}

impl<'a, Query, Filtered, Selected, Columns, Row> AuthorizableQuery<'a, Columns, Row> for Query
where
    Query: methods::FilterDsl<AuthorizationCondition<'a>, Output = Filtered>,
    (api_keys::requests_per_minute, Columns): Expression,
    Filtered: methods::SelectDsl<(api_keys::requests_per_minute, Columns), Output = Selected>,
    Selected: methods::LoadQuery<'a, PgConnection, (i32, Row)>,
{
    fn load_rows(
        self,
        connection: &mut PgConnection,
        credentials: &'a KeyCredentials,
        columns: Columns,
    ) -> QueryResult<Vec<(i32, Row)>> {
        let of_key = self.filter(AuthorizationCondition(authorizes(credentials)));
        of_key.select((api_keys::requests_per_minute, columns)).internal_load(connection)?.collect()
    }
}

/// [`authorizes`] as a type that the bounds of [`AuthorizableQuery`] can name: rustc cannot resolve them for the original.
struct AuthorizationCondition<'a>(authorizes<'a>);

impl<'a> QueryId for AuthorizationCondition<'a> {
    type QueryId = <authorizes<'a> as QueryId>::QueryId;
    const HAS_STATIC_QUERY_ID: bool = <authorizes<'a> as QueryId>::HAS_STATIC_QUERY_ID;
}

impl Expression for AuthorizationCondition<'_> {
    type SqlType = Bool;
}

impl<Tables> AppearsOnTable<Tables> for AuthorizationCondition<'_> where
    api_keys::client_id: AppearsOnTable<Tables>
{
}

impl ValidGrouping<()> for AuthorizationCondition<'_> {
    type IsAggregate = is_aggregate::No;
}

impl QueryFragment<Pg> for AuthorizationCondition<'_> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }
}

/// The rows of `query`, at least one. Returns `None` if the key is not authorized.
pub(crate) fn load_authorized<'a, Columns, Row>(
    connection: &mut PgConnection,
    credentials: &'a KeyCredentials,
    query: impl AuthorizableQuery<'a, Columns, Row>,
    columns: Columns,
) -> QueryResult<Option<Authorized<Vec<Row>>>> {
    let rows = query.load_rows(connection, credentials, columns)?;
    let Some(&(requests_per_minute, _)) = rows.first() else { return Ok(None) };
    let value = rows.into_iter().map(|(_, row)| row).collect();
    Ok(Some(Authorized { requests_per_minute, value }))
}

/// The only row of `query`. Returns `None` if the key is not authorized.
pub(crate) fn find_authorized<'a, Columns, Row>(
    connection: &mut PgConnection,
    credentials: &'a KeyCredentials,
    query: impl AuthorizableQuery<'a, Columns, Row>,
    columns: Columns,
) -> QueryResult<Option<Authorized<Row>>> {
    let rows = query.load_rows(connection, credentials, columns)?;
    Ok(rows.into_iter().next().map(|(requests_per_minute, value)| Authorized { requests_per_minute, value }))
}

/// Authorizes the key alone, for what follows in the same transaction.
pub(crate) fn authorize(
    connection: &mut PgConnection,
    credentials: &KeyCredentials,
) -> QueryResult<Option<Authorized<()>>> {
    let row = api_keys::table.filter(authorizes(credentials)).select(api_keys::requests_per_minute);
    let limit = row.first::<i32>(connection).optional()?;
    Ok(limit.map(|requests_per_minute| Authorized { requests_per_minute, value: () }))
}

/// Authorizes an active key whatever its scopes and networks.
pub(super) fn authorize_live(
    connection: &mut PgConnection,
    credentials: &KeyCredentials,
) -> QueryResult<Option<Authorized<()>>> {
    let key = find_live_key(connection, credentials)?;
    Ok(key.map(|key| Authorized { requests_per_minute: key.requests_per_minute, value: () }))
}

/// Authorizes the key, then runs `work`, both in one transaction that an error of `work` rolls back.
///
/// Returns `None` if the key is not authorized.
pub(super) fn run_in_transaction<T>(
    connection: &mut PgConnection,
    authorize: impl FnOnce(&mut PgConnection) -> QueryResult<Option<Authorized<()>>>,
    work: impl FnOnce(&mut PgConnection) -> Result<T, AppError>,
) -> Result<Option<Authorized<Result<T, AppError>>>, AppError> {
    Rollback::resolve(connection.transaction(|connection| run_authorized(connection, authorize, work)))
}

/// As [`run_in_transaction`], for reads that must agree with each other: one snapshot, and nothing is written.
pub(super) fn run_in_snapshot<T>(
    connection: &mut PgConnection,
    credentials: &KeyCredentials,
    work: impl FnOnce(&mut PgConnection) -> Result<T, AppError>,
) -> Result<Option<Authorized<Result<T, AppError>>>, AppError> {
    let authorize = |connection: &mut PgConnection| authorize(connection, credentials);
    let mut snapshot = connection.build_transaction().read_only().repeatable_read();
    Rollback::resolve(snapshot.run(|connection| run_authorized(connection, authorize, work)))
}

fn run_authorized<T>(
    connection: &mut PgConnection,
    authorize: impl FnOnce(&mut PgConnection) -> QueryResult<Option<Authorized<()>>>,
    work: impl FnOnce(&mut PgConnection) -> Result<T, AppError>,
) -> Result<Authorized<T>, Rollback> {
    let authorized = authorize(connection)?.ok_or(Rollback::Denied)?;
    match work(connection) {
        Ok(value) => Ok(authorized.map(|()| value)),
        Err(error) => Err(Rollback::Failed(authorized.map(|()| Box::new(error)))),
    }
}

/// Why a transaction is rolled back. An error of an authorized key still counts for the key.
enum Rollback {
    Denied,
    Failed(Authorized<Box<AppError>>),
    Database(diesel::result::Error),
}

impl Rollback {
    fn resolve<T>(
        outcome: Result<Authorized<T>, Self>,
    ) -> Result<Option<Authorized<Result<T, AppError>>>, AppError> {
        match outcome {
            Ok(authorized) => Ok(Some(authorized.map(Ok))),
            Err(Self::Denied) => Ok(None),
            Err(Self::Failed(authorized)) => Ok(Some(authorized.map(|error| Err(*error)))),
            Err(Self::Database(error)) => Err(error.into()),
        }
    }
}

impl From<diesel::result::Error> for Rollback {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error)
    }
}

/// A statement on `api_keys` for a pipeline, filtered by [`AUTHORIZED_SQL`].
pub(crate) struct AuthorizedStatement {
    sql: String,
    /// The index of `requests_per_minute`, which follows the columns of the statement.
    limit_column: usize,
}

impl AuthorizedStatement {
    /// `joins` and `order` are SQL; their parameters start at `$6`.
    pub(crate) fn new(columns: &[String], joins: &str, order: &str) -> Self {
        let sql = format!(
            "select {}, api_keys.requests_per_minute from api_keys {joins} where {AUTHORIZED_SQL} {order}",
            columns.join(", ")
        );
        Self { sql, limit_column: columns.len() }
    }

    pub(crate) fn sql(&self) -> &str {
        &self.sql
    }
}

/// An [`AuthorizedStatement`] with its parameters.
pub(crate) struct AuthorizedPipelineQuery<'a> {
    pub(crate) statement: &'static AuthorizedStatement,
    pub(crate) credentials: &'a KeyCredentials,
    /// The parameters from `$6` on.
    pub(crate) parameters: &'a [SqlParameter<'a>],
    /// Maximum number of rows, at least 1.
    pub(crate) rows_max: u32,
}

/// Result of a pipelined query.
pub(crate) enum PipelineReply<T> {
    /// No connection, or unreadable rows; fall back to the pool.
    Unavailable,
    /// The key is not authorized.
    Denied,
    Rows(Authorized<T>),
}

impl<T> PipelineReply<T> {
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> PipelineReply<U> {
        match self {
            Self::Unavailable => PipelineReply::Unavailable,
            Self::Denied => PipelineReply::Denied,
            Self::Rows(authorized) => PipelineReply::Rows(authorized.map(change)),
        }
    }
}

impl AuthorizedPipelineQuery<'_> {
    /// Passes each row to `read_row`, which returns `None` for a row that it cannot read.
    ///
    /// # Errors
    /// [`AppError::Busy`] if the rows take too long.
    pub(crate) async fn run(
        self,
        pipeline: &Pipeline,
        mut read_row: impl FnMut(PipelineRow<'_>) -> Option<()>,
    ) -> Result<PipelineReply<()>, AppError> {
        let credentials = self.credentials;
        let scopes: Vec<&str> = credentials.scope.map(Scope::as_str).into_iter().collect();
        let (client, public_key) = (credentials.client.as_str(), credentials.public_key.as_str());
        let secret_hash = credentials.secret_hash.as_slice();
        let of_key: [SqlParameter<'_>; 5] =
            [&client, &public_key, &secret_hash, &scopes, &credentials.address];
        let parameters = [&of_key, self.parameters].concat();
        let query = PipelinedStatement {
            sql: self.statement.sql(),
            parameters: &parameters,
            rows_max: self.rows_max,
        };
        let mut limit = None;
        let is_complete = pipeline.query(&query, |row| {
            if limit.is_none() {
                let bytes = row.bytes(self.statement.limit_column)?;
                limit = Some(i32::from_be_bytes(bytes.try_into().ok()?));
            }
            read_row(row)
        });
        Ok(match (is_complete.await?, limit) {
            (false, _) => PipelineReply::Unavailable,
            (true, None) => PipelineReply::Denied,
            (true, Some(requests_per_minute)) => {
                PipelineReply::Rows(Authorized { requests_per_minute, value: () })
            }
        })
    }
}
