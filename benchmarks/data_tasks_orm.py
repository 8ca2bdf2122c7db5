"""The same work as a backend usually writes it with Django's ORM: a loop over objects. Run by Django's own environment:
`python -m benchmarks.data_tasks_orm DATABASE_URL` prints the seconds of each as JSON.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings


def configure(url: str) -> None:
    """One database and no application."""
    parts = urlsplit(url)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": parts.hostname,
        "PORT": parts.port,
        "USER": parts.username,
        "PASSWORD": parts.password,
        "NAME": parts.path.lstrip("/"),
    }
    settings.configure(DATABASES={"default": database}, USE_TZ=True, INSTALLED_APPS=[])
    django.setup()


def models() -> tuple[Any, Any]:
    """Users and posts, as far as these tasks need them."""
    from django.db.models import (  # noqa: PLC0415 - needs settings
        CASCADE,
        BigAutoField,
        DateTimeField,
        ForeignKey,
        IntegerField,
        Model,
    )

    def table(name: str) -> type:
        return type("Meta", (), {"app_label": "bench", "db_table": name, "managed": False})

    counters = {name: IntegerField(default=0) for name in ("followers_count", "following_count", "posts_count")}
    key = {"__module__": __name__, "id": BigAutoField(primary_key=True)}
    user = type("User", (Model,), {**key, **counters, "Meta": table("users")})
    key = {"__module__": __name__, "id": BigAutoField(primary_key=True)}
    given = {name: IntegerField(default=0) for name in ("likes_count", "comments_count", "shares_count", "views_count")}
    author = ForeignKey(user, CASCADE, related_name="posts")
    own = {"author": author, "created_at": DateTimeField(), "Meta": table("posts")}
    post = type("Post", (Model,), {**key, **given, **own})
    key = {"__module__": __name__, "id": BigAutoField(primary_key=True)}
    ends = {
        "follower": ForeignKey(user, CASCADE, related_name="following"),
        "following": ForeignKey(user, CASCADE, related_name="followers"),
    }
    type("Follow", (Model,), {**key, **ends, "Meta": table("follows")})
    return user, post


def user_statistics(users: Any) -> None:
    """Three counts and a save for each."""
    for user in users.objects.all():
        user.followers_count = user.followers.count()
        user.following_count = user.following.count()
        user.posts_count = user.posts.count()
        user.save(update_fields=["followers_count", "following_count", "posts_count"])


def engagement_scores(posts: Any) -> float:
    """Computed, and saved nowhere."""
    from django.utils import timezone  # noqa: PLC0415 - needs settings

    highest, now = 0.0, timezone.now()
    for post in posts.objects.all():
        weighted = post.likes_count * 3 + post.comments_count * 5 + post.shares_count * 7 + post.views_count
        highest = max(highest, weighted * max(0.1, 1 - 0.1 * (now - post.created_at).days))
    return highest


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return round(time.perf_counter() - began, 2)


def main() -> None:
    """Both, in turn."""
    configure(sys.argv[1])
    user, post = models()
    found = {
        "update_user_statistics": timed(lambda: user_statistics(user)),
        "update_post_engagement_scores": timed(lambda: engagement_scores(post)),
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
