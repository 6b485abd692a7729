"""The store: one small `Database` port, two adapters (SQLite, PostgreSQL), ids, the schema's
version."""
