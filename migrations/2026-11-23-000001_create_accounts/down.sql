drop table sign_ins;
drop table memberships;
drop table users;
drop table clients;
