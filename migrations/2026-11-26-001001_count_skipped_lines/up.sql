-- All counts of an import add up to the lines of its file.
alter table imports add column skipped bigint not null default 0;
comment on column imports.skipped is 'Lines that are no session: the header, a line that names the delimiter, blank lines.';
