"""What a social-media backend does. Nothing here knows of background work, but for ``forget_me``."""

import json
import re
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.core.signing import BadSignature, TimestampSigner
from django.db import IntegrityError, connection, transaction
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST
from people.models import User
from posts.models import Hashtag, Post, PostHashtag

from tailrace_client import UserDeleted, emit

WEEK = 7 * 24 * 3600


@csrf_exempt  # who calls is told by a header, never by a cookie
@require_POST
def sign_up(request: HttpRequest) -> JsonResponse:
    """A user, and the token for the other calls. The trigger on ``users`` says ``user.created``."""
    try:
        given = json.loads(request.body)
        names = {name: str(given[name]) for name in ("username", "email", "password")}
    except (ValueError, KeyError, TypeError):
        return _refused("send JSON with username, email and password")
    try:
        user = User.objects.create_user(**names)
    except IntegrityError:
        return _refused(f"the name {names['username']!r} is taken")
    return JsonResponse({"user_id": user.pk, "token": TimestampSigner().sign(str(user.pk))}, status=201)


@csrf_exempt
@require_POST
def upload(request: HttpRequest) -> JsonResponse:
    """A post of a form with ``text`` and perhaps ``image``.

    As in many a backend, the picture and the tags come after the post: an update says ``post.uploaded`` with the
    picture, an insert into ``post_hashtags`` says ``post.tagged``.
    """
    user = _user(request)
    if user is None:
        return _refused("send the header Authorization: Bearer, then your token", status=401)
    text = request.POST.get("text", "")
    post = Post.objects.create(author=user, content=text)
    image = request.FILES.get("image")
    if isinstance(image, UploadedFile):
        post.image.save(image.name or "picture", image)
    for name in sorted(set(re.findall(r"#(\w{1,100})", text.lower()))):
        hashtag, _ = Hashtag.objects.get_or_create(name=name)
        PostHashtag.objects.create(post=post, hashtag=hashtag)
    return JsonResponse({"post_id": post.pk}, status=201)


@require_GET
def show(request: HttpRequest, post_id: int) -> JsonResponse:
    """A public post with what Tailrace has made of its picture: its tables are there to be read."""
    post = Post.objects.filter(pk=post_id, visibility="public").first()
    if post is None:
        return _refused("there is no such post", status=404)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT variant, key, width, height FROM tailrace.media_renditions WHERE post_id = %s ORDER BY width",
            [str(post_id)],
        )
        found = [dict(zip(("variant", "key", "width", "height"), row, strict=True)) for row in cursor.fetchall()]
    return JsonResponse({"text": post.content, "image": post.image.name, "renditions": found})


@csrf_exempt
@require_POST
def forget_me(request: HttpRequest) -> JsonResponse:
    """The user's row stays, without a name, so no trigger can know that somebody is gone: the backend says so."""
    user = _user(request)
    if user is None:
        return _refused("send the header Authorization: Bearer, then your token", status=401)
    with transaction.atomic():
        user.username, user.email, user.first_name, user.last_name = f"gone-{user.pk}", "", "", ""
        user.is_active = False
        user.set_unusable_password()
        user.save()
        emit(connection, UserDeleted(user_id=user.pk, deleted_at=timezone.now()))
    return JsonResponse({"user_id": user.pk})


def _user(request: HttpRequest) -> User | None:
    """Whose token this is."""
    try:
        number = TimestampSigner().unsign(
            request.headers.get("Authorization", "").removeprefix("Bearer "), max_age=WEEK
        )
    except BadSignature:
        return None
    return User.objects.filter(pk=int(number), is_active=True).first()


def _refused(message: str, **more: Any) -> JsonResponse:
    return JsonResponse({"error": message}, **{"status": 400, **more})
