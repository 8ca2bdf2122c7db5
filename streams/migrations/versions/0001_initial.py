"""Ledger, outbox, mail, media and trending tables; emit()."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    for statement in (Path(__file__).parent / "0001_initial.sql").read_text().split("\n-- ;\n"):
        op.get_bind().exec_driver_sql(statement)
