"""Every error a caller may want to tell apart, each with the exit code the command line gives it.

A message names the object, the value, what is allowed and the way out. Problems are collected
and reported together, so a user repairs an input once and not once per mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """Exit codes of the command line, stable across releases."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    INVALID_INPUT = 3
    CONSTRAINT = 4
    DIFFERENT = 5
    INCONCLUSIVE = 6
    BACKEND = 7
    MISSING = 8
    INTERRUPTED = 130


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with an input.

    Parameters
    ----------
    where
        The object: a key path such as ``populations.lower.size``, or a file.
    value
        What was found there.
    allowed
        What would have been accepted, or the way out.
    """

    where: str
    value: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.where}: {self.value}; {self.allowed}"


class LavaAlignError(Exception):
    """Root of every error this package raises on purpose."""

    exit_code: ExitCode = ExitCode.INTERNAL


class _ProblemsError(LavaAlignError):
    """An error made of one or more problems, all reported at once."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = (
            (problems,) if isinstance(problems, Problem) else tuple(problems)
        )
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        # Exceptions cross process boundaries here; the default would replay the message alone.
        return type(self), (self.problems,)


class InvalidInputError(_ProblemsError):
    """A file, a value or an argument is not what it must be."""

    exit_code = ExitCode.INVALID_INPUT


class IntegrityError(InvalidInputError):
    """A stored file does not hold the bytes its manifest promises."""


class ConstraintViolationError(_ProblemsError):
    """The network asks for something the target cannot hold or express."""

    exit_code = ExitCode.CONSTRAINT


class BackendError(LavaAlignError):
    """A simulator failed, hung or died."""

    exit_code = ExitCode.BACKEND


class MissingDependencyError(LavaAlignError):
    """A library this call needs is not installed; the message says how to get it."""

    exit_code = ExitCode.MISSING


class InterruptedRunError(LavaAlignError):
    """A run was stopped by Ctrl-C.

    Parameters
    ----------
    recording : Recording, optional
        What was recorded until then, marked ``partial`` in its provenance; None if it is on disk.
    """

    exit_code = ExitCode.INTERRUPTED

    def __init__(self, message: str, recording: Any = None) -> None:
        super().__init__(message)
        self.recording = recording
