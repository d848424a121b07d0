-- The audit log: a hash chain of records per client that reveals tampering.
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
);
comment on table audit_heads is
    'Where the audit log of a client ends. Whoever adds a record locks the row until commit, after everything else it locks.';
comment on column audit_heads.sequence is 'The sequence of the last record, and so their number; 0: there is none.';
comment on column audit_heads.hash is 'The hash of the last record: 32 bytes; zeros: there is none.';
comment on column audit_heads.seal is
    'HMAC-SHA-256 over hash: 32 bytes. The next record is hashed over it, and it stands nowhere else, so that nobody can set the row back.';

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
comment on table audit_log is 'Who did what. Rows are only ever added, in the transaction of what they tell, and each is hashed over the one before.';
comment on column audit_log.sequence is '1, 2, 3 … per client, without gaps.';
comment on column audit_log.at is 'When it was written, by the clock of the database; in the order of sequence.';
comment on column audit_log.actor_kind is 'user: logged in; key: a program; command_line: whoever runs uptok; system: uptok by itself; visitor: nobody we know.';
comment on column audit_log.actor is 'The user_id or the public key. No foreign key: a record outlives whom it names.';
comment on column audit_log.act is 'What happened: key.created, sign_in.failed, …';
comment on column audit_log.target is 'To what it happened: a public key, a user_id, an import; null: to the client.';
comment on column audit_log.related is 'The other thing it is about: the public key of a replacement.';
comment on column audit_log.details is 'A JSON object of texts, as the bytes that were hashed. Never a secret, never what tells of a shopper.';
comment on column audit_log.address is 'Where the request came from; null: it was none, or that is not known.';
comment on column audit_log.request_id is 'As in X-Request-Id and in the log.';
comment on column audit_log.previous_hash is 'The hash of the record before: 32 bytes; zeros: this is the first.';
comment on column audit_log.hash is 'HMAC-SHA-256 over the seal of the record before and every other column: 32 bytes.';

-- The owner of the database can drop these triggers; the hashes reveal changes made without them.
create function refuse_to_change_audit_log() returns trigger language plpgsql as $$
begin
    raise exception 'the audit log is only ever added to' using errcode = 'insufficient_privilege';
end
$$;
create trigger audit_log_only_grows before update or delete on audit_log
    for each row execute function refuse_to_change_audit_log();
create trigger audit_log_is_not_emptied before truncate on audit_log
    for each statement execute function refuse_to_change_audit_log();

insert into audit_heads (client_id) select client_id from clients;
