-- Sessions: one row per recorded call between an agent and a shopper.
create table session_counters (
    client_id text collate "C" primary key references clients (client_id),
    recorded  bigint not null default 0,
    constraint session_counters_recorded_range check (recorded >= 0)
);
comment on table session_counters is
    'One row per client. Whoever records sessions locks it until commit: sequences are dense, in the order of commits.';
comment on column session_counters.recorded is 'Sessions recorded for this client, and so the highest sequence.';

create table sessions (
    client_id         text collate "C" not null references clients (client_id),
    sequence          bigint not null,
    session_id        uuid not null,
    external_id       text,
    status            text collate "C" not null,
    channel           text collate "C" not null,
    source            text,
    queue_name        text,
    agent_name        text,
    agent_email       text,
    shopper_id        text,
    shopper_name      text,
    shopper_email     text,
    shopper_phone     text,
    shopper_country   text,
    page_url          text,
    created_at        timestamptz not null,
    started_at        timestamptz,
    ended_at          timestamptz not null,
    wait_seconds      integer,
    duration_seconds  integer,
    rating            smallint,
    rating_comment    text,
    notes             text,
    order_id          text,
    order_value_minor bigint,
    currency          text,
    recording_url     text,
    tags              text[] not null default '{}',
    recorded_at       timestamptz not null default now(),
    updated_at        timestamptz not null default now(),
    erased_at         timestamptz,
    primary key (client_id, sequence),
    constraint sessions_session_id_unique unique (client_id, session_id),
    constraint sessions_external_id_unique unique (client_id, external_id),
    constraint sessions_sequence_range check (sequence >= 1),
    constraint sessions_external_id_length check (char_length(external_id) between 1 and 255),
    constraint sessions_status check (status in ('completed', 'missed', 'abandoned', 'declined', 'failed')),
    constraint sessions_channel check (channel in ('video', 'audio', 'chat')),
    constraint sessions_source_length check (char_length(source) <= 64),
    constraint sessions_page_url_length check (char_length(page_url) <= 2048),
    constraint sessions_times_in_order check (created_at <= ended_at and (started_at is null or (created_at <= started_at and started_at <= ended_at))),
    constraint sessions_wait_seconds_range check (wait_seconds >= 0),
    constraint sessions_duration_seconds_range check (duration_seconds >= 0),
    constraint sessions_rating_range check (rating between 1 and 5),
    constraint sessions_shopper_country_form check (shopper_country ~ '^[A-Z]{2}$'),
    constraint sessions_currency_form check (currency ~ '^[A-Z]{3}$'),
    constraint sessions_tags_not_null check (array_position(tags, null) is null)
);
create index sessions_newest on sessions (client_id, created_at desc, sequence desc);
create index sessions_status_newest on sessions (client_id, status, created_at desc, sequence desc);
comment on table sessions is 'Recorded calls. Rows are never deleted: erasing blanks the personal fields, so pages never shift.';
comment on column sessions.sequence is '1, 2, 3 … per client, without gaps, in the order recorded.';
comment on column sessions.session_id is 'UUID version 7, ours.';
comment on column sessions.external_id is 'The sender''s own id, at most 255 characters; null: the sender has none.';
comment on column sessions.source is 'widget, link, qr, phone …; at most 64 characters; null: unknown.';
comment on column sessions.shopper_phone is 'E.164; null: not given, or erased.';
comment on column sessions.shopper_country is 'ISO 3166-1 alpha-2; null: not given, or erased.';
comment on column sessions.page_url is 'Where the call began, at most 2048 characters; null: unknown.';
comment on column sessions.created_at is 'The call entered the queue.';
comment on column sessions.started_at is 'Agent and shopper connected; null: never connected.';
comment on column sessions.wait_seconds is 'Seconds from created_at to started_at or the end; null: unknown.';
comment on column sessions.duration_seconds is 'Seconds from started_at to ended_at; null: never connected.';
comment on column sessions.rating is 'Stars, 1 to 5; null: not given.';
comment on column sessions.order_value_minor is 'Minor units of currency (cents …); null: no order known.';
comment on column sessions.currency is 'ISO 4217; null: no order known.';
comment on column sessions.recorded_at is 'When we stored the session.';
comment on column sessions.updated_at is 'When we last changed it.';
comment on column sessions.erased_at is 'When the personal fields were erased; null: not erased.';
