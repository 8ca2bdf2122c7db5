"""Arguments of a task as people give them: checked before anything is queued, with words that name the right ones."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from streams.task import Task

FORMATS = {"date-time": "an instant such as 2026-03-04T12:00:00Z", "date": "a date", "uuid": "a UUID"}
KINDS = {
    "integer": "an integer",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "null": "null",
    "object": "an object",
}

NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""As JSON writes it; a backslash before it would make it something else."""


class UnknownTask(Exception):
    """No task has this name; the message names the nearest and all."""


class WrongArguments(Exception):
    """The arguments are not the task's; the message names each wrong one and those that it takes."""


def find_task(tasks: Iterable[Task], name: str) -> Task:
    """The task of this name. Raises ``UnknownTask``."""
    by_name = {task.name: task for task in tasks}
    if name in by_name:
        return by_name[name]
    raise UnknownTask(f"there is no task {name!r}{_nearest(name, by_name)}; the tasks are {', '.join(sorted(by_name))}")


def check_arguments(task: Task, args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by name as a command carries them, with the defaults of those that are not given.

    Raises ``WrongArguments``.
    """
    problems = [*_unknown(task, args), *_missing(task, args)]
    if not problems:
        try:
            checked = msgspec.convert(dict(args), task.args_type)
        except msgspec.ValidationError as error:
            problems = [_said(str(error))]
        else:
            encoded = msgspec.json.encode(checked)
            if not NUL.search(encoded):
                found: dict[str, Any] = msgspec.json.decode(encoded)
                return found
            problems = ["a text holds the character NUL, which PostgreSQL cannot store"]
    raise WrongArguments(f"wrong arguments for {task.name}: {'; '.join(problems)}. It takes {describe(task)}")


def parse_arguments(task: Task, text: str) -> dict[str, Any]:
    """As ``check_arguments``, of a JSON object. Raises ``WrongArguments``."""
    try:
        args = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise WrongArguments(
            f"the arguments are not JSON ({error}); write e.g. '{example(task)}', in single quotes"
        ) from error
    if not isinstance(args, dict):
        raise WrongArguments(f"the arguments are a JSON object by name, e.g. '{example(task)}', not {text[:80]}")
    return check_arguments(task, args)


def describe(task: Task) -> str:
    """Each argument of the task with its type, and whether it can be left out."""
    shown = [
        f"{field.encode_name} ({_type_of(field.type)}{'' if field.required else ', optional'})"
        for field in _fields(task)
    ]
    return ", ".join(shown) or "none"


def example(task: Task) -> str:
    """A JSON object with the arguments that the task needs."""
    needed = ", ".join(f'"{field.encode_name}": ...' for field in _fields(task) if field.required)
    return "{" + needed + "}"


def _fields(task: Task) -> Sequence[msgspec.structs.FieldInfo]:
    return msgspec.structs.fields(task.args_type)


def _unknown(task: Task, args: Mapping[str, Any]) -> list[str]:
    known = [field.encode_name for field in _fields(task)]
    return [f"there is no argument {name!r}{_nearest(name, known)}" for name in args if name not in known]


def _missing(task: Task, args: Mapping[str, Any]) -> list[str]:
    return [
        f"{field.encode_name} is missing" for field in _fields(task) if field.required and field.encode_name not in args
    ]


def _said(message: str) -> str:
    """msgspec's ``Expected `int`, got `str` - at `$.user_id` `` with the argument's name in front."""
    what, _, place = message.partition(" - at `$.")
    return f"{place.rstrip('`')}: {what}" if place else what


def _nearest(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f" (did you mean {found[0]}?)" if found else ""


def _type_of(hint: Any) -> str:
    schema = msgspec.json.schema(hint)
    return _shown(schema, schema.get("$defs", {}))


def _shown(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """A JSON schema in the words of people."""
    if "anyOf" in schema:
        return " or ".join(_shown(part, definitions) for part in schema["anyOf"])
    if "$ref" in schema:
        return _shown(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    if "enum" in schema:
        return "one of " + ", ".join(msgspec.json.encode(value).decode() for value in schema["enum"])
    if "format" in schema:
        return FORMATS.get(schema["format"], str(schema["format"]))
    if schema.get("type") == "array":
        items = schema.get("items")
        return f"a list, each {_shown(items, definitions)}" if isinstance(items, dict) and items else "a list"
    return KINDS.get(schema.get("type", ""), "anything")
