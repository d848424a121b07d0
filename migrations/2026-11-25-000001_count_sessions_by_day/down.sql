drop table session_days;
alter table session_counters drop column revision;
