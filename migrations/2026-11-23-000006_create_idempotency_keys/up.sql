-- Stored responses of idempotent requests, and the sender's update time of a session.
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
comment on table idempotency_keys is 'Answers to POST /api/sessions with an Idempotency-Key, replayed for 24 hours.';
comment on column idempotency_keys.fingerprint is 'SHA-256 of the request: 32 bytes. Another request under the same key is refused.';
comment on column idempotency_keys.answer is 'The body of the first answer, whose status was 200.';

alter table sessions add column sender_updated_at timestamptz;
comment on column sessions.sender_updated_at is
    'When the sender last changed its record, as it said; null: it did not say. An older record never overwrites a newer one.';
