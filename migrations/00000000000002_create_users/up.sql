-- People who can log in.
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
comment on table users is 'People who can log in.';
comment on column users.email is 'Lower case, NFC, 3 to 254 characters (RFC 5321). Users log in with it.';
comment on column users.name is '1 to 120 characters.';
comment on column users.password_hash is 'argon2id in PHC string format.';
comment on column users.disabled_at is 'Since when the user cannot log in; null: active. Open sign-ins end with their next request.';
