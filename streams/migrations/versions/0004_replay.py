"""Replays, and which of them has ordered a run."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for statement in (Path(__file__).parent / "0004_replay.sql").read_text().split("\n-- ;\n"):
        op.get_bind().exec_driver_sql(statement)
