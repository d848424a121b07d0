alter table imports drop column skipped;
