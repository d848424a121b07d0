-- The revision of a client's sessions and their counts per day, updated in the transaction that records sessions.
alter table session_counters add column revision bigint not null default 0;
comment on column session_counters.revision is
    'Grows with every change of the client''s sessions. An answer made at a revision holds as long as it is the current one.';

create table session_days (
    client_id text collate "C" not null references clients (client_id),
    day       date not null,
    status    text collate "C" not null,
    channel   text collate "C" not null,
    sessions  bigint not null,
    primary key (client_id, day, status, channel),
    constraint session_days_sessions_range check (sessions >= 0)
);
comment on table session_days is
    'How many sessions a client has, by what most filters ask for. Changed in the transaction that changes the sessions, under the lock of session_counters.';
comment on column session_days.day is 'The day of created_at in UTC.';
comment on column session_days.sessions is 'Sessions of that day, status and channel; 0 after the last was changed into another.';

insert into session_days (client_id, day, status, channel, sessions)
select client_id, (created_at at time zone 'UTC')::date, status, channel, count(*)
from sessions
group by 1, 2, 3, 4;
