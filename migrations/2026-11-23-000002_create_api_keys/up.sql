-- API keys of clients.
create table api_keys (
    client_id    text collate "C" not null references clients (client_id),
    public_key   text collate "C" not null,
    name         text not null,
    secret_hash  bytea,
    hash_version smallint not null default 1,
    form_nonce   text collate "C",
    created_by   uuid,
    created_at   timestamptz not null default now(),
    deleted_by   uuid,
    deleted_at   timestamptz,
    primary key (client_id, public_key),
    constraint api_keys_public_key_form check (public_key ~ '^uptok_[0-9A-Za-z]{12}$'),
    constraint api_keys_name_length check (char_length(name) between 1 and 64),
    constraint api_keys_secret_hash_length check (octet_length(secret_hash) = 32),
    constraint api_keys_deleted_is_shredded check ((deleted_at is null) = (secret_hash is not null)),
    constraint api_keys_form_nonce_length check (char_length(form_nonce) between 1 and 64),
    constraint api_keys_form_nonce_unique unique (client_id, form_nonce)
);
create unique index api_keys_live_name_unique on api_keys (client_id, name) where deleted_at is null;
comment on table api_keys is 'What a program presents. The key itself is shown once and never stored.';
comment on column api_keys.public_key is 'uptok_ and 12 characters of 0-9A-Za-z: what lists, logs and addresses show. Never reused.';
comment on column api_keys.name is '1 to 64 characters, NFC, unique among the living keys of a client.';
comment on column api_keys.secret_hash is 'HMAC-SHA-256, 32 bytes; null once the key is deleted, so that no change of deleted_at revives it.';
comment on column api_keys.hash_version is 'How secret_hash was made. 1: HMAC-SHA-256 under the key derived from UPTOK_SECRET.';
comment on column api_keys.created_by is 'The user who generated it. No foreign key: users are not distributed by client.';
comment on column api_keys.form_nonce is 'The form this key came from: a double click or reload makes one key.';

create table api_key_directory (
    public_key text collate "C" primary key,
    client_id  text collate "C" not null
);
comment on table api_key_directory is
    'Which client a public key belongs to. Rows are never changed or deleted: a public key is never reused.';
