"""What people change at run time, and what was used: a database that no request waits for. See README.md."""
