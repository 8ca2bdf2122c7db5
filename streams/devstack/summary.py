"""What a bounded ``tailrace up --for`` says at its end, and whether all went well."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from streams.devstack import up_sql
from streams.devstack.drain import Left
from streams.devstack.news import MAIL, PHOTO
from streams.devstack.sample.traffic import Emitted


@dataclass(frozen=True)
class Summary:
    """Of one session: what came in, what became of it, and what is left."""

    emitted: Emitted
    left: Left
    runs: tuple[tuple[str, str, int], ...]
    mails: int
    renditions: int
    tags: tuple[tuple[str, int], ...]
    firsts: Mapping[str, float]
    with_traffic: bool

    def failures(self) -> list[str]:
        """Why the session was no success; empty if it was."""
        found = [f"left undone: {self.left}"] if self.left else []
        if self.with_traffic:
            effects = {"mails": self.mails, "renditions": self.renditions, "trends": len(self.tags)}
            found += [f"no {name} at all" for name, count in effects.items() if not count]
        return found

    def lines(self) -> Iterator[str]:
        """For people, the failures last."""
        emitted = self.emitted
        pictured = len(emitted.pictured)
        yield ""
        yield f"events in    {len(emitted.users)} users, {len(emitted.posts)} posts ({pictured} with a picture)"
        for task, state, count in self.runs:
            yield f"runs         {task:<24} {state:<9} {count}"
        yield f"mails        {self.mails}" + self._first(MAIL)
        yield f"renditions   {self.renditions}" + self._first(PHOTO)
        yield "top tags     " + (", ".join(f"#{tag} {uses}" for tag, uses in self.tags) or "none")
        yield f"left undone  {self.left}"
        for failure in self.failures():
            yield f"FAILED       {failure}"

    def _first(self, task: str) -> str:
        return f" (the first {self.firsts[task]:.1f} s after the start)" if task in self.firsts else ""


async def summarise(
    engine: AsyncEngine,
    emitted: Emitted,
    left: Left,
    since: datetime,
    answer: Mapping[str, Any] | None,
    firsts: Mapping[str, float],
    *,
    with_traffic: bool,
) -> Summary:
    """Collect the summary of everything since ``since``; ``answer`` is the server's on the top tags."""
    async with engine.connect() as connection:
        runs = (await connection.execute(up_sql.RUNS, {"since": since})).all()
        effects = (await connection.execute(up_sql.EFFECTS, {"since": since})).one()
    return Summary(
        emitted=emitted,
        left=left,
        runs=tuple((run.task, run.state, run.runs) for run in runs),
        mails=effects.mails,
        renditions=effects.renditions,
        tags=tuple((entry["tag"], entry["uses"]) for entry in (answer or {}).get("tags", ())),
        firsts=firsts,
        with_traffic=with_traffic,
    )
