"""The compiled engine, which is optional; everything else is in pyproject.toml."""

from typing import Any

from setuptools import setup

SOURCES = ("kernels", "projection", "plastic", "custom", "network", "module")


def extensions() -> list[Any]:
    """Describe the extension, or none where it cannot be built."""
    from pybind11.setup_helpers import Pybind11Extension

    core = Pybind11Extension(
        "lava_align.engine._core",
        [f"lava_align/engine/core/{name}.cpp" for name in SOURCES],
        include_dirs=["lava_align/engine/core"],
        depends=[
            f"lava_align/engine/core/{name}"
            for name in (
                "custom.hpp",
                "forward.inc",
                "hash.hpp",
                "kernels.hpp",
                "kernels.inc",
                "lanes.inc",
                "learning.inc",
                "lines.inc",
                "memory.hpp",
                "narrow.inc",
                "neurons.inc",
                "network.hpp",
                "pool.hpp",
                "projection.hpp",
                "rule.hpp",
            )
        ],
        cxx_std=17,
        # Contraction would round trace decays once where NumPy rounds twice.
        extra_compile_args=["-O3", "-ffp-contract=off", "-pthread", "-g0"],
        extra_link_args=["-pthread"],
    )
    # Without a compiler the package installs and runs on NumPy.
    core.optional = True
    return [core]


setup(ext_modules=extensions())
