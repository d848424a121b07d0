delete from sign_ins where client_id is null;
alter table sign_ins alter column client_id set not null;
comment on column sign_ins.client_id is 'The active client. No foreign key: a local table cannot reference clients once that is distributed.';
