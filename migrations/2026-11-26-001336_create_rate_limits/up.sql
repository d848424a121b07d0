-- The use of rate limits, so that they hold across nodes. Each node adds what it has used and reads what others have. The
-- tables are unlogged: after a crash of PostgreSQL all limits are unused. Rows change all the time, so pages have free
-- space for HOT updates.
create unlogged table key_rate_limits (
    client_id           text collate "C" not null,
    public_key          text collate "C" not null,
    requests_per_minute integer not null,
    used                bigint not null,
    full_at             timestamptz not null,
    primary key (client_id, public_key, requests_per_minute),
    constraint key_rate_limits_requests_per_minute_range check (requests_per_minute > 0)
) with (fillfactor = 50);
comment on table key_rate_limits is 'How far the rate limits of keys are used. Rows are deleted once the whole limit is available again.';
comment on column key_rate_limits.requests_per_minute is 'The limit. A key whose limit was changed has a row for each.';
comment on column key_rate_limits.used is 'Number of requests that all nodes have counted in this row.';
comment on column key_rate_limits.full_at is 'When the whole limit is available again, by the clock of the database.';

create unlogged table attempt_rate_limits (
    kind         text collate "C" not null,
    subject_hash bytea not null,
    used         bigint not null,
    full_at      timestamptz not null,
    primary key (kind, subject_hash),
    constraint attempt_rate_limits_kind check (kind in ('bad_keys', 'login_address', 'login_account', 'questions')),
    constraint attempt_rate_limits_subject_hash_length check (octet_length(subject_hash) = 16)
) with (fillfactor = 50);
comment on table attempt_rate_limits is 'How far the rate limits of addresses and accounts are used. Rows are deleted once the whole limit is available again.';
comment on column attempt_rate_limits.kind is 'What is limited: bad_keys, login_address, login_account or questions.';
comment on column attempt_rate_limits.subject_hash is 'Keyed hash of the address or account, 16 bytes, so that the table names nobody.';
comment on column attempt_rate_limits.used is 'Number of attempts that all nodes have counted in this row.';
comment on column attempt_rate_limits.full_at is 'When the whole limit is available again, by the clock of the database.';
