"""Many are forgotten at once, and their addresses are hashes."""

from pathlib import Path

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    for statement in (Path(__file__).parent / "0015_forgetting.sql").read_text().split("\n-- ;\n"):
        op.get_bind().exec_driver_sql(statement)
