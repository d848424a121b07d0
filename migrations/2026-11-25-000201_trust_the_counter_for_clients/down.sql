alter table sessions add constraint sessions_client_id_fkey foreign key (client_id) references clients (client_id);
