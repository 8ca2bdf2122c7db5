"""What people post, and what others do with it."""

from django.conf import settings
from django.db import models


class Post(models.Model):
    """Text with a picture or a video."""

    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    content = models.TextField()
    image = models.ImageField(upload_to="posts/", null=True, max_length=100)
    video = models.FileField(upload_to="videos/", null=True, max_length=100)
    visibility = models.CharField(max_length=20, default="public")
    is_pinned = models.BooleanField(default=False)
    likes_count = models.IntegerField(default=0)
    comments_count = models.IntegerField(default=0)
    shares_count = models.IntegerField(default=0)
    views_count = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "posts"


class Comment(models.Model):
    """What others say to a post."""

    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    post = models.ForeignKey(Post, models.CASCADE)
    parent = models.ForeignKey("self", models.CASCADE, null=True)
    content = models.TextField()
    likes_count = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "comments"


class Hashtag(models.Model):
    """Every tag that was ever used."""

    name = models.CharField(max_length=100, unique=True)
    posts_count = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "hashtags"


class PostHashtag(models.Model):
    """A tag of a post."""

    post = models.ForeignKey(Post, models.CASCADE)
    hashtag = models.ForeignKey(Hashtag, models.CASCADE)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "post_hashtags"
        constraints = [models.UniqueConstraint(fields=["post", "hashtag"], name="one_tag_a_post")]


class Like(models.Model):
    """Of a post or a comment."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    content_type = models.ForeignKey("contenttypes.ContentType", models.CASCADE)
    object_id = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "likes"
        constraints = [models.UniqueConstraint(fields=["user", "content_type", "object_id"], name="one_like_a_thing")]


class Share(models.Model):
    """Of a post."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    post = models.ForeignKey(Post, models.CASCADE)
    share_type = models.CharField(max_length=20, default="repost")
    comment = models.TextField(default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "shares"


class Bookmark(models.Model):
    """Of a post."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    post = models.ForeignKey(Post, models.CASCADE)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "bookmarks"
        constraints = [models.UniqueConstraint(fields=["user", "post"], name="one_bookmark_a_post")]
