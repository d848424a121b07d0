-- Scopes of keys. Existing keys could only read and keep exactly that right.
alter table api_keys
    add column scopes text[] not null default '{sessions:read}',
    add constraint api_keys_scopes_known check (scopes <@ array['sessions:read', 'sessions:write']),
    add constraint api_keys_scopes_not_empty check (cardinality(scopes) >= 1);
comment on column api_keys.scopes is 'What the key may do; what is not named here is denied.';
