-- The users of each client.
create table memberships (
    client_id  text collate "C" not null,
    user_id    uuid not null references users (user_id) on delete cascade,
    role       text not null,
    created_at timestamptz not null default now(),
    primary key (client_id, user_id),
    constraint memberships_role check (role in ('owner', 'admin', 'member'))
);
create index memberships_user_id on memberships (user_id, client_id);
comment on table memberships is 'The users of each client, looked up by user.';
comment on column memberships.client_id is 'No foreign key: a local table cannot reference clients once that is distributed.';
comment on column memberships.role is 'owner and admin can create keys; member can only read.';
