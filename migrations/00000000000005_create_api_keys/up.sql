-- API keys of clients. A deleted key keeps its row and loses its hash.
create table api_keys (
    client_id           text collate "C" not null references clients (client_id),
    public_key          text collate "C" not null,
    name                text not null,
    secret_hash         bytea,
    hash_version        smallint not null default 1,
    form_nonce          text collate "C",
    created_by          uuid,
    created_at          timestamptz not null default now(),
    deleted_by          uuid,
    deleted_at          timestamptz,
    scopes              text[] not null default '{sessions:read}',
    expires_at          timestamptz,
    replaced_by         text collate "C",
    requests_per_minute integer not null default 600,
    allowed_networks    cidr[] not null default '{}',
    created_by_key      text collate "C",
    deleted_by_key      text collate "C",
    expiry_noted_at     timestamptz,
    primary key (client_id, public_key),
    constraint api_keys_public_key_form check (public_key ~ '^uptok_[0-9A-Za-z]{12}$'),
    constraint api_keys_name_length check (char_length(name) between 1 and 64),
    constraint api_keys_secret_hash_length check (octet_length(secret_hash) = 32),
    constraint api_keys_deleted_is_shredded check ((deleted_at is null) = (secret_hash is not null)),
    constraint api_keys_form_nonce_length check (char_length(form_nonce) between 1 and 64),
    constraint api_keys_form_nonce_unique unique (client_id, form_nonce),
    constraint api_keys_scopes_known check (scopes <@ array['sessions:read', 'sessions:write', 'keys:manage']),
    constraint api_keys_scopes_not_empty check (cardinality(scopes) >= 1),
    constraint api_keys_requests_per_minute_range check (requests_per_minute between 0 and 1000000),
    constraint api_keys_allowed_networks_count check (cardinality(allowed_networks) <= 50),
    constraint api_keys_replaced_expires check (replaced_by is null or expires_at is not null)
);
-- A replacement has the same name as the replaced key, which stays active during its grace period.
create unique index api_keys_live_name_unique on api_keys (client_id, name) where deleted_at is null and replaced_by is null;
-- Keys whose expiry is not yet in the audit log. The expiry job queries them every minute for all clients.
create index api_keys_to_expire on api_keys (expires_at)
    where expires_at is not null and expiry_noted_at is null and deleted_at is null;
comment on table api_keys is 'API keys of clients. A whole key is shown once and never stored.';
comment on column api_keys.public_key is 'uptok_ and 12 characters of 0-9A-Za-z: the part of a key that lists, logs and addresses show. Never reused.';
comment on column api_keys.name is '1 to 64 characters, NFC. Unique among the keys of a client that are neither deleted nor replaced.';
comment on column api_keys.secret_hash is 'HMAC-SHA-256, 32 bytes; null once the key is deleted, so that clearing deleted_at does not revive it.';
comment on column api_keys.hash_version is 'How secret_hash was computed. 1: HMAC-SHA-256 with the key derived from UPTOK_SECRET.';
comment on column api_keys.form_nonce is 'Identifies the form that created the key, so that sending it twice creates one key; null: not created by a form.';
comment on column api_keys.created_by is 'The user who created it; null: a key or the command line did. No foreign key: users are not distributed by client.';
comment on column api_keys.deleted_by is 'The user who deleted it; null: not deleted, or a key or the command line did.';
comment on column api_keys.scopes is 'What the key may do, at least one scope. Everything else is denied.';
comment on column api_keys.expires_at is 'From then on the key is refused, by the clock of the database; null: it does not expire.';
comment on column api_keys.replaced_by is 'Public key of the key that replaced this one, which stays active until expires_at; null: not replaced.';
comment on column api_keys.requests_per_minute is 'Requests per minute, 0 to 1000000; 0: no limit.';
comment on column api_keys.allowed_networks is 'Networks that may use the key, at most 50; empty: every network.';
comment on column api_keys.created_by_key is 'Public key of the key that created this one through the API; null: a user or the command line did.';
comment on column api_keys.deleted_by_key is 'Public key of the key that deleted this one through the API; null: not deleted, or a user or the command line did.';
comment on column api_keys.expiry_noted_at is 'When the audit log recorded the expiry; null: not yet, or the key has not expired.';
