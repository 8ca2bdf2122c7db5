"""What is known of a picture or video, and one id for each pair of them that a post has."""

from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    for statement in (Path(__file__).parent / "0008_media.sql").read_text().split("\n-- ;\n"):
        op.get_bind().exec_driver_sql(statement)
