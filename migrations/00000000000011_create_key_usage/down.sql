drop table usage_batches;
drop table key_errors;
drop table key_last_uses;
drop table key_usage;
