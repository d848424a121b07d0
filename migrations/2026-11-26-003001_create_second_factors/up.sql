-- Authenticator apps of users, and the recovery codes for those who lose theirs.
create table second_factors (
    user_id        uuid primary key references users (user_id) on delete cascade,
    secret         bytea not null,
    created_at     timestamptz not null default now(),
    activated_at   timestamptz,
    last_used_step bigint,
    constraint second_factors_last_used_step_range check (last_used_step >= 0)
);
create table recovery_codes (
    user_id    uuid not null references second_factors (user_id) on delete cascade,
    code_hash  bytea not null,
    created_at timestamptz not null default now(),
    constraint recovery_codes_pkey primary key (user_id, code_hash),
    constraint recovery_codes_code_hash_length check (octet_length(code_hash) = 32)
);
comment on table second_factors is 'Authenticator apps of users. Turning one off deletes its row.';
comment on column second_factors.secret is 'The secret that the app computes codes from, encrypted with a key derived from UPTOK_SECRET.';
comment on column second_factors.created_at is 'When the set-up began. It can be completed within an hour.';
comment on column second_factors.activated_at is 'When the user completed the set-up with a code; null: not yet, so that no login asks for one.';
comment on column second_factors.last_used_step is 'Number of the 30 seconds since 1970 whose code was used last. Its code and earlier ones are refused. Null: none was used.';
comment on table recovery_codes is 'Recovery codes that have not been used. Using one deletes its row.';
comment on column recovery_codes.code_hash is 'HMAC-SHA-256 of user and code under a key derived from UPTOK_SECRET, 32 bytes.';
