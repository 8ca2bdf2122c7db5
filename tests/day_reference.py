"""A day of a small backend, its times written by another zone, and what it comes to in plain Python."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, time, timedelta, timezone
from itertools import chain
from typing import Any

from hypothesis import strategies as st

from tests.data_ground import insert, keys_of, person
from tests.one_run import NOON, Workshop

DAY = timedelta(days=1)
YESTERDAY = NOON.date() - DAY
BEGIN = datetime.combine(YESTERDAY, time(), NOON.tzinfo)
USERS, POSTS = 3, 4
VISIBILITIES = ("public", "followers", "private")

Rows = dict[str, list[dict[str, Any]]]

ZONE = timezone(timedelta(hours=9))
TIMES = st.sampled_from([-1, 0, 1, 3_599, 3_600, 40_000, 86_399, 86_400, 100_000]).map(
    lambda seconds: (BEGIN + timedelta(seconds=seconds)).astimezone(ZONE)
)
USER, POST = st.integers(0, USERS - 1), st.integers(0, POSTS - 1)


def rows_of(**columns: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(st.fixed_dictionaries({"created_at": TIMES, **columns}), max_size=5)


BACKENDS: st.SearchStrategy[Rows] = st.fixed_dictionaries(
    {
        "users": st.lists(
            st.fixed_dictionaries({"date_joined": TIMES, "last_login": st.none() | TIMES}),
            min_size=USERS,
            max_size=USERS,
        ),
        "posts": st.lists(
            st.fixed_dictionaries(
                {
                    "created_at": TIMES,
                    "author": USER,
                    "visibility": st.sampled_from(VISIBILITIES),
                    "image": st.sampled_from([None, "", "p.jpg"]),
                    "video": st.sampled_from([None, "v.mp4"]),
                }
            ),
            min_size=POSTS,
            max_size=POSTS,
        ),
        "comments": rows_of(author=USER, post=POST),
        "likes": rows_of(author=USER, post=POST, type=st.integers(1, 2)),
        "shares": rows_of(author=USER, post=POST),
        "follows": rows_of(author=USER, other=USER),
        "post_hashtags": rows_of(tag=st.integers(0, 2), post=POST),
    }
)


async def fill(shop: Workshop, rows: Rows) -> list[Any]:
    """Write them; the keys of the posts."""
    tables, keys = shop.backend, keys_of(shop.backend, POSTS)
    rows["likes"] = list({(row["author"], row["post"], row["type"]): row for row in rows["likes"]}.values())
    rows["follows"] = list({(row["author"], row["other"]): row for row in rows["follows"]}.values())
    rows["post_hashtags"] = list({(row["tag"], row["post"]): row for row in rows["post_hashtags"]}.values())
    names = [{"app_label": "posts", "model": model} for model in ("post", "comment")]
    async with shop.engine.begin() as connection:
        statement = tables.content_types.insert().returning(tables.content_types.c.id, sort_by_parameter_order=True)
        types = list((await connection.execute(statement, names)).scalars())
    await insert(shop, tables.users, [person(n, keys[n], **row) for n, row in enumerate(rows["users"])])
    await insert(shop, tables.hashtags, [{"id": keys[n], "name": f"tag{n}"} for n in range(3)])
    ends = {"post": "post_id", "author": "author_id", "other": "following_id", "tag": "hashtag_id"}
    for name in ("posts", "comments", "likes", "shares", "follows", "post_hashtags"):
        actor = {"likes": "user_id", "shares": "user_id", "follows": "follower_id"}.get(name, "author_id")
        renamed = ends | {"author": actor} | ({"post": "object_id"} if name == "likes" else {})
        found = [{renamed.get(at, at): keys[to] if at in ends else to for at, to in row.items()} for row in rows[name]]
        for n, row in enumerate(found):
            row |= {"id": keys[n]} if name == "posts" else {}
            row |= {"content_type_id": types[row.pop("type") - 1]} if name == "likes" else {}
        await insert(shop, getattr(tables, name), found)
    return keys


def of_the_day(rows: list[dict[str, Any]], column: str = "created_at") -> list[dict[str, Any]]:
    return [row for row in rows if row[column] is not None and BEGIN <= row[column] < BEGIN + DAY]


def actors(rows: Rows) -> Iterator[tuple[int, int]]:
    """User and hour of everything that somebody did on the day."""
    for number, user in enumerate(rows["users"]):
        if user["last_login"] is not None and BEGIN <= user["last_login"] < BEGIN + DAY:
            yield number, user["last_login"].astimezone(NOON.tzinfo).hour
    for row in chain.from_iterable(rows[name] for name in ("posts", "comments", "likes", "shares", "follows")):
        if of_the_day([row]):
            yield row["author"], row["created_at"].astimezone(NOON.tzinfo).hour


def expected(rows: Rows, keys: list[Any]) -> dict[str, Any]:
    """In plain Python."""
    posts = of_the_day(rows["posts"])
    media = Counter(" and ".join(name for name in ("image", "video") if post[name]) or "none" for post in posts)
    names = ("posts", "comments", "likes", "shares", "follows")
    given = {name: Counter(row["post"] for row in of_the_day(rows[name])) for name in ("comments", "shares")}
    given["likes"] = Counter(row["post"] for row in of_the_day(rows["likes"]) if row["type"] == 1)
    points = {n: 3 * given["likes"][n] + 5 * given["comments"][n] + 7 * given["shares"][n] for n in range(POSTS)}
    top = sorted((n for n in points if points[n]), key=lambda n: (-points[n], keys[n]))
    tags = Counter(row["tag"] for row in of_the_day(rows["post_hashtags"]))
    return {
        **{name: len(of_the_day(rows[name])) for name in names},
        "new_users": len(of_the_day(rows["users"], "date_joined")),
        "active_users": len({user for user, _ in actors(rows)}),
        "posts_by_visibility": dict(Counter(post["visibility"] for post in posts)),
        "posts_by_media": dict(media),
        "totals": {
            **{name: sum(row["created_at"] < BEGIN + DAY for row in rows[name]) for name in names},
            "users": sum(row["date_joined"] < BEGIN + DAY for row in rows["users"]),
        },
        "top_posts": [
            {
                "post_id": str(keys[n]),
                "author_id": str(keys[rows["posts"][n]["author"]]),
                "visibility": rows["posts"][n]["visibility"],
                **{name: given[name][n] for name in ("likes", "comments", "shares")},
                "points": points[n],
            }
            for n in top
        ],
        "top_tags": [{"tag": f"tag{n}", "posts": tags[n]} for n in sorted(tags, key=lambda n: (-tags[n], n))],
        "without": [],
        "changes": {},
        "outliers": [],
    }
