"""The command line, in this process and in an empty folder."""

import sys

import pytest

from lava_align.cli.main import main


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Run the command line; give exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lava-align", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capsys.readouterr()
        return caught.value.code, out, err

    return run
