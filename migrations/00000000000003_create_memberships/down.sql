drop table memberships;
