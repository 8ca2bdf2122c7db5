"""The tasks of this application. A new one: its file here, its name in ``TASKS``, its test."""

from agents.cleanup_expired_tokens import cleanup_expired_tokens
from agents.cleanup_old_notifications import cleanup_old_notifications
from agents.cleanup_old_posts import cleanup_old_posts
from agents.cleanup_old_renditions import cleanup_old_renditions
from agents.forget_post import forget_post
from agents.forget_user import forget_user
from agents.generate_content_analytics import generate_content_analytics
from agents.process_media_upload import process_media_upload
from agents.purge_deleted_posts import purge_deleted_posts
from agents.send_content_digest_email import send_content_digest_email
from agents.send_digest import send_digest
from agents.send_notification import send_notification
from agents.send_welcome_email import send_welcome_email
from agents.update_post_engagement_scores import update_post_engagement_scores
from agents.update_trending_hashtags import update_trending_hashtags
from agents.update_user_statistics import update_user_statistics
from streams.task import Task

TASKS: tuple[Task, ...] = (
    send_welcome_email,
    send_content_digest_email,
    send_digest,
    process_media_upload,
    update_user_statistics,
    generate_content_analytics,
    update_post_engagement_scores,
    update_trending_hashtags,
    cleanup_expired_tokens,
    cleanup_old_notifications,
    cleanup_old_posts,
    cleanup_old_renditions,
    purge_deleted_posts,
    forget_user,
    forget_post,
    send_notification,
)
