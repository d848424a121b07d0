-- Whether members of a client need a second factor. Existing clients do not require one.
alter table clients add column requires_second_factor boolean not null default false;
comment on column clients.requires_second_factor is 'True: members without a second factor can only set one up. API keys are not affected.';
