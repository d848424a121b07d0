-- How long the agent still worked on a call after it ended. The constraint is not validated: every session that is
-- there has null, and to look through all of them would block a large table.
alter table sessions
    add column wrap_up_seconds integer,
    add constraint sessions_wrap_up_seconds_range check (wrap_up_seconds >= 0) not valid;
comment on column sessions.wrap_up_seconds is
    'Seconds the agent spent on the call after it ended; null: unknown.';
