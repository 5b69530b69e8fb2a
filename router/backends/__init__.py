"""What people may do with backends while the router runs: see, add, change, remove, look closely.

`inventory` says what there is, `changes` changes it in the database or in the settings file, `looks` asks the servers.
"""
