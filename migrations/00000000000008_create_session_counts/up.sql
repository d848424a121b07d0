-- Counts of sessions, updated in the transaction that changes the sessions. Pages have free space, so that updates are
-- HOT even while an old snapshot keeps dead rows.
create table session_counters (
    client_id text collate "C" primary key references clients (client_id),
    recorded  bigint not null default 0,
    revision  bigint not null default 0,
    constraint session_counters_recorded_range check (recorded >= 0)
) with (fillfactor = 50);
comment on table session_counters is
    'One row per client. Recording locks it until commit, so sequences have no gaps and follow the order of commits.';
comment on column session_counters.recorded is 'Number of sessions of the client, which is also the highest sequence.';
comment on column session_counters.revision is
    'Increases with every change of the client''s sessions. A cached page is valid while its revision is current.';

create table session_days (
    client_id text collate "C" not null references clients (client_id),
    day       date not null,
    status    text collate "C" not null,
    channel   text collate "C" not null,
    sessions  bigint not null,
    primary key (client_id, day, status, channel),
    constraint session_days_sessions_range check (sessions >= 0)
) with (fillfactor = 80);
comment on table session_days is
    'Number of sessions by day, status and channel, the most frequent filters. Changed only under the lock of session_counters.';
comment on column session_days.day is 'The day of created_at in UTC.';
comment on column session_days.sessions is 'Sessions with this day, status and channel; 0 once all of them have changed.';
