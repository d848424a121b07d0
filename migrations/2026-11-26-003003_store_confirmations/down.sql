alter table sign_ins drop column confirmed_at;
