drop table audit_log;
drop table audit_heads;
drop function refuse_to_set_back_audit_heads;
drop function refuse_to_change_audit_log;
