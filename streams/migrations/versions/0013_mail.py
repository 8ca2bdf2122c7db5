"""Mails: who wants none, and the digests of each week."""

from pathlib import Path

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    for statement in (Path(__file__).parent / "0013_mail.sql").read_text().split("\n-- ;\n"):
        op.get_bind().exec_driver_sql(statement)
