//! Adopts databases of versions before the first release. They had other migrations for almost the same tables; the
//! initial migrations replace them.
//!
//! The previous binary works throughout and afterwards: what it uses is added to or kept, and its own migrations stay
//! recorded, or its `/readyz` would report that they are missing. Every step can be run again, so an adoption that was
//! interrupted goes on with the next start.

use std::collections::HashSet;

use anyhow::ensure;
use diesel::{
    migration::{Migration, MigrationSource},
    pg::Pg,
    prelude::*,
    sql_query,
};

use super::{MIGRATIONS, recount, runner::MigrationRunner, statements::load_statements, versions};

/// The migrations that a database must have to be adopted.
const REQUIRED_VERSIONS: [&str; 16] = [
    "20261123000001",
    "20261123000002",
    "20261123000003",
    "20261123000004",
    "20261123000005",
    "20261123000006",
    "20261123000007",
    "20261125000001",
    "20261125000002",
    "20261125000201",
    "20261125000202",
    "20261125000301",
    "20261125000601",
    "20261125000701",
    "20261125000702",
    "20261125000703",
];

/// Some databases have one more, `wrap_up_seconds`.
const OPTIONAL_VERSION: &str = "20261126000901";

/// The initial migrations have no date: their versions begin with this.
const INITIAL_PREFIX: &str = "0000";

/// A change of the schema that is made unless it already is.
struct Step {
    /// Returns a row once the change is made.
    done: &'static str,
    /// Statements that take effect together.
    statements: &'static [&'static str],
}

/// In this order. Fill factors, comments and functions follow.
const STEPS: [Step; 8] = [
    Step {
        done: "select from pg_attribute where attrelid = 'sessions'::regclass and attname = 'wrap_up_seconds'",
        statements: &["alter table sessions add column wrap_up_seconds integer"],
    },
    Step {
        done: "select from pg_constraint where conrelid = 'sessions'::regclass \
               and conname = 'sessions_wrap_up_seconds_range'",
        statements: &["alter table sessions add constraint sessions_wrap_up_seconds_range \
                       check (wrap_up_seconds >= 0) not valid"],
    },
    Step {
        done: "select from pg_constraint where conrelid = 'sessions'::regclass \
               and conname = 'sessions_wrap_up_seconds_range' and convalidated",
        statements: &["alter table sessions validate constraint sessions_wrap_up_seconds_range"],
    },
    Step {
        done: HAS_COVERING_KEY,
        statements: &["create unique index concurrently if not exists sessions_pkey_covering \
                       on sessions (client_id, sequence) include (created_at, updated_at, status, channel)"],
    },
    Step {
        done: HAS_COVERING_KEY,
        statements: &[
            "alter table sessions drop constraint sessions_pkey",
            "alter table sessions add constraint sessions_pkey primary key using index sessions_pkey_covering",
        ],
    },
    Step {
        done: "select where to_regclass('sessions_walk') is null",
        statements: &["drop index concurrently if exists sessions_walk"],
    },
    Step {
        done: "select where not exists (select from pg_constraint where conrelid = 'memberships'::regclass \
               and conname = 'memberships_client_id_fkey')",
        statements: &["alter table memberships drop constraint memberships_client_id_fkey"],
    },
    Step {
        done: "select where not exists (select from pg_constraint where conrelid = 'sign_ins'::regclass \
               and conname = 'sign_ins_client_id_fkey')",
        statements: &["alter table sign_ins drop constraint sign_ins_client_id_fkey"],
    },
];

/// How many percent of a page new rows fill. Pages that are full get free space as their rows are updated.
const FILL_FACTORS: [(&str, u8); 6] = [
    ("sign_ins", 80),
    ("session_counters", 50),
    ("session_days", 80),
    ("imports", 70),
    ("usage_batches", 50),
    ("audit_heads", 50),
];

/// The primary key of `sessions` includes the columns of filters.
const HAS_COVERING_KEY: &str =
    "select from pg_index where indexrelid = 'sessions_pkey'::regclass and indnatts = 6";

/// Changes the schema to that of the initial migrations and records them, if the database has the migrations that they
/// replaced. Returns how many it recorded.
///
/// # Errors
/// If the database has only some of those migrations; then nothing is changed.
pub(super) fn adopt(runner: &mut MigrationRunner) -> anyhow::Result<usize> {
    let initial = load_initial_migrations()?;
    let initial_versions: Vec<String> = initial.iter().map(|it| it.name().version().to_string()).collect();
    let applied = versions::load_applied(&mut runner.connection)?;
    if initial_versions.iter().all(|version| applied.contains(version)) || !needs_adoption(&applied)? {
        return Ok(0);
    }
    tracing::info!("Adopting the database of a version before the first release");
    for step in &STEPS {
        if sql_query(step.done).execute(&mut runner.connection)? == 0 {
            runner.run_statements(step.statements)?;
        }
    }
    for (table, percent) in FILL_FACTORS {
        let set = format!("alter table {table} set (fillfactor = {percent})");
        runner.run_statements(&[&set])?;
    }
    for migration in &initial {
        restate_descriptions(runner, migration.as_ref())?;
    }
    recount::correct_daily_counts(runner)?;
    versions::record_applied(&mut runner.connection, &initial_versions)?;
    Ok(initial_versions.len())
}

fn load_initial_migrations() -> anyhow::Result<Vec<Box<dyn Migration<Pg>>>> {
    let mut migrations = MigrationSource::<Pg>::migrations(&MIGRATIONS).map_err(anyhow::Error::from_boxed)?;
    migrations.retain(|migration| migration.name().version().to_string().starts_with(INITIAL_PREFIX));
    Ok(migrations)
}

/// Whether the database has the migrations that the initial ones replaced.
fn needs_adoption(applied: &HashSet<String>) -> anyhow::Result<bool> {
    let count = REQUIRED_VERSIONS.iter().filter(|version| applied.contains(**version)).count();
    if count == 0 && !applied.contains(OPTIONAL_VERSION) {
        return Ok(false);
    }
    ensure!(
        count == REQUIRED_VERSIONS.len(),
        "this database is too old to upgrade directly (it has {count} of 16 migrations): \
         run `uptok migrate` of commit 993a6a0 on it first"
    );
    Ok(true)
}

/// Replaces comments and trigger functions, whose words have changed, by those of an initial migration.
fn restate_descriptions(runner: &mut MigrationRunner, migration: &dyn Migration<Pg>) -> anyhow::Result<()> {
    for statement in load_statements(migration)? {
        if statement.starts_with("comment on ") || statement.starts_with("create or replace function ") {
            runner.run_statements(&[statement.as_str()])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(versions: &[&str]) -> HashSet<String> {
        versions.iter().map(|&version| version.to_owned()).collect()
    }

    #[test]
    fn only_databases_with_all_former_migrations_are_adopted() {
        assert!(!needs_adoption(&applied(&[])).unwrap());
        assert!(!needs_adoption(&applied(&["00000000000001", "20270101000001"])).unwrap());
        assert!(needs_adoption(&applied(&REQUIRED_VERSIONS)).unwrap());

        for (partial, count) in
            [(&REQUIRED_VERSIONS[..9], 9), (&REQUIRED_VERSIONS[1..], 15), (&[OPTIONAL_VERSION][..], 0)]
        {
            let error = needs_adoption(&applied(partial)).unwrap_err().to_string();
            assert!(error.contains(&format!("it has {count} of 16 migrations")), "{error}");
        }
    }
}
