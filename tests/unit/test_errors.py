"""Errors: exit codes that stay, problems that survive a process boundary."""

import pickle

import pytest

from lava_align import errors
from lava_align.errors import ExitCode, InvalidInputError, Problem

TWO = (Problem("a.b", "3", "at most 2"), Problem("c", "missing", "this key is required"))


def test_a_problem_names_object_value_and_what_is_allowed():
    assert str(TWO[0]) == "a.b: 3; at most 2"


def test_all_problems_are_in_the_message():
    assert str(InvalidInputError(TWO)) == f"{TWO[0]}\n{TWO[1]}"


def test_one_problem_or_an_iterator_of_them_will_do():
    assert InvalidInputError(TWO[0]).problems == (TWO[0],)
    assert InvalidInputError(iter(TWO)).problems == TWO


@pytest.mark.parametrize(
    "kind", [errors.InvalidInputError, errors.IntegrityError, errors.ConstraintViolationError]
)
def test_problems_survive_pickling(kind):
    copy = pickle.loads(pickle.dumps(kind(TWO)))
    assert type(copy) is kind
    assert copy.problems == TWO
    assert str(copy) == str(kind(TWO))


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("LavaAlignError", 1),
        ("InvalidInputError", 3),
        ("IntegrityError", 3),
        ("ConstraintViolationError", 4),
        ("BackendError", 7),
        ("MissingDependencyError", 8),
    ],
)
def test_exit_codes_are_stable(kind, code):
    assert getattr(errors, kind).exit_code == code


def test_codes_of_outcomes_are_stable():
    codes = {code.name: code.value for code in ExitCode}
    assert codes == {
        "OK": 0,
        "INTERNAL": 1,
        "USAGE": 2,
        "INVALID_INPUT": 3,
        "CONSTRAINT": 4,
        "DIFFERENT": 5,
        "INCONCLUSIVE": 6,
        "BACKEND": 7,
        "MISSING": 8,
        "INTERRUPTED": 130,
    }
