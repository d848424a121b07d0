-- Where a sign-in was opened, and the form that its user wanted to send before. Sign-ins from before have neither.
alter table sign_ins add column address inet;
alter table sign_ins add column user_agent text;
alter table sign_ins add column lost_form text;
comment on column sign_ins.address is 'The address of the browser at the login; null: the sign-in is from before this column.';
comment on column sign_ins.user_agent is 'The User-Agent of the browser at the login, at most 300 characters; null: unknown.';
comment on column sign_ins.lost_form is 'A form that was sent after an earlier sign-in had ended, without secrets, as JSON, until it is shown; null: none.';
