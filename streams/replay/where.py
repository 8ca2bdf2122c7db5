"""Which events are meant, by their fields: ``visibility == 'public' and 'cat' in hashtags``.

Python's parser reads the text, and nothing evaluates it: what it may hold is written down here, field by field.
"""

import ast
import difflib
import itertools
import operator
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from streams.instants import parse_instant

LONGEST = 2000
FORM = "write e.g. visibility == 'public' and ('cat' in hashtags or author_id in [7, 9]) and not image"

Value = Callable[[Any], Any]

ORDER: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}


class WrongExpression(Exception):
    """It cannot be read, or names a field that the event does not have; the message names the right ones."""


def parse_where(text: str, fact: type[msgspec.Struct]) -> Callable[[Any], bool]:
    """Whether a fact of this type is meant. What cannot be compared, such as a field that is absent, is not."""
    if len(text) > LONGEST:
        raise WrongExpression(f"the expression has {len(text):,} characters; at most {LONGEST:,} are read")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        compiled = _Reader(text, fact).value(tree.body)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise WrongExpression(f"{text!r} cannot be read ({error}); {FORM}") from error
    return lambda event: bool(compiled(event))


class _Reader:
    """Makes functions of the parts of one expression."""

    def __init__(self, text: str, fact: type[msgspec.Struct]) -> None:
        self._text = text
        info = msgspec.inspect.type_info(fact)
        assert isinstance(info, msgspec.inspect.StructType)
        self._fields = {field.encode_name: field.type for field in info.fields}

    def value(self, node: ast.expr) -> Value:
        match node:
            case ast.BoolOp(op=op, values=values):
                parts, decide = [self.value(part) for part in values], all if isinstance(op, ast.And) else any
                return lambda event: decide(part(event) for part in parts)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.value(operand)
                return lambda event: not inner(event)
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                return self._comparison([left, *comparators], ops)
            case ast.Name(id=name):
                return operator.attrgetter(self._known(name))
        constant = self._constant(node)
        return lambda _: constant

    def _comparison(self, sides: list[ast.expr], ops: list[ast.cmpop]) -> Value:
        with_instants = any(self._is_instant(side) for side in sides)
        values = [self._side(side, as_instant=with_instants) for side in sides]
        for op in ops:
            if type(op) not in ORDER:
                raise self._refused(ast.unparse(sides[0]))
        steps = [(ORDER[type(op)], *pair) for op, pair in zip(ops, itertools.pairwise(values), strict=True)]
        return lambda event: all(_holds(compare, left(event), right(event)) for compare, left, right in steps)

    def _side(self, node: ast.expr, *, as_instant: bool) -> Value:
        if as_instant and isinstance(node, ast.Constant) and isinstance(node.value, str):
            instant = parse_instant(node.value)
            return lambda _: instant
        return self.value(node)

    def _is_instant(self, node: ast.expr) -> bool:
        kind = self._fields.get(node.id) if isinstance(node, ast.Name) else None
        return isinstance(kind, msgspec.inspect.DateTimeType)

    def _known(self, name: str) -> str:
        if name in self._fields:
            return name
        near = difflib.get_close_matches(name, self._fields, n=1, cutoff=0.5)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise WrongExpression(f"the event has no field {name!r}{hint}; its fields are {', '.join(self._fields)}")

    def _constant(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=str() | int() | float() | None as value):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                return -value
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                return [self._constant(part) for part in parts]
        raise self._refused(ast.unparse(node))

    def _refused(self, part: str) -> WrongExpression:
        return WrongExpression(
            f"{part[:80]!r} is not possible here: fields, values, == != < <= > >= in, and, or, not are; {FORM}"
        )


def _holds(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    if isinstance(left, datetime) != isinstance(right, datetime) and compare is not operator.ne:
        return False
    try:
        return bool(compare(left, right))
    except TypeError:
        return False
