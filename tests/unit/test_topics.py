"""The one table of topics and queues, and the names of a backend's tables."""

from datetime import timedelta

import pytest

from schemas.backend import backend_tables
from schemas.events import FACTS
from schemas.topics import QUEUES, TOPIC_BY_NAME, dead_letter_topic


def test_each_topic_that_workers_read_has_a_dead_letter_topic_that_keeps_for_ever() -> None:
    for name in (*FACTS, *(queue.topic for queue in QUEUES)):
        assert TOPIC_BY_NAME[dead_letter_topic(name)].retention is None


def test_queues_keep_for_ever_and_facts_at_least_eight_days() -> None:
    assert all(TOPIC_BY_NAME[queue.topic].retention is None for queue in QUEUES)
    for name in FACTS:
        retention = TOPIC_BY_NAME[name].retention
        assert retention
        assert retention >= timedelta(days=8)


def test_queues_have_the_priorities_that_were_promised() -> None:
    assert {queue.name: queue.priority for queue in QUEUES} == {
        "media": 9,
        "emails": 8,
        "users": 7,
        "analytics": 5,
        "maintenance": 3,
        "default": 1,
    }


def test_tables_and_columns_of_a_backend_may_have_other_names() -> None:
    backend = backend_tables("social", {"users": "accounts_user"}, {"users.email": "mail"})

    assert backend.users.fullname == "social.accounts_user"
    assert backend.users.c.email.name == "mail"
    assert next(iter(backend.posts.c.author_id.foreign_keys)).column.table is backend.users


def test_an_unknown_table_or_column_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="no table 'user'; the nearest is 'users'"):
        backend_tables(tables={"user": "accounts_user"})
    with pytest.raises(ValueError, match=r"no column 'users\.mail'; the nearest is 'users\.email'"):
        backend_tables(columns={"users.mail": "mail"})
