"""The cases of what deletes, forgets and tells, for the contract of all tasks."""

from agents.cleanup_expired_tokens import CleanupExpiredTokens
from agents.cleanup_old_notifications import CleanupOldNotifications
from agents.cleanup_old_posts import CleanupOldPosts
from agents.cleanup_old_renditions import CleanupOldRenditions
from agents.purge_deleted_posts import PurgeDeletedPosts
from agents.send_notification import SendNotification
from tests.clean_up import (
    a_recipient,
    expired_and_live_sessions,
    notifications,
    old_and_new_notifications,
    session_keys,
)
from tests.forgetting import (
    a_mail_to_a_user,
    post_deleted,
    recipients,
    rendered_posts,
    two_rendered_posts,
    user_deleted,
)
from tests.leftovers import an_old_rendition_and_a_fresh_one, leftovers
from tests.old_posts import an_old_post, an_overdue_post_and_a_fresh_one, in_the_bin, posts_left
from tests.task_case import Case

CLEAN_UP = {
    "cleanup_expired_tokens": Case(CleanupExpiredTokens(), expired_and_live_sessions, session_keys),
    "cleanup_old_notifications": Case(CleanupOldNotifications(), old_and_new_notifications, notifications),
    "cleanup_old_renditions": Case(CleanupOldRenditions(), an_old_rendition_and_a_fresh_one, leftovers),
    "cleanup_old_posts": Case(CleanupOldPosts(), an_old_post, posts_left),
    "purge_deleted_posts": Case(PurgeDeletedPosts(), an_overdue_post_and_a_fresh_one, in_the_bin),
    "forget_user": Case(user_deleted, a_mail_to_a_user, recipients),
    "forget_post": Case(post_deleted, two_rendered_posts, rendered_posts),
    "send_notification": Case(SendNotification(recipient_id=7, message="hello"), a_recipient, notifications),
}
