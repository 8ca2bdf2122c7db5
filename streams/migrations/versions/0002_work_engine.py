"""What the work engine needs: causes and keys in the ledger, queues, schedules, marks on dead letters."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for statement in (Path(__file__).parent / "0002_work_engine.sql").read_text().split("\n-- ;\n"):
        op.get_bind().exec_driver_sql(statement)
