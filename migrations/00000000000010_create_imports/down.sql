drop table import_bad_lines;
drop table import_chunks;
drop table imports;
