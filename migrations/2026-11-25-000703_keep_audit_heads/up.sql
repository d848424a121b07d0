-- An emptied log must not look like one that has no records yet.
alter table clients add column audited_from_start boolean not null default true;
comment on table clients is
    'Customer organisations. A client owns sessions and API keys. Not audited_from_start: it is older than its audit log, whose first record then need not tell of its first member.';
update clients set audited_from_start = exists (
    select from audit_log where audit_log.client_id = clients.client_id and sequence = 1 and act = 'member.added'
);

-- Prevents setting a head back by mistake. The owner of the database can drop these triggers; the seals reveal that.
create function refuse_to_set_back_audit_heads() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        if new.client_id = old.client_id and new.sequence in (old.sequence, old.sequence + 1) then
            return new;
        end if;
    end if;
    raise exception 'the head of an audit log only goes on to the next record' using errcode = 'insufficient_privilege';
end
$$;
create trigger audit_heads_only_go_on before update or delete on audit_heads
    for each row execute function refuse_to_set_back_audit_heads();
create trigger audit_heads_are_not_emptied before truncate on audit_heads
    for each statement execute function refuse_to_set_back_audit_heads();
