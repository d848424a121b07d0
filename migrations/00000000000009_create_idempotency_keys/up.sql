-- First answers of requests with an Idempotency-Key.
create table idempotency_keys (
    client_id       text collate "C" not null references clients (client_id),
    idempotency_key text collate "C" not null,
    fingerprint     bytea not null,
    answer          text not null,
    created_at      timestamptz not null default now(),
    primary key (client_id, idempotency_key),
    constraint idempotency_keys_length check (char_length(idempotency_key) between 1 and 255),
    constraint idempotency_keys_fingerprint_length check (octet_length(fingerprint) = 32)
);
create index idempotency_keys_created_at on idempotency_keys (client_id, created_at);
comment on table idempotency_keys is 'First answers to POST /api/sessions with an Idempotency-Key, sent again for 24 hours.';
comment on column idempotency_keys.fingerprint is 'SHA-256 of the request, 32 bytes. A different request with the same key is refused.';
comment on column idempotency_keys.answer is 'Body of the first answer, whose status was 200.';
