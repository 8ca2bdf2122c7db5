"""The contract of the events as an AsyncAPI 3 document, made of the Structs and the one table of topics."""

from collections.abc import Mapping
from inspect import cleandoc
from typing import Any

import msgspec

from schemas.events import ANNOUNCEMENTS, FACTS
from schemas.topics import TOPIC_BY_NAME, Topic

ASYNCAPI = "3.0.0"

HEADERS: dict[str, Any] = {
    "type": "object",
    "description": "CloudEvents 1.0 in Kafka's binary mode. Without ce_id an event said twice is two events.",
    "properties": {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": {"type": "string", "minLength": 1, "description": "With ce_source and ce_type, what the event is"},
        "ce_source": {"type": "string", "minLength": 1, "description": "/backend where it is absent"},
        "ce_type": {"type": "string", "description": "The topic's name without the deployment's prefix"},
        "ce_time": {"type": "string", "format": "date-time"},
        "content-type": {"type": "string", "const": "application/json"},
        "traceparent": {"type": "string", "description": "Goes on to what is done about the event"},
    },
}


def asyncapi_document(version: str, *, topic_prefix: str = "") -> dict[str, Any]:
    """The document as plain values. Tailrace receives the facts and sends the announcements.

    ``version`` is that of the application, ``topic_prefix`` what a deployment puts before its topics.
    """
    types: Mapping[str, type[msgspec.Struct]] = {**FACTS, **ANNOUNCEMENTS}
    _, schemas = msgspec.json.schema_components(types.values(), ref_template="#/components/schemas/{name}")
    return {
        "asyncapi": ASYNCAPI,
        "info": {
            "title": "Tailrace events",
            "version": version,
            "description": "Unknown fields are accepted. An event of an unknown version is a dead letter.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(TOPIC_BY_NAME[name], topic_prefix) for name in types},
        "operations": {_operation(name): _operates(name) for name in types},
        "components": {
            "messages": {name: _message(name, schema) for name, schema in types.items()},
            "messageTraits": {"cloudEvent": {"headers": HEADERS}},
            "schemas": schemas,
        },
    }


def _channel(topic: Topic, prefix: str) -> dict[str, Any]:
    return {
        "address": prefix + topic.name,
        "messages": {topic.name: {"$ref": f"#/components/messages/{topic.name}"}},
        "bindings": {"kafka": {"topic": prefix + topic.name, "partitions": topic.partitions}},
    }


def _operation(name: str) -> str:
    return f"{_action(name)}.{name}"


def _action(name: str) -> str:
    return "receive" if name in FACTS else "send"


def _operates(name: str) -> dict[str, Any]:
    return {
        "action": _action(name),
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
    }


def _message(name: str, schema: type[msgspec.Struct]) -> dict[str, Any]:
    key = TOPIC_BY_NAME[name].key
    return {
        "name": name,
        "summary": cleandoc(schema.__doc__ or name).partition("\n")[0],
        "contentType": "application/json",
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "payload": {"$ref": f"#/components/schemas/{schema.__name__}"},
        "bindings": {"kafka": {"key": {"type": "string", "description": f"The text of {key}"}}},
    }
