-- Single-use links for users who may not be logged in.
create table account_links (
    token_digest bytea primary key,
    kind         text collate "C" not null,
    user_id      uuid not null references users (user_id) on delete cascade,
    new_email    text collate "C",
    created_at   timestamptz not null default now(),
    expires_at   timestamptz not null,
    constraint account_links_token_digest_length check (octet_length(token_digest) = 32),
    constraint account_links_kind check (kind in ('password_reset', 'email_change')),
    constraint account_links_new_email check ((kind = 'email_change') = (new_email is not null)),
    constraint account_links_new_email_length check (char_length(new_email) between 3 and 254)
);
create index account_links_user_id on account_links (user_id, kind, created_at);
create index account_links_expires_at on account_links (expires_at);
comment on table account_links is 'Single-use links for users who may not be logged in. A link that is used is deleted.';
comment on column account_links.token_digest is 'SHA-256 of the token in the link, 32 bytes.';
comment on column account_links.kind is 'What the link does: password_reset or email_change.';
comment on column account_links.new_email is 'The email that the link confirms, 3 to 254 characters; null: the link resets the password.';
