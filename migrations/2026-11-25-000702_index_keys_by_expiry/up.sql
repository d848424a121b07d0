-- Keys whose expiry is yet to be written to the audit log: asked for every minute, across all clients.
create index api_keys_to_expire on api_keys (expires_at)
    where expires_at is not null and expiry_noted_at is null and deleted_at is null;
