"""Alembic migrations of the schema ``tailrace``. The backend's tables are never migrated."""
