drop trigger audit_heads_are_not_emptied on audit_heads;
drop trigger audit_heads_only_go_on on audit_heads;
drop function refuse_to_set_back_audit_heads;
alter table clients drop column audited_from_start;
comment on table clients is 'Customer organisations. A client owns sessions and API keys.';
