"""Renditions that no row names any more are deleted after a while."""

from pathlib import Path

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    for statement in (Path(__file__).parent / "0016_old_renditions.sql").read_text().split("\n-- ;\n"):
        op.get_bind().exec_driver_sql(statement)
