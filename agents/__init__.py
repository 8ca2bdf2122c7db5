"""The tasks of this application. A new one: its file here, its name in ``TASKS``, its test."""

from agents.process_media_upload import process_media_upload
from agents.send_welcome_email import send_welcome_email
from agents.update_post_engagement_scores import update_post_engagement_scores
from agents.update_user_statistics import update_user_statistics
from streams.task import Task

TASKS: tuple[Task, ...] = (
    send_welcome_email,
    process_media_upload,
    update_user_statistics,
    update_post_engagement_scores,
)
