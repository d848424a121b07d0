-- Clients, users, their memberships and sign-ins.
create table clients (
    client_id  text collate "C" primary key,
    name       text not null,
    created_at timestamptz not null default now(),
    constraint clients_client_id_form check (client_id ~ '^cl_[0-9a-z]{10}$'),
    constraint clients_name_length check (char_length(name) between 1 and 120)
);
comment on table clients is 'Customer organisations. A client owns sessions and API keys.';
comment on column clients.client_id is 'Public Client ID: cl_ and 10 characters of 0-9a-z. The distribution column of every client-owned table.';
comment on column clients.name is 'Company name, 1 to 120 characters.';

create table users (
    user_id       uuid primary key,
    email         text collate "C" not null,
    name          text not null,
    password_hash text not null,
    created_at    timestamptz not null default now(),
    disabled_at   timestamptz,
    constraint users_email_unique unique (email),
    constraint users_email_length check (char_length(email) between 3 and 254),
    constraint users_name_length check (char_length(name) between 1 and 120)
);
comment on table users is 'People who sign in.';
comment on column users.email is 'Lower-cased and NFC, 3 to 254 characters (RFC 5321). What a person signs in with.';
comment on column users.password_hash is 'argon2id in PHC string format. Never a password.';
comment on column users.disabled_at is 'Not null: the user may not sign in, and open sign-ins end with the next request.';

create table memberships (
    client_id  text collate "C" not null references clients (client_id),
    user_id    uuid not null references users (user_id) on delete cascade,
    role       text not null,
    created_at timestamptz not null default now(),
    primary key (client_id, user_id),
    constraint memberships_role check (role in ('owner', 'admin', 'member'))
);
create index memberships_user_id on memberships (user_id, client_id);
comment on table memberships is 'Which user belongs to which client.';
comment on column memberships.role is 'owner and admin make keys; member reads.';

create table sign_ins (
    id_hash      bytea primary key,
    user_id      uuid not null references users (user_id) on delete cascade,
    client_id    text collate "C" not null references clients (client_id),
    flash        text,
    created_at   timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    ends_at      timestamptz not null,
    constraint sign_ins_id_hash_length check (octet_length(id_hash) = 32)
);
create index sign_ins_user_id on sign_ins (user_id);
create index sign_ins_ends_at on sign_ins (ends_at);
comment on table sign_ins is 'Browsers that are logged in. Joined to users and memberships on every request.';
comment on column sign_ins.id_hash is 'SHA-256 of the random id in the cookie: 32 bytes.';
comment on column sign_ins.client_id is 'The active client.';
comment on column sign_ins.flash is 'One message for the next page, shown once.';
comment on column sign_ins.last_seen_at is 'Written at most once a minute. Idle for 12 hours: the sign-in is over.';
comment on column sign_ins.ends_at is 'The sign-in is over at this time whatever happens: 7 days after logging in.';
