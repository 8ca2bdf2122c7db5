"""Alembic migrations of the schema ``tailrace``. The backend's tables are never migrated."""

NEWEST = "0016"
"""The schema's version that this program needs. Stated here, so that a process need not load Alembic to know it."""
