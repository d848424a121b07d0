alter table sessions drop column wrap_up_seconds;
