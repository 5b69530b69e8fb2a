"""`/api`: users, keys, networks, backends and usage, for people and programs that look after a router."""
