"""The names that ``import lava_align`` offers exist, and cost nothing until used."""

import subprocess
import sys

import pytest

import lava_align


@pytest.mark.parametrize("name", lava_align.__all__)
def test_every_public_name_can_be_used(name: str) -> None:
    assert getattr(lava_align, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        lava_align.nothing  # noqa: B018


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ["numpy", "brian2", "lava", "h5py", "pydantic", "rich", "matplotlib", "scipy", "click"]
    code = f"import lava_align, sys; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
