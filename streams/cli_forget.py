"""``tailrace forget``: erase or anonymise what Tailrace keeps of a user or a post."""

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from streams.runs_listing import Facts
    from streams.settings import Settings
    from streams.task import Task


@click.group()
def forget() -> None:
    """Erase or anonymise what Tailrace keeps of a user or a post, and report it as JSON.

    Run twice it does no harm. What the backend keeps is the backend's.
    """


@forget.command()
@click.argument("user_id", metavar="ID")
def user(user_id: str) -> None:
    """Forget the user with this id."""
    from agents.forget_user import forget_user

    _run(forget_user, {"user_id": user_id})


@forget.command()
@click.argument("post_id", metavar="ID")
def post(post_id: str) -> None:
    """Forget the post with this id, which the backend does not have any more, also from the recycle bin."""
    from agents.forget_post import forget_post

    _run(forget_post, {"post_id": post_id})


def _run(task: "Task", args: dict[str, str]) -> None:
    """As a run of its task, so that the ledger has the report. Exits 1 unless all is forgotten."""
    from streams.cli_database import echo_json, with_database
    from streams.run_here import NotNow, run_here

    async def work(settings: "Settings", engine: "AsyncEngine") -> "Facts":
        return await run_here(settings, engine, task, args)

    ended = with_database("forget", work, refusals=(NotNow,))
    if ended["state"] == "done":
        echo_json(ended["outcome"])
        return
    outcome = ended["outcome"] or {}
    sys.exit(f"tailrace forget: {outcome.get('reason') or ended['error'] or ended['state']}")
