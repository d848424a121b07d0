-- Uploaded files of sessions and the progress of their import.
create table imports (
    client_id    text collate "C" not null references clients (client_id),
    import_id    uuid not null,
    file_name    text not null,
    is_json      boolean not null default false,
    mapping      text[],
    state        text collate "C" not null,
    bytes        bigint not null default 0,
    chunks       integer not null default 0,
    chunks_done  integer not null default 0,
    created      bigint not null default 0,
    updated      bigint not null default 0,
    unchanged    bigint not null default 0,
    rejected     bigint not null default 0,
    failure      text,
    created_by   uuid,
    created_at   timestamptz not null default now(),
    ended_at     timestamptz,
    worker       uuid,
    heartbeat_at timestamptz,
    primary key (client_id, import_id),
    constraint imports_file_name_length check (char_length(file_name) between 1 and 255),
    constraint imports_state check (state in ('uploading', 'mapping', 'checking', 'checked', 'importing', 'done', 'failed', 'discarded')),
    constraint imports_mapping_not_null check (array_position(mapping, null) is null)
);
create index imports_waiting on imports (client_id, created_at) where state in ('checking', 'importing');
comment on table imports is 'Files of sessions that were uploaded to be imported, and how far that is.';
comment on column imports.is_json is 'NDJSON, not CSV.';
comment on column imports.mapping is 'Which column of the record each column of the CSV is, the empty text for none; null: not said yet.';
comment on column imports.bytes is 'The size of the file.';
comment on column imports.chunks is 'Chunks of the file, each at most 1 MiB.';
comment on column imports.chunks_done is 'Chunks that were gone through in this state; stored with what they held.';
comment on column imports.failure is 'Why it failed, as a sentence.';
comment on column imports.created_by is 'The user who uploaded it.';
comment on column imports.worker is 'The process that goes through it; another may when heartbeat_at is old.';

create table import_chunks (
    client_id text collate "C" not null,
    import_id uuid not null,
    number    integer not null,
    bytes     bytea not null,
    primary key (client_id, import_id, number),
    constraint import_chunks_import foreign key (client_id, import_id) references imports (client_id, import_id) on delete cascade,
    constraint import_chunks_length check (octet_length(bytes) between 1 and 1048576)
);
comment on table import_chunks is 'What was uploaded. Deleted when the import is over, or after 24 hours.';
comment on column import_chunks.number is '0, 1, 2 … in the file.';

create table import_bad_lines (
    client_id text collate "C" not null,
    import_id uuid not null,
    number    integer not null,
    line      bigint not null,
    field     text not null,
    message   text not null,
    primary key (client_id, import_id, number),
    constraint import_bad_lines_import foreign key (client_id, import_id) references imports (client_id, import_id) on delete cascade
);
comment on table import_bad_lines is 'What is wrong in the first lines that were left out.';
comment on column import_bad_lines.number is '0, 1, 2 … in the order of the file.';
comment on column import_bad_lines.line is 'The number of the line in the file, from 1.';
