drop index api_keys_to_expire;
