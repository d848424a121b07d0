-- Metered API requests per key. Nodes write them once per second, never within a request; pages have free space for HOT
-- updates.
create table key_usage (
    client_id    text collate "C" not null,
    public_key   text collate "C" not null,
    hour         timestamptz not null,
    endpoint     text collate "C" not null,
    status_class smallint not null,
    requests     bigint not null,
    primary key (client_id, public_key, hour, endpoint, status_class),
    constraint key_usage_of_a_key foreign key (client_id, public_key) references api_keys (client_id, public_key),
    constraint key_usage_hour_whole check (mod(extract(epoch from hour)::bigint, 3600) = 0),
    constraint key_usage_status_class_known check (status_class between 2 and 5),
    constraint key_usage_requests_range check (requests > 0)
) with (fillfactor = 70);
create index key_usage_hour on key_usage (client_id, hour);
comment on table key_usage is 'Number of requests of each key by hour, endpoint and class of the answer, kept for 400 days.';
comment on column key_usage.hour is 'Start of the hour in which the answer began, by the clock of the node.';
comment on column key_usage.endpoint is 'Method and path pattern, such as GET /api/sessions.';
comment on column key_usage.status_class is 'First digit of the HTTP status, 2 to 5.';
comment on column key_usage.requests is 'Number of requests, at least 1.';

create table key_last_uses (
    client_id  text collate "C" not null,
    public_key text collate "C" not null,
    used_at    timestamptz not null,
    address    inet not null,
    user_agent text,
    primary key (client_id, public_key),
    constraint key_last_uses_of_a_key foreign key (client_id, public_key) references api_keys (client_id, public_key),
    constraint key_last_uses_user_agent_length check (char_length(user_agent) between 1 and 200)
) with (fillfactor = 50);
comment on table key_last_uses is 'When, from where and with which program each key was last used. A key without a row was never used.';
comment on column key_last_uses.user_agent is 'User-Agent without control and invisible characters, 1 to 200 characters; null: none was sent.';

create table key_errors (
    client_id   text collate "C" not null,
    request_id  uuid not null,
    public_key  text collate "C" not null,
    answered_at timestamptz not null,
    endpoint    text collate "C" not null,
    status      smallint not null,
    code        text collate "C" not null,
    primary key (client_id, request_id),
    constraint key_errors_of_a_key foreign key (client_id, public_key) references api_keys (client_id, public_key),
    constraint key_errors_status_range check (status between 400 and 599)
);
comment on table key_errors is 'The last 100 requests of each client that were answered with an error.';
comment on column key_errors.request_id is 'X-Request-Id of the answer: UUID version 7, so ordered by time.';
comment on column key_errors.status is 'HTTP status, 400 to 599.';
comment on column key_errors.code is 'Code of the problem, such as invalid_field.';

create table usage_batches (
    node_id   uuid primary key,
    number    bigint not null,
    stored_at timestamptz not null default now()
) with (fillfactor = 50);
comment on table usage_batches is
    'The last batch of counts that each running node stored, written in the same transaction, so that a batch sent again counts once.';
comment on column usage_batches.node_id is 'Identifies a process from its start to its end.';
comment on column usage_batches.number is '1, 2, 3 … per node.';
