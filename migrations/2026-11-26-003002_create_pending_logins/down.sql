drop table pending_logins;
