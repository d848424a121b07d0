-- Mail to be sent, stored in the transaction of the event it reports.
create table outbox (
    mail_id         uuid primary key,
    kind            text collate "C" not null,
    recipient       text collate "C" not null,
    content         bytea,
    created_at      timestamptz not null default now(),
    attempts        integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    give_up_at      timestamptz not null,
    expires_at      timestamptz,
    last_error      text,
    sent_at         timestamptz,
    failed_at       timestamptz,
    constraint outbox_recipient_length check (char_length(recipient) between 3 and 254),
    constraint outbox_attempts_range check (attempts >= 0),
    constraint outbox_content_until_sent check ((content is null) = (sent_at is not null))
);
create index outbox_due on outbox (next_attempt_at, mail_id) where sent_at is null and failed_at is null;
comment on table outbox is 'Mail to be sent, stored in the transaction of the event it reports. Rows are deleted after 30 days.';
comment on column outbox.recipient is 'Email address, 3 to 254 characters.';
comment on column outbox.content is 'Subject and bodies, encrypted with a key derived from UPTOK_SECRET; null once sent.';
comment on column outbox.attempts is 'Number of attempts so far. A result is stored only by the node that made the last one.';
comment on column outbox.next_attempt_at is 'When a node may try next. An attempt moves it into the future, so that no other node sends the mail meanwhile.';
comment on column outbox.give_up_at is 'When the mail is given up: a day after it was stored or retried.';
comment on column outbox.expires_at is 'When the link in the mail expires and sending it is useless; null: never.';
comment on column outbox.last_error is 'Why the last attempt failed, at most 500 characters; null: it did not.';
comment on column outbox.failed_at is 'When the mail was given up; null: not given up.';
