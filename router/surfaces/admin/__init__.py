"""`/api`: users, keys, networks, preferences and usage, for people and programs that look after a router."""
