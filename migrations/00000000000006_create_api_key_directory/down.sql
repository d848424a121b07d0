drop table api_key_directory;
