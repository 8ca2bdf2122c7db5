"""What the mails of one worker are made of: those that are made at the same time share the statements that read it.

Reading comes before the intent to send, so nothing here has a part in a mail's going out once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from streams.backend_presence import Presence
from streams.db import autocommit
from streams.mail.digest_editions import Edition, find_edition
from streams.mail.digest_posts import Post, find_posts
from streams.mail.gathering import Gathered
from streams.mail.recipients import Recipient, find_recipients

KEPT_EDITIONS = 4


@dataclass(frozen=True)
class _User:
    presence: Presence
    user_id: int | str


@dataclass(frozen=True)
class _Digest:
    presence: Presence
    reader: str
    edition: Edition


class Reading:
    """Answers as of the moment of asking, or a little later."""

    def __init__(self, engine: AsyncEngine, post_url: str | None) -> None:
        self._engine, self._post_url = engine, post_url
        self._users: Gathered[_User, Recipient | None] = Gathered(self._find_users)
        self._posts: Gathered[_Digest, list[Post]] = Gathered(self._find_posts)
        self._editions: dict[str, Edition] = {}

    async def recipient(self, presence: Presence, user_id: int | str) -> Recipient | None:
        """The user of this id, or None where there is none."""
        return await self._users(_User(presence, user_id))

    async def edition(self, week: str) -> Edition | None:
        """None where nobody has begun that week's digests; once they are begun, the edition never changes."""
        if week not in self._editions:
            async with autocommit(self._engine) as connection:
                found = await find_edition(connection, week)
            if found is None:
                return None
            if len(self._editions) >= KEPT_EDITIONS:
                self._editions.clear()
            self._editions[week] = found
        return self._editions[week]

    async def posts(self, presence: Presence, reader: str, edition: Edition) -> list[Post]:
        """What this reader's digest shows."""
        return await self._posts(_Digest(presence, reader, edition))

    async def _find_users(self, wanted: Sequence[_User]) -> list[Recipient | Exception | None]:
        async with autocommit(self._engine) as connection:
            return [*await find_recipients(connection, wanted[-1].presence, [each.user_id for each in wanted])]

    async def _find_posts(self, wanted: Sequence[_Digest]) -> list[list[Post] | Exception]:
        """By week: in the night of a Sunday there may be two."""
        found: dict[int, list[Post]] = {}
        presence, editions = wanted[-1].presence, {each.edition.week: each.edition for each in wanted}
        async with autocommit(self._engine) as connection:
            for week, edition in editions.items():
                places = [place for place, each in enumerate(wanted) if each.edition.week == week]
                readers = [wanted[place].reader for place in places]
                best, between = edition.best, edition.between
                posts = await find_posts(connection, presence, readers, best, between, self._post_url)
                found |= dict(zip(places, posts, strict=True))
        return [found[place] for place in range(len(wanted))]
