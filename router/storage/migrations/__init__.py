"""Alembic's side of the tables: `env.py` and one file for each revision in `versions/`."""
