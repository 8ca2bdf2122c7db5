"""The contracts that are handed out: JSON Schema of each event, and the AsyncAPI document."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from click.testing import CliRunner

from schemas.asyncapi import asyncapi_document
from schemas.events import ANNOUNCEMENTS, FACTS
from schemas.export import as_yaml, event_schemas
from streams.cli import cli
from tests.unit.test_schemas import EXAMPLES

META = Path(__file__).resolve().parents[1] / "vendor" / "asyncapi" / "asyncapi-3.0.0.json"


def _document() -> Any:
    return msgspec.yaml.decode(as_yaml(asyncapi_document("1.2.3", topic_prefix="shop.")))


def test_the_document_is_of_the_schema_of_asyncapi() -> None:
    jsonschema.Draft7Validator(json.loads(META.read_text())).validate(_document())


def test_what_asyncapi_does_not_know_is_found() -> None:
    wrong = _document() | {"chanels": {}}

    with pytest.raises(jsonschema.ValidationError, match="chanels"):
        jsonschema.Draft7Validator(json.loads(META.read_text())).validate(wrong)


def test_each_event_has_a_channel_and_is_received_or_sent() -> None:
    document = _document()

    actions = {operation["channel"]["$ref"]: operation["action"] for operation in document["operations"].values()}
    assert actions == {f"#/channels/{name}": "receive" for name in FACTS} | {
        f"#/channels/{name}": "send" for name in ANNOUNCEMENTS
    }
    assert {channel["address"] for channel in document["channels"].values()} == {f"shop.{n}" for n in event_schemas()}


def test_each_reference_of_the_document_leads_somewhere() -> None:
    document = _document()

    for reference in _references(document):
        place = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def _references(value: Any) -> list[str]:
    parts = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    own = [value["$ref"]] if isinstance(value, dict) and isinstance(value.get("$ref"), str) else []
    return own + [found for part in parts for found in _references(part)]


@pytest.mark.parametrize("event_type", EXAMPLES)
def test_an_event_is_of_its_json_schema_with_more_fields_and_of_no_other_version(event_type: str) -> None:
    schema = event_schemas()[event_type]
    example = msgspec.to_builtins(EXAMPLES[event_type])
    validator = jsonschema.Draft202012Validator(schema)

    jsonschema.Draft202012Validator.check_schema(schema)
    validator.validate(example | {"added_later": 1})
    assert not validator.is_valid(example | {"version": 2})


def test_the_command_prints_the_document_and_writes_it_with_the_schemas(tmp_path: Path) -> None:
    printed = CliRunner().invoke(cli, ["schema", "export", "--topic-prefix", "shop."])
    written = CliRunner().invoke(cli, ["schema", "export", str(tmp_path / "contracts")])

    assert msgspec.yaml.decode(printed.output)["channels"]["post.tagged"]["address"] == "shop.post.tagged"
    assert written.exit_code == 0
    assert {path.name for path in (tmp_path / "contracts").iterdir()} == {"asyncapi.yaml"} | {
        f"{event_type}.json" for event_type in event_schemas()
    }
