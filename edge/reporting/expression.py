"""The small language of ``--fail-if``: ``p90_ms > 33 or psnr_drop_db > 0.1``.

Names are the row's figures; there are numbers, quoted words, ``+ - * /``, comparisons, ``and or not`` and brackets,
with Python's precedence, and nothing else: no calls, no attributes, no indices. Python's parser reads it, nothing is
ever executed.

A figure that was not measured makes what depends on it unknown (Kleene's three-valued logic: ``True or unknown`` is
True); a rule that comes out unknown says nothing about the row.
"""

from __future__ import annotations

import ast
import difflib
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edge.errors import WrongCall

LONGEST = 1000
ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
COMPARISONS: dict[type, Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
Value = float | str | bool | None


class ExpressionError(WrongCall):
    """An expression that is not of the language."""


@dataclass(frozen=True)
class Expression:
    """A rule, read and checked.

    Attributes:
        text: as it was written.
        names: the figures that it uses.
    """

    text: str
    names: tuple[str, ...]
    _tree: ast.expr

    @staticmethod
    def parse(text: str, known: tuple[str, ...]) -> Expression:
        """Read a rule.

        Args:
            known: the names that it may use.

        Raises:
            ExpressionError: it cannot be read, or uses what the language does not have; the message says where.
        """
        if len(text) > LONGEST:
            raise ExpressionError(f"the expression has more than {LONGEST} characters")
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            place = f" at character {error.offset}" if isinstance(error, SyntaxError) and error.offset else ""
            reason = error.msg if isinstance(error, SyntaxError) else str(error)
            raise ExpressionError(f"cannot read {text!r}{place}: {reason}; write for example p90_ms > 33") from None
        _check(tree, text, known)
        if not isinstance(tree, ast.Compare | ast.BoolOp) and not (
            isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Not)
        ):
            raise ExpressionError(f"{text!r} is neither true nor false; compare it with something: {text.strip()} > 33")
        names = tuple(dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name)))
        return Expression(text, names, tree)

    def holds(self, figures: Mapping[str, Any]) -> bool | None:
        """Whether the rule holds for a row; None where it depends on a figure that was not measured.

        Raises:
            ExpressionError: a word is compared with a number, or added to one.
        """
        try:
            value = _value(self._tree, figures)
        except TypeError:
            raise ExpressionError(f"{self.text!r} compares or adds a word and a number") from None
        return None if value is None else bool(value)


def _check(node: ast.AST, text: str, known: tuple[str, ...]) -> None:
    allowed = (ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.BinOp, ast.Compare, ast.Load)
    if isinstance(node, ast.Name):
        if node.id not in known:
            near = difflib.get_close_matches(node.id, known, 3) or [n for n in known if node.id in n][:3]
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
            raise ExpressionError(f"there is no figure {node.id!r} in {text!r}: {hint}")
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool) or not isinstance(node.value, int | float | str):
            raise ExpressionError(f"{text!r}: {node.value!r} is neither a number nor a quoted word")
    elif not isinstance(node, (*allowed, *ARITHMETIC, *COMPARISONS)):
        part = ast.get_source_segment(text.strip(), node) if hasattr(node, "lineno") else None
        raise ExpressionError(
            f"{text!r}: {(part or type(node).__name__)!r} is not of this language, which has figures, numbers, quoted "
            "words, + - * /, comparisons, and, or, not, brackets"
        )
    for child in ast.iter_child_nodes(node):
        _check(child, text, known)


def _value(node: ast.expr, figures: Mapping[str, Any]) -> Value:
    if isinstance(node, ast.Constant):
        return node.value  # type: ignore[return-value]
    if isinstance(node, ast.Name):
        return figures[node.id]
    if isinstance(node, ast.UnaryOp):
        value = _value(node.operand, figures)
        if value is None:
            return None
        return not value if isinstance(node.op, ast.Not) else -value  # type: ignore[operator]
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left, figures), _value(node.right, figures)
        if left is None or right is None:
            return None
        try:
            return ARITHMETIC[type(node.op)](left, right)
        except ZeroDivisionError:
            return None
    if isinstance(node, ast.BoolOp):
        return _both_or_either(node, figures)
    assert isinstance(node, ast.Compare)
    return _compared(node, figures)


def _both_or_either(node: ast.BoolOp, figures: Mapping[str, Any]) -> bool | None:
    decides = isinstance(node.op, ast.Or)
    values = [_value(part, figures) for part in node.values]
    if any(value is not None and bool(value) == decides for value in values):
        return decides
    return None if any(value is None for value in values) else not decides


def _compared(node: ast.Compare, figures: Mapping[str, Any]) -> bool | None:
    """A chain such as ``3 < p90_ms < 5``."""
    values = [_value(part, figures) for part in (node.left, *node.comparators)]
    unknown = False
    for compare, left, right in zip(node.ops, values, values[1:], strict=False):
        if left is None or right is None:
            unknown = True
        elif isinstance(left, str) != isinstance(right, str):
            raise TypeError
        elif not COMPARISONS[type(compare)](left, right):
            return False
    return None if unknown else True
