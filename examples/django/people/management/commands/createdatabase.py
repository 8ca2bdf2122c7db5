"""``manage.py createdatabase``: the database of ``DATABASE_URL``, where it is not there yet."""

from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand
from psycopg import sql


class Command(BaseCommand):
    """Make the database on its server."""

    help = "Create the database of DATABASE_URL, unless it exists."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Needs a role that may create databases."""
        name = settings.DATABASES["default"]["NAME"]
        server = settings.DATABASE_URL._replace(path="/postgres").geturl()
        with psycopg.connect(server, autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        self.stdout.write(f"database {name}: there")
