"""The events that say that a user or a post is gone."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for statement in (Path(__file__).parent / "0003_deletions.sql").read_text().split("\n-- ;\n"):
        op.get_bind().exec_driver_sql(statement)
