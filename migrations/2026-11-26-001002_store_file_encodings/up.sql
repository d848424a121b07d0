-- The encoding that a user chose for a file. Files before this migration were UTF-8.
alter table imports
    add column encoding text collate "C" not null default 'utf-8',
    add constraint imports_encoding check (encoding in ('utf-8', 'utf-16', 'windows-1252'));
comment on column imports.encoding is 'The encoding of the file.';
