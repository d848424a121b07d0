-- When the user of a sign-in last entered the password or a code again.
alter table sign_ins add column confirmed_at timestamptz;
comment on column sign_ins.confirmed_at is 'When the user last entered the password or a code again; null: not since the login, which counts as a confirmation itself.';
