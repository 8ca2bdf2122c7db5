"""Users and who follows whom."""

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """Django's user with a profile."""

    email = models.EmailField()
    bio = models.TextField(default="")
    avatar = models.ImageField(upload_to="avatars/", null=True, max_length=100)
    birth_date = models.DateField(null=True)
    location = models.CharField(max_length=100, default="")
    website = models.URLField(default="")
    is_verified = models.BooleanField(default=False)
    followers_count = models.IntegerField(default=0)
    following_count = models.IntegerField(default=0)
    posts_count = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "users"


class Follow(models.Model):
    """Holds once for each pair."""

    follower = models.ForeignKey(User, models.CASCADE, related_name="following")
    following = models.ForeignKey(User, models.CASCADE, related_name="followers")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "follows"
        constraints = [models.UniqueConstraint(fields=["follower", "following"], name="one_follow_a_pair")]


class Notification(models.Model):
    """What a user is told, perhaps about a row of any table."""

    recipient = models.ForeignKey(User, models.CASCADE, related_name="notifications")
    sender = models.ForeignKey(User, models.CASCADE, null=True, related_name="+")
    notification_type = models.CharField(max_length=20)
    message = models.TextField(default="")
    is_read = models.BooleanField(default=False)
    content_type = models.ForeignKey("contenttypes.ContentType", models.CASCADE, null=True)
    object_id = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "notifications"


class Report(models.Model):
    """A complaint about a row of any table."""

    reporter = models.ForeignKey(User, models.CASCADE)
    content_type = models.ForeignKey("contenttypes.ContentType", models.CASCADE)
    object_id = models.PositiveIntegerField()
    reason = models.CharField(max_length=50)
    description = models.TextField(default="")
    status = models.CharField(max_length=20, default="pending")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "reports"
