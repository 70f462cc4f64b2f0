"""Learning rules as text and data.  Formulas: facts from rules run on Loihi 1 (pelenet)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule.errors import UsageError
from picojoule.rule import Factor, Rule, Term, parse
from picojoule.rule.rule import EPOCHS, GATES, VARIABLES


def test_pair_stdp():
    rule = parse("dw = x1*y0/4 - y1*x0/4")
    assert rule == Rule(
        "w",
        (
            Term(1, -2, (Factor("x1"), Factor("y0"))),
            Term(-1, -2, (Factor("y1"), Factor("x0"))),
        ),
    )


def test_powers_constants_signs():
    rule = parse("dt = -3*2^-4*w^2*y0 + sgn(w)*(x1 - 5)*u3")
    assert rule.terms[0] == Term(-3, -4, (Factor("w"), Factor("w"), Factor("y0")))
    assert rule.terms[1].factors == (Factor("w", sign=True), Factor("x1", -5), Factor("u3"))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("dw = x1*x2", "no gate"),
        ("dw = 9*x0", "mantissa 9"),
        ("dw = 2^-9*x0", "exponent -9"),
        ("dw = x0/3", "powers of two"),
        ("dw = q7*x0", "no factor"),
        ("dw = __import__('os')", "no factor"),
        ("w = x0", "write it as"),
        ("dw = (", "cannot be read"),
        ("dw = " + "(" * 900 + "x0" + ")" * 900, "cannot be read"),
        ("dz = x0", "only dw"),
    ],
)
def test_faults(text, word):
    with pytest.raises(UsageError, match=word):
        parse(text)


def test_all_faults_at_once():
    with pytest.raises(UsageError) as caught:
        parse("dw = 9*x0 + x1")
    assert len(caught.value.faults) == 2


factors = st.builds(Factor, st.sampled_from(VARIABLES), st.integers(-9, 9))
gates = st.builds(Factor, st.sampled_from(GATES))
terms = st.builds(
    lambda m, e, fs, gate: Term(m, e, (*fs, gate)),
    st.integers(-8, 7).filter(bool), st.integers(-7, 8), st.lists(factors, max_size=4), gates,
)  # fmt: skip


@given(st.builds(Rule, st.sampled_from("wdt"), st.lists(terms, min_size=1).map(tuple)))
def test_print_parse_round_trip(rule):
    assert parse(str(rule)) == rule


def test_epoch_gates_are_variables():
    assert set(EPOCHS) <= set(GATES) <= set(VARIABLES)
