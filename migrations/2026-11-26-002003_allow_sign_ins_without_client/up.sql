-- A user who is not a member of any client can sign in, to accept an invitation or to create a client.
alter table sign_ins alter column client_id drop not null;
comment on column sign_ins.client_id is 'The active client; null: the user had none. No foreign key: a local table cannot reference clients once that is distributed.';
