-- Logins that wait for a code: the password was right. They sign nobody in.
create table pending_logins (
    token_digest    bytea primary key,
    user_id         uuid not null references users (user_id) on delete cascade,
    password_digest bytea not null,
    login_return    text not null,
    attempts        integer not null default 0,
    created_at      timestamptz not null default now(),
    expires_at      timestamptz not null,
    constraint pending_logins_token_digest_length check (octet_length(token_digest) = 32),
    constraint pending_logins_password_digest_length check (octet_length(password_digest) = 32),
    constraint pending_logins_attempts_range check (attempts between 0 and 5)
);
create index pending_logins_user_id on pending_logins (user_id);
create index pending_logins_expires_at on pending_logins (expires_at);
comment on table pending_logins is 'Logins that wait for a code: the password was right. They sign nobody in. A login that is completed is deleted.';
comment on column pending_logins.token_digest is 'SHA-256 of the token in the cookie, 32 bytes.';
comment on column pending_logins.password_digest is 'SHA-256 of the password hash that was verified, 32 bytes. Another password ends the login.';
comment on column pending_logins.login_return is 'Where the login leads, as JSON: a path, or a form without secrets.';
comment on column pending_logins.attempts is 'Codes that were sent, 0 to 5. After the fifth wrong one the login starts again with the password.';
comment on column pending_logins.expires_at is 'When the login starts again with the password: 10 minutes after it began.';
