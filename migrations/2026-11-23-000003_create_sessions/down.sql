drop table sessions;
drop table session_counters;
