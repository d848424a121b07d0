alter table sign_ins drop column lost_form;
alter table sign_ins drop column user_agent;
alter table sign_ins drop column address;
