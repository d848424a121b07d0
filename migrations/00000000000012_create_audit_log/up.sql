-- The audit log: a hash chain of records per client that reveals tampering. Every record updates the head of its chain,
-- so pages of heads have free space for HOT updates.
-- No foreign key to clients: its check would lock the client while the head is locked. Changes of keys take these locks
-- in the opposite order, so the two could deadlock.
create table audit_heads (
    client_id text collate "C" primary key,
    sequence  bigint not null default 0,
    hash      bytea not null default decode(repeat('00', 32), 'hex'),
    seal      bytea not null default decode(repeat('00', 32), 'hex'),
    constraint audit_heads_sequence_range check (sequence >= 0),
    constraint audit_heads_hash_length check (octet_length(hash) = 32),
    constraint audit_heads_seal_length check (octet_length(seal) = 32)
) with (fillfactor = 50);
comment on table audit_heads is
    'The end of each client''s audit log. Adding a record locks the row until commit, as the last lock of its transaction.';
comment on column audit_heads.sequence is 'Sequence of the last record, which is also the number of records; 0: none.';
comment on column audit_heads.hash is 'Hash of the last record, 32 bytes; zeros: there is none.';
comment on column audit_heads.seal is
    'HMAC-SHA-256 of hash, 32 bytes. It enters the hash of the next record and is stored only here, so that nobody can set the row back.';

create table audit_log (
    client_id     text collate "C" not null references audit_heads (client_id),
    sequence      bigint not null,
    at            timestamptz not null,
    actor_kind    text collate "C" not null,
    actor         text collate "C",
    act           text collate "C" not null,
    target        text collate "C",
    related       text collate "C",
    details       text not null,
    address       inet,
    request_id    uuid,
    previous_hash bytea not null,
    hash          bytea not null,
    primary key (client_id, sequence),
    constraint audit_log_sequence_range check (sequence >= 1),
    constraint audit_log_actor_kind check (actor_kind in ('user', 'key', 'command_line', 'system', 'visitor')),
    constraint audit_log_actor_named check ((actor is not null) = (actor_kind in ('user', 'key'))),
    constraint audit_log_act_form check (act ~ '^[a-z_]+[.][a-z_]+$'),
    constraint audit_log_details_object check (jsonb_typeof(details::jsonb) = 'object'),
    constraint audit_log_details_length check (octet_length(details) <= 16384),
    constraint audit_log_previous_hash_length check (octet_length(previous_hash) = 32),
    constraint audit_log_hash_length check (octet_length(hash) = 32)
);
create index audit_log_act on audit_log (client_id, act, sequence);
create index audit_log_actor on audit_log (client_id, actor, sequence);
create index audit_log_target on audit_log (client_id, target, sequence);
create index audit_log_related on audit_log (client_id, related, sequence) where related is not null;
create index audit_log_at on audit_log (client_id, at);
comment on table audit_log is
    'Who did what. Rows are only added, in the transaction of the event, and the hash of each depends on the one before.';
comment on column audit_log.sequence is '1, 2, 3 … per client, without gaps.';
comment on column audit_log.at is 'When the record was written, by the clock of the database; never earlier than the record before.';
comment on column audit_log.actor_kind is
    'user: logged in; key: a program with an API key; command_line: the uptok command; system: Uptok itself; visitor: not logged in.';
comment on column audit_log.actor is 'A user_id or public key; null for other kinds. No foreign key: a record outlives its actor.';
comment on column audit_log.act is 'What happened, such as key.created or sign_in.failed.';
comment on column audit_log.target is 'What it happened to: a public key, a user_id or an import_id; null: the client.';
comment on column audit_log.related is 'The other object of the event, such as the public key of a replacement; null: none.';
comment on column audit_log.details is 'JSON object of strings, at most 16384 bytes, exactly as hashed. Never contains secrets or data of shoppers.';
comment on column audit_log.address is 'Where the request came from; null: unknown, or not a request.';
comment on column audit_log.request_id is 'As in X-Request-Id and in the log; null: not a request.';
comment on column audit_log.previous_hash is 'Hash of the record before, 32 bytes; zeros: this is the first.';
comment on column audit_log.hash is 'HMAC-SHA-256 of the seal of the record before and all other columns, 32 bytes.';

-- The triggers prevent mistakes. The owner of the database can drop them; hashes and seals reveal changes made then.
create or replace function refuse_to_change_audit_log() returns trigger language plpgsql as $$
begin
    raise exception 'the audit log is append-only: records cannot be changed or deleted' using errcode = 'insufficient_privilege';
end
$$;
create trigger audit_log_only_grows before update or delete on audit_log
    for each row execute function refuse_to_change_audit_log();
create trigger audit_log_is_not_emptied before truncate on audit_log
    for each statement execute function refuse_to_change_audit_log();

create or replace function refuse_to_set_back_audit_heads() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        if new.client_id = old.client_id and new.sequence in (old.sequence, old.sequence + 1) then
            return new;
        end if;
    end if;
    raise exception 'the head of an audit log can only advance to the next record' using errcode = 'insufficient_privilege';
end
$$;
create trigger audit_heads_only_go_on before update or delete on audit_heads
    for each row execute function refuse_to_set_back_audit_heads();
create trigger audit_heads_are_not_emptied before truncate on audit_heads
    for each statement execute function refuse_to_set_back_audit_heads();
