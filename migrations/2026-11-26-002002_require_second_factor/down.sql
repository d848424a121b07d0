alter table clients drop column requires_second_factor;
