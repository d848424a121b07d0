-- Files of sessions that were uploaded in the browser, and the progress of their import. Workers update an import with
-- every chunk and heartbeat, so pages have free space for HOT updates.
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
) with (fillfactor = 70);
create index imports_waiting on imports (client_id, created_at) where state in ('checking', 'importing');
comment on table imports is 'Uploaded files of sessions and the progress of their import.';
comment on column imports.file_name is '1 to 255 characters.';
comment on column imports.is_json is 'True: NDJSON. False: CSV.';
comment on column imports.mapping is 'The session field of each CSV column, empty for a column that is ignored; null: not chosen yet.';
comment on column imports.bytes is 'Size of the file.';
comment on column imports.chunks is 'Number of chunks of the file, each at most 1 MiB.';
comment on column imports.chunks_done is 'Chunks already processed in this state, stored in the transaction that stores their sessions.';
comment on column imports.created is 'Sessions that were new.';
comment on column imports.updated is 'Sessions that were changed.';
comment on column imports.unchanged is 'Sessions that were already stored like this.';
comment on column imports.rejected is 'Lines that were left out because they are wrong.';
comment on column imports.failure is 'Why it failed, as a sentence; null: it did not.';
comment on column imports.created_by is 'The user who uploaded the file. No foreign key: users are not distributed by client.';
comment on column imports.worker is 'The process that imports the file; null: none. Another may take over once heartbeat_at is old.';

create table import_chunks (
    client_id text collate "C" not null,
    import_id uuid not null,
    number    integer not null,
    bytes     bytea not null,
    primary key (client_id, import_id, number),
    constraint import_chunks_import foreign key (client_id, import_id) references imports (client_id, import_id) on delete cascade,
    constraint import_chunks_length check (octet_length(bytes) between 1 and 1048576)
);
comment on table import_chunks is 'Contents of uploaded files. Deleted when the import has ended, or after 24 hours.';
comment on column import_chunks.number is '0, 1, 2 … in the order of the file.';
comment on column import_chunks.bytes is '1 byte to 1 MiB.';

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
comment on table import_bad_lines is 'What is wrong in the first rejected lines of an import.';
comment on column import_bad_lines.number is '0, 1, 2 … in the order of the file.';
comment on column import_bad_lines.line is 'Line number in the file, from 1.';
