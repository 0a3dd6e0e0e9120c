"""The entry point: finds commands lazily, turns errors into messages and exit codes."""

from __future__ import annotations

import importlib
import json
import os
import sys
import warnings
from typing import Any

import click

from lava_align._version import __version__
from lava_align.errors import ExitCode, LavaAlignError

# Help lines stand here so that `lava-align --help` imports no command.
COMMANDS = {
    "deploy": "Compile, simulate, compare with the reference, report and bundle.",
    "compile": "Compile an experiment for a target; show what was rounded and what fits.",
    "run": "Simulate an experiment on one backend and keep the recording.",
    "validate": "Compare a recording with the Brian2 reference.",
    "replay": "Learn feedback weights from recorded spikes (NWB, Neo, npz, a recording).",
    "rates": "Run a rule on rates: the reference, and the chip's synapses on its signals.",
    "report": "Write the HTML report of a deployment folder again.",
    "verify": "Check a bundle: hashes, limits, golden run. Trusts nothing in it.",
    "rounding": "Show what Lava's shared random number does to the learned weights.",
    "reproduce": "Redraw a paper's figure: STDWI, SAL, RDD, regimes, robustness.",
    "rules": "List the alignment rules, what they need and where they fit.",
    "targets": "List the hardware targets and their limits.",
    "example": "Write a packaged experiment file to start from.",
    "doctor": "Say what is installed and which backends work here.",
}

HELP = """Weight-alignment rules on Loihi-class chips, validated against a Brian2 reference.

\b
Start with:
  lava-align example --out digits.toml
  lava-align deploy digits.toml --target loihi2 --out runs/digits
"""

EXIT_CODES = """\b
Exit codes:
  0  success (for deploy and validate: EQUIVALENT)
  1  internal error
  2  usage error
  3  invalid input
  4  constraint violation: the target cannot hold this
  5  DIFFERENT
  6  INCONCLUSIVE
  7  backend failure
  8  a library is missing
  130  interrupted"""


class _ReaderGoneError(Exception):
    """The reader of our output (`head`, say) has gone."""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"lava_align.cli.{cmd_name}_command")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Click would exit with 1, which is our code for internal errors.
            raise _ReaderGoneError from None


@click.group(
    cls=_LazyGroup,
    help=HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EXIT_CODES,
)
@click.version_option(__version__, prog_name="lava-align")
def cli() -> None:
    """Hold the commands together; what they share is in ``main``."""


def main() -> None:
    """Run the command line and exit with the code of what happened."""
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        code = _run()
    sys.exit(code)


def _show_warning(
    message: Warning | str, category: type[Warning], *where: Any, **more: Any
) -> None:
    """Show a warning in words; the line of code it came from is not the user's."""
    if not issubclass(category, DeprecationWarning):  # those are for the libraries' authors
        click.echo(f"Warning: {message}", err=True)


def _run() -> int:
    try:
        code = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("Interrupted; nothing half-written was kept.", err=True)
        return ExitCode.INTERRUPTED
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except LavaAlignError as error:
        problems = [str(p) for p in getattr(error, "problems", ())] or [str(error)]
        kind = type(error).__name__.removesuffix("Error")
        return _report(kind, problems, error.exit_code)
    except MemoryError as error:
        return _report("OutOfMemory", [str(error) or "too large"], ExitCode.INVALID_INPUT)
    except (_ReaderGoneError, BrokenPipeError):
        # Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    return int(code) if isinstance(code, int) else ExitCode.OK


def _report(kind: str, problems: list[str], exit_code: ExitCode) -> ExitCode:
    if "--json" in sys.argv:
        content = {"error": kind, "problems": problems, "exit_code": int(exit_code)}
        click.echo(json.dumps(content, indent=2))
    elif len(problems) == 1:
        click.echo(f"Error ({_words(kind)}): {problems[0]}", err=True)
    else:
        lines = (f"  {problem}" for problem in problems)
        heading = f"Error ({_words(kind)}), {len(problems)} problems:"
        click.echo("\n".join((heading, *lines)), err=True)
    return exit_code


def _words(name: str) -> str:
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()
