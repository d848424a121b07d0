alter table imports drop column encoding;
