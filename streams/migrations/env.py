"""Alembic's entry: runs the versions on the connection that ``run.migrate`` hands over."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="schema_version",
    version_table_schema="tailrace",
)
context.get_bind().exec_driver_sql("CREATE SCHEMA IF NOT EXISTS tailrace")
with context.begin_transaction():
    context.run_migrations()
