"""The path of every request to a backend."""
