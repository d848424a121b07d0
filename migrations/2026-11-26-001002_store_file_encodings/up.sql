-- The encoding that a user chose for a file. Files before this migration were UTF-8.
alter table imports add column encoding text collate "C" not null default 'utf-8';
comment on column imports.encoding is 'The encoding of the file: utf-8, utf-16 or windows-1252.';
