"""The language of --fail-if: its answers are Python's where everything is known, and nothing else gets in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.reporting.expression import Expression, ExpressionError

KNOWN = ("p90_ms", "psnr_db", "psnr_drop_db", "target", "threads")
ROW = {"p90_ms": 12.5, "psnr_db": 20.0, "psnr_drop_db": None, "target": "openvino", "threads": 1}


def holds(text):
    return Expression.parse(text, KNOWN).holds(ROW)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("p90_ms > 33", False),
        ("p90_ms > 10 and psnr_db >= 20", True),
        ("not p90_ms > 33", True),
        ("10 < p90_ms < 13", True),
        ("target == 'openvino' and p90_ms * threads > 12", True),
        ("(p90_ms - 2.5) / 2 == 5 or psnr_db < 1", True),
        ("-p90_ms < -12", True),
        ("psnr_drop_db > 0.1", None),
        ("psnr_drop_db > 0.1 or p90_ms > 10", True),
        ("psnr_drop_db > 0.1 and p90_ms > 33", False),
        ("psnr_drop_db > 0.1 and p90_ms > 10", None),
        ("not psnr_drop_db > 0.1", None),
        ("p90_ms / (threads - 1) > 3", None),
    ],
)
def test_answers(text, answer):
    assert holds(text) is answer


numbers = st.floats(0, 100, allow_nan=False).map(lambda x: f"{x:.3f}")
terms = st.one_of(numbers, st.sampled_from(["p90_ms", "psnr_db", "threads"]))
compared = st.tuples(terms, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), terms).map(" ".join)
rules = st.recursive(
    compared,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" and ", " or "]), inner).map(lambda t: f"({''.join(t)})"),
        inner.map(lambda t: f"not ({t})"),
    ),
    max_leaves=8,
)


@given(rules)
def test_agrees_with_python_where_all_is_known(text):
    assert holds(text) == eval(text, {"__builtins__": {}}, dict(ROW))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("p90 > 33", "no figure 'p90'.*did you mean .*p90_ms"),
        ("p90_ms >", "cannot read"),
        ("", "cannot read"),
        ("p90_ms", "neither true nor false"),
        ("p90_ms + 1", "neither true nor false"),
        ("__import__('os').system('id') == 0", "is not of this language"),
        ("p90_ms.real > 1", "is not of this language"),
        ("target[0] == 'o'", "is not of this language"),
        ("[x for x in target] == 1", "is not of this language"),
        ("(lambda: 1) == 1", "is not of this language"),
        ("p90_ms ** 9 > 1", "is not of this language"),
        ("p90_ms in target", "is not of this language"),
        ("p90_ms > True", "neither a number nor a quoted word"),
        ("p90_ms > b'x'", "neither a number nor a quoted word"),
        ("p90_ms > 1" + " or p90_ms > 1" * 100, "more than 1000 characters"),
        ("(" * 400 + "p90_ms > 1" + ")" * 400, "cannot read"),
        ("p90_ms > 1\x00", "cannot read"),
    ],
)
def test_what_is_not_of_the_language_is_refused_in_words(text, says):
    with pytest.raises(ExpressionError, match=f"(?s){says}"):
        Expression.parse(text, KNOWN)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        Expression.parse(text, KNOWN)
    except ExpressionError as error:
        assert "\n" not in str(error)


def test_words_and_numbers_do_not_compare():
    with pytest.raises(ExpressionError, match="a word and a number"):
        holds("target > 3")
