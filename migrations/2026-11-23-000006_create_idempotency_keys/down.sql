alter table sessions drop column sender_updated_at;
drop table idempotency_keys;
