-- Keys whose expiry is not yet in the audit log. The expiry job queries them every minute for all clients.
create index api_keys_to_expire on api_keys (expires_at)
    where expires_at is not null and expiry_noted_at is null and deleted_at is null;
