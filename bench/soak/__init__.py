"""The soak: requests of all kinds, backends that fail at random, callers who leave, and nothing left over."""
