"""What is never shown among the trends, and hourly snapshots of what trends."""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    for statement in (Path(__file__).parent / "0007_trends.sql").read_text().split("\n-- ;\n"):
        op.get_bind().exec_driver_sql(statement)
