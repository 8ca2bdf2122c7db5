"""Settings fail at start, by name, and never show a password."""

import traceback
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.durations import format_duration, parse_duration
from streams.settings import FIELDS, Settings, SettingsError, without_password

SECRET = "hunter2/with@all:sorts?of#signs"


def _refused(**environ: str) -> str:
    """Everything that a reader sees of the refusal, the chain of causes included."""
    with pytest.raises(SettingsError) as refusal:
        Settings.load(environ)
    return "".join(traceback.format_exception(refusal.value, chain=True)) + str(refusal.value)


def test_without_variables_the_defaults_hold() -> None:
    settings = Settings.load({})

    assert settings.kafka.bootstrap_servers == "127.0.0.1:9092"
    assert settings.worker.lease == timedelta(seconds=15)
    assert settings.http.host == "127.0.0.1"


def test_each_kind_of_value_is_read_from_its_variable() -> None:
    settings = Settings.load(
        {
            "TAILRACE_HTTP__PORT": "0",
            "TAILRACE_MEDIA__ROOT": "/srv/media",
            "TAILRACE_TASKS__WELCOME_MAX_AGE": "3d",
            "TAILRACE_LOG__FORMAT": "json",
            "TAILRACE_BACKEND__TABLES": '{"users": "accounts_user"}',
            "PATH": "not ours",
        }
    )

    assert settings.http.port == 0
    assert settings.media.root == Path("/srv/media")
    assert settings.tasks.welcome_max_age == timedelta(days=3)
    assert settings.log.format == "json"
    assert settings.backend.tables == {"users": "accounts_user"}


def test_an_unknown_name_is_refused_with_the_nearest_valid_one() -> None:
    message = _refused(TAILRACE_KAFKA__BOOTSTRAP_SERVER="127.0.0.1:9092")

    assert "TAILRACE_KAFKA__BOOTSTRAP_SERVER is not a setting" in message
    assert "the nearest is TAILRACE_KAFKA__BOOTSTRAP_SERVERS" in message


def test_every_unknown_name_is_listed_at_once() -> None:
    message = _refused(TAILRACE_HTTP__PROT="80", TAILRACE_LOGLEVEL="info")

    assert "TAILRACE_HTTP__PORT" in message
    assert "TAILRACE_LOG__LEVEL" in message


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("TAILRACE_HTTP__PORT", "99999", "less than or equal to 65535"),
        ("TAILRACE_HTTP__PORT", "eighty", "valid integer"),
        ("TAILRACE_LOG__FORMAT", "xml", "'console' or 'json'"),
        ("TAILRACE_SMTP__TIMEOUT", "soon", "e.g. 30s"),
        ("TAILRACE_DATABASE__POOL_SIZE", "1", "greater than or equal to 2"),
        ("TAILRACE_KAFKA__SECURITY_PROTOCOL", "TLS", "'SASL_SSL'"),
        ("TAILRACE_KAFKA__TOPIC_PREFIX", "a b", "match pattern"),
        ("TAILRACE_BACKEND__TABLES", "users=accounts_user", "a JSON object"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_the_value_and_what_is_allowed(
    name: str, value: str, allowed: str
) -> None:
    message = _refused(**{name: value})

    assert name in message
    assert value in message
    assert allowed in message


def test_json_of_another_shape_is_refused_with_the_shape_that_is_expected() -> None:
    assert "valid dictionary" in _refused(TAILRACE_BACKEND__TABLES='["users"]')
    assert "valid string" in _refused(TAILRACE_BACKEND__COLUMNS='{"users.email": 5}')


def test_every_wrong_value_is_listed_at_once() -> None:
    message = _refused(TAILRACE_HTTP__PORT="-1", TAILRACE_LOG__LEVEL="loud")

    assert "TAILRACE_HTTP__PORT" in message
    assert "TAILRACE_LOG__LEVEL" in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TAILRACE_DATABASE__URL", f"mysql://app:{SECRET}@db/backend"),
        ("TAILRACE_DATABASE__URL", f"app:{SECRET}@db/backend"),
        ("TAILRACE_DATABASE__DIRECT_URL", f"http://db/backend?password={SECRET}"),
        ("TAILRACE_SMTP__URL", f"http://mailer:{SECRET}@mail:25"),
    ],
)
def test_a_password_never_appears_in_a_message(name: str, value: str) -> None:
    message = _refused(**{name: value})

    assert name in message
    assert "***" in message
    assert "hunter2" not in message
    assert "of#signs" not in message


def test_a_secret_that_is_wrong_is_not_quoted() -> None:
    message = _refused(TAILRACE_HTTP__TOKEN="too short")

    assert "TAILRACE_HTTP__TOKEN=***" in message
    assert "at least 16 characters" in message
    assert "too short" not in message


def test_an_address_without_a_password_is_shown_as_it_is() -> None:
    for address in ("smtp://127.0.0.1:25", "postgresql://app@db:5432/backend", "127.0.0.1:9092"):
        assert without_password(address) == address


def test_each_setting_has_one_variable() -> None:
    assert all(name == f"TAILRACE_{group}__{field}".upper() for name, (group, field) in FIELDS.items())
    assert len(FIELDS) == sum(len(type(group).model_fields) for _, group in Settings())


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("1.5s", timedelta(seconds=1.5)),
        ("90s", timedelta(seconds=90)),
        ("5m", timedelta(minutes=5)),
        (" 2h ", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
    ],
)
def test_a_duration_is_read(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "5", "5 s", "-5s", "5w", "s", "1h30m", "nan s"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"e\.g\. 30s"):
        parse_duration(text)


@given(st.integers(0, 10**10))
def test_a_duration_that_was_written_is_read_back(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)

    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("TAILRACE_SMTP__URL", "smtp://mail:abc", "user:password@host:port"),
        ("TAILRACE_SMTP__URL", "smtps+starttls://mail", "smtp+starttls://"),
        ("TAILRACE_SMTP__SENDER", "nobody", "Name <name@example.org>"),
        ("TAILRACE_DATABASE__URL", "postgresql://u:s3cr/et@host:5432/d", "special characters of the password as %XX"),
        ("TAILRACE_DATABASE__DIRECT_URL", "postgresql://u:s3cret@host:port/d", "host:port/database"),
        ("TAILRACE_KAFKA__CA_FILE", "/nowhere/ca.pem", "no such file"),
        ("TAILRACE_KAFKA__BOOTSTRAP_SERVERS", "kafka", "host:port, or several"),
        ("TAILRACE_WORKER__LEASE", "0s", "more than 0"),
        ("TAILRACE_BACKEND__TABLES", '{"usres": "x"}', "the nearest is 'users'"),
    ],
)
def test_a_value_that_cannot_work_is_refused_at_start(name: str, value: str, allowed: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.load({name: value})

    message = str(refused.value)
    assert name in message
    assert allowed in message
    assert "s3cr" not in message


def test_a_login_that_lacks_its_half_is_refused_and_the_password_not_shown() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.load({"TAILRACE_KAFKA__SECURITY_PROTOCOL": "SASL_SSL", "TAILRACE_KAFKA__PASSWORD": "s3cret"})

    assert "TAILRACE_KAFKA__USERNAME" in str(refused.value)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("file:///media", "{}", "write s3://bucket/prefix"),
        ("s3://", "{}", "write s3://bucket/prefix"),
        ("s3://me:hunter2@bucket", "{}", "write s3://bucket/prefix"),
        ("s3://bucket", '{"secret_acess_key": "hunter2"}', "the nearest is secret_access_key"),
        ("s3://bucket", '{"secret_access_key": "hunter2"', "a JSON object is expected"),
        ("s3://bucket", '{"virtual_hosted_style_request": "hunter2"}', "cannot be used"),
        ("az://container", "{}", "Account must be specified"),
        ("", '{"region": "x"}', "write s3://bucket/prefix"),
    ],
)
def test_a_storage_that_cannot_be_is_refused_without_its_secrets(url: str, options: str, said: str) -> None:
    message = _refused(TAILRACE_MEDIA__STORAGE=url, TAILRACE_MEDIA__STORAGE_OPTIONS=options)

    assert said in message
    assert "hunter2" not in message or "virtual_hosted" in options
