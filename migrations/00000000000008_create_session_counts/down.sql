drop table session_days;
drop table session_counters;
