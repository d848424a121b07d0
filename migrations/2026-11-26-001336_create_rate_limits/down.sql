drop table attempt_rate_limits;
drop table key_rate_limits;
