"""``tailrace posts``: the recycle bin of posts that the clean-up has deleted."""

import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from streams.settings import Settings


@click.group()
def posts() -> None:
    """List and restore posts that the clean-up has deleted."""


@posts.command()
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array for programs.")
def deleted(limit: int, as_json: bool) -> None:
    """List the posts in the recycle bin, the newest first."""
    from streams.cleanup.recycle_bin import listed
    from streams.cli_database import echo_json, with_database

    async def read(_: "Settings", engine: "AsyncEngine") -> list[dict[str, Any]]:
        return await listed(engine, limit)

    found = with_database("posts deleted", read)
    if as_json:
        echo_json(found)
        return
    for post in found:
        when = post["deleted_at"].isoformat(timespec="seconds")
        click.echo(f"{post['post_id']}  {when}  by user {post['author_id']}, {post['rows']} rows")
    if not found:
        click.echo("the recycle bin is empty", err=True)
    elif len(found) == limit:
        click.echo(f"these are the newest {limit}; see more with --limit", err=True)


@posts.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array for programs.")
def restore(ids: tuple[str, ...], as_json: bool) -> None:
    """Put posts back with all of their rows and their ids. Exits 1 where one could not be."""
    from streams.backend_presence import backend_of
    from streams.cleanup.recycle_bin import CannotRestore
    from streams.cleanup.recycle_bin import restore as put_back
    from streams.cli_database import echo_json, with_database

    async def work(settings: "Settings", engine: "AsyncEngine") -> list[dict[str, Any]]:
        restored = []
        for post_id in ids:
            try:
                restored.append(await put_back(engine, backend_of(settings.backend), post_id))
            except CannotRestore as error:
                restored.append({"post_id": post_id, "refused": str(error)})
        return restored

    done = with_database("posts restore", work)
    if as_json:
        echo_json(done)
    for post in done:
        if "refused" in post:
            click.echo(f"tailrace posts restore: {post['post_id']}: {post['refused']}", err=True)
        elif not as_json:
            click.echo(f"{post['post_id']} restored: {_rows(post['restored'])}")
            if post["left_out"]:
                click.echo(f"  left out, since what they refer to is gone: {_rows(post['left_out'])}")
    sys.exit(1 if any("refused" in post for post in done) else 0)


def _rows(counts: dict[str, int]) -> str:
    return ", ".join(f"{table} {count}" for table, count in sorted(counts.items()))
