drop index api_keys_live_name_unique;
-- Ends keys that violate the old constraints: replaced keys that share a name, and keys with the new scope.
update api_keys set deleted_at = now(), secret_hash = null
where deleted_at is null and (replaced_by is not null or scopes && array['keys:manage']);
update api_keys set scopes = array_remove(scopes, 'keys:manage') where scopes <> '{keys:manage}';
update api_keys set scopes = '{sessions:read}' where scopes = '{keys:manage}';
create unique index api_keys_live_name_unique on api_keys (client_id, name) where deleted_at is null;
alter table api_keys
    drop constraint api_keys_replaced_expires,
    drop constraint api_keys_allowed_networks_count,
    drop constraint api_keys_requests_per_minute_range,
    drop constraint api_keys_scopes_known,
    add constraint api_keys_scopes_known check (scopes <@ array['sessions:read', 'sessions:write']),
    drop column expiry_noted_at,
    drop column deleted_by_key,
    drop column created_by_key,
    drop column allowed_networks,
    drop column requests_per_minute,
    drop column replaced_by,
    drop column expires_at;
