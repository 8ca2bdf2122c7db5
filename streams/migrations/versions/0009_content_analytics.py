"""Content analytics by day and hour."""

from pathlib import Path

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    for statement in (Path(__file__).parent / "0009_content_analytics.sql").read_text().split("\n-- ;\n"):
        op.get_bind().exec_driver_sql(statement)
