"""Moves old posts to the recycle bin, batch by batch, with all that refers to them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams.claims import Claim
from streams.cleanup import recycle_bin
from streams.cleanup.batches import still_ours
from streams.cleanup.dependants import Dependants
from streams.cleanup.old_posts import Rule
from streams.cleanup.table_columns import EXACT_TEXTS

POSTS = 100
"""In one transaction, so that its locks are short ones."""

PAGE = 2_000
"""Posts that are looked for at a time: without an index on what is liked, that reads all likes."""

LISTED = 1_000
"""Ids that an outcome tells; more would make the ledger's row long."""

REFUSED = "a row that the database refused to let go"


@dataclass
class Tally:
    """What came of it: rows by table, posts that stayed by what keeps them, and the ids of those that went."""

    rows: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    posts: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """As an outcome has it."""
        shown = {"posts": len(self.posts), "ids": self.posts[:LISTED], "rows": dict(self.rows)}
        return {**shown, "kept": dict(self.kept), "changed_meanwhile": self.changed}


class _Back(Exception):
    """Undo this transaction."""


@dataclass(frozen=True)
class Deleting:
    """Deletes for one run. ``dry_run`` finds and counts all of it, and deletes nothing."""

    engine: AsyncEngine
    claim: Claim
    rule: Rule
    dependants: Dependants
    dry_run: bool

    async def run(self, most: int) -> Tally:
        """At most so many posts. Raises ``LostClaim``."""
        tally, last = Tally(), None
        while len(tally.posts) < most:
            async with self.engine.connect() as connection:
                page = await self.rule.page(connection, last, PAGE)
            if not page:
                break
            for first in range(0, len(page), POSTS):
                await still_ours(self.engine, self.claim)
                await self._batch(page[first : first + POSTS][: most - len(tally.posts)], tally)
            last = page[-1]
        return tally

    async def _batch(self, ids: Sequence[Any], tally: Tally) -> None:
        """One transaction; where the database refuses it, one for each post, so that only those stay that must."""
        found = Tally()
        try:
            async with self.engine.begin() as connection:
                await self._move(connection, ids, found)
                if self.dry_run:
                    raise _Back
        except _Back:
            if not self.dry_run:
                found = Tally(changed=len(ids))
        except IntegrityError:
            if len(ids) > 1:
                for one in ids:
                    await self._batch([one], tally)
                return
            found = Tally(kept=Counter([REFUSED]))
        tally.rows += found.rows
        tally.kept += found.kept
        tally.changed += found.changed
        tally.posts += found.posts

    async def _move(self, connection: AsyncConnection, ids: Sequence[Any], found: Tally) -> None:
        await connection.execute(EXACT_TEXTS)
        posts = {str(post.id): post for post in await self.rule.lock(connection, ids)}
        found.changed = len(ids) - len(posts)
        harvest = await self.dependants.collect(connection, list(posts))
        found.kept.update(str(table) for table in harvest.kept.values())
        going = [post for key, post in posts.items() if key not in harvest.kept]
        found.posts += [str(post.id) for post in going]
        if self.dry_run:
            found.rows.update({str(table): len(rows) for table, rows in harvest.rows.items() if rows})
            return
        order = self.dependants.order(harvest.rows)
        for post in going:
            await recycle_bin.keep(connection, self.claim.id, post, harvest.of(str(post.id), order))
        found.rows.update(await self.dependants.delete(connection, harvest))
        if going and await self.rule.liked(connection, [post.id for post in going]):
            raise _Back
