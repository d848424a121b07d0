drop table api_key_directory;
drop table api_keys;
