-- Finds the client of a key by its public key alone.
create table api_key_directory (
    public_key text collate "C" primary key,
    client_id  text collate "C" not null
);
comment on table api_key_directory is 'The client of each public key. Rows are never changed or deleted, because a public key is never reused.';
