"""The engagement scores of posts."""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    for statement in (Path(__file__).parent / "0006_engagement.sql").read_text().split("\n-- ;\n"):
        op.get_bind().exec_driver_sql(statement)
