-- Browsers that are logged in. Requests update last_seen_at and flash, so pages have free space for HOT updates.
create table sign_ins (
    id_hash      bytea primary key,
    user_id      uuid not null references users (user_id) on delete cascade,
    client_id    text collate "C" not null,
    flash        text,
    created_at   timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    ends_at      timestamptz not null,
    constraint sign_ins_id_hash_length check (octet_length(id_hash) = 32)
) with (fillfactor = 80);
create index sign_ins_user_id on sign_ins (user_id);
create index sign_ins_ends_at on sign_ins (ends_at);
comment on table sign_ins is 'Browsers that are logged in. Every request of a page joins users, memberships and the active client.';
comment on column sign_ins.id_hash is 'SHA-256 of the random id in the cookie, 32 bytes.';
comment on column sign_ins.client_id is 'The active client. No foreign key: a local table cannot reference clients once that is distributed.';
comment on column sign_ins.flash is 'A message that the next page shows once; null: none.';
comment on column sign_ins.last_seen_at is 'Updated at most once a minute. A sign-in that was idle for 12 hours has ended.';
comment on column sign_ins.ends_at is 'When the sign-in ends at the latest: 7 days after the login.';
