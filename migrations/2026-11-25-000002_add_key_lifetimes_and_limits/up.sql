-- Lifetime, successor, allowed networks, request limit and creator of keys.
alter table api_keys
    add column expires_at timestamptz,
    add column replaced_by text collate "C",
    add column requests_per_minute integer not null default 600,
    add column allowed_networks cidr[] not null default '{}',
    add column created_by_key text collate "C",
    add column deleted_by_key text collate "C",
    add column expiry_noted_at timestamptz,
    drop constraint api_keys_scopes_known,
    add constraint api_keys_scopes_known check (scopes <@ array['sessions:read', 'sessions:write', 'keys:manage']),
    add constraint api_keys_requests_per_minute_range check (requests_per_minute between 0 and 1000000),
    add constraint api_keys_allowed_networks_count check (cardinality(allowed_networks) <= 50),
    add constraint api_keys_replaced_expires check (replaced_by is null or expires_at is not null);
comment on column api_keys.expires_at is 'From this time on the key is refused, by the clock of the database; null: it does not expire.';
comment on column api_keys.replaced_by is 'The public key of the key that replaced this one, which lives on until expires_at; null: not replaced.';
comment on column api_keys.requests_per_minute is 'Requests per minute, 0 to 1000000; 0: no limit.';
comment on column api_keys.allowed_networks is 'Networks from which the key may be used, at most 50; none: from everywhere.';
comment on column api_keys.created_by_key is 'The public key of the key that made this one through the API; null: a user or the command line did.';
comment on column api_keys.deleted_by_key is 'The public key of the key that deleted this one through the API; null: a user or the command line did.';
comment on column api_keys.expiry_noted_at is 'When its expiry was written to the audit log; null: not yet, or it did not expire.';

-- A replacement has the same name as the replaced key, which stays active during its grace period.
drop index api_keys_live_name_unique;
create unique index api_keys_live_name_unique on api_keys (client_id, name) where deleted_at is null and replaced_by is null;
