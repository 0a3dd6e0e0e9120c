"""What pyproject.toml declares, what constraints.txt pins and what the tree holds are one thing."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import lava_align

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "lava_align" / "engine" / "core"
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
OPTIONAL = {"brian2", "elephant", "h5py", "matplotlib", "neo", "nir", "pynwb", "quantities", "rich"}

PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS: dict[str, Any] = PYPROJECT["tool"]["setuptools"]
PACKAGES: list[str] = SETUPTOOLS["packages"]
MAPPING: dict[str, str] = SETUPTOOLS["package-dir"]
CONSTRAINTS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


def folder_of(package: str) -> Path:
    """The folder a package is built from: that of its longest mapped prefix."""
    prefix = package
    while prefix not in MAPPING:
        prefix = prefix.rpartition(".")[0]
    return ROOT.joinpath(MAPPING[prefix], *package[len(prefix) :].split("."))


def mapped_files() -> list[Path]:
    """Every file under a mapped folder that a wheel could need: not what extensions are made of."""
    return [
        path
        for folder in MAPPING.values()
        for path in sorted((ROOT / folder).rglob("*"))
        if path.is_file() and path.suffix not in {".pyc", ".so"} and path.parent != CORE
    ]


PROCESS_MODULES = sorted((ROOT / "processes").rglob("*.py"))


def imported_by(module: Path) -> list[tuple[int, str]]:
    """Level and name of everything a module imports, at any depth of its code."""
    imports: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imports += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports.append((node.level, node.module or ""))
    return imports


def test_every_python_folder_is_a_listed_package() -> None:
    in_tree = {path.parent for path in mapped_files() if path.suffix == ".py"}
    listed = {folder_of(package) for package in PACKAGES}
    assert in_tree == listed


def test_packages_are_listed_once_and_in_order() -> None:
    assert sorted(set(PACKAGES)) == PACKAGES


@pytest.mark.parametrize("package", PACKAGES)
def test_listed_package_has_an_init_module(package: str) -> None:
    assert (folder_of(package) / "__init__.py").is_file()


def test_every_data_file_is_declared() -> None:
    declared = {
        path
        for package, patterns in SETUPTOOLS["package-data"].items()
        for pattern in patterns
        for path in folder_of(package).glob(pattern)
    }
    assert {path for path in mapped_files() if path.suffix != ".py"} <= declared


@pytest.mark.parametrize("package", SETUPTOOLS["package-data"])
def test_every_data_pattern_matches_a_file(package: str) -> None:
    for pattern in SETUPTOOLS["package-data"][package]:
        assert any(folder_of(package).glob(pattern)), f"{package}: {pattern}"


def test_there_are_lava_processes() -> None:
    assert PROCESS_MODULES


@pytest.mark.parametrize("module", PROCESS_MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_lava_processes_import_absolutely_and_nothing_optional(module: Path) -> None:
    # Lava's compiler runs these files outside their package, and on machines without the rest.
    imports = imported_by(module)
    assert [name for level, name in imports if level > 0] == []
    assert {name.partition(".")[0] for _, name in imports} & OPTIONAL == set()


def test_tests_are_no_package() -> None:
    # lava-nc installs a package called `tests`, which ours would hide or be hidden by.
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_changelog_and_citation_name_the_version() -> None:
    version = lava_align.__version__
    patterns = {
        "CHANGELOG.md": rf"\A[^\0]*?^## \[?{re.escape(version)}\b",
        "CITATION.cff": rf"^version: [\"']?{re.escape(version)}[\"']?$",
    }
    for name, pattern in patterns.items():
        path = ROOT / name
        if path.exists():
            assert re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE), name


def pins_for(python: str) -> dict[str, list[str]]:
    """Versions pinned for one Python, by distribution."""
    pins: dict[str, list[str]] = {}
    for pin in CONSTRAINTS:
        if pin.marker is None or pin.marker.evaluate({"python_version": python}):
            version = str(pin.specifier).removeprefix("==")
            pins.setdefault(canonicalize_name(pin.name), []).append(version)
    return pins


def required_on(python: str) -> list[Requirement]:
    """Everything pyproject.toml asks for on one Python, extras and build included."""
    project = PYPROJECT["project"]
    lines = [*project["dependencies"], *PYPROJECT["build-system"]["requires"]]
    lines += [line for extra in project["optional-dependencies"].values() for line in extra]
    requirements = [Requirement(line) for line in lines]
    return [
        requirement
        for requirement in requirements
        if requirement.marker is None
        or requirement.marker.evaluate({"python_version": python, "extra": ""})
    ]


def test_every_constraint_is_an_exact_version() -> None:
    assert [str(pin) for pin in CONSTRAINTS if not re.match(r"==[^,*]+$", str(pin.specifier))] == []


@pytest.mark.parametrize("python", PYTHONS)
def test_each_python_has_one_version_of_each_distribution(python: str) -> None:
    assert {name: found for name, found in pins_for(python).items() if len(found) > 1} == {}


@pytest.mark.parametrize("python", PYTHONS)
def test_pins_satisfy_what_the_project_requires(python: str) -> None:
    pins = pins_for(python)
    for requirement in required_on(python):
        if requirement.name == PYPROJECT["project"]["name"]:
            continue
        (version,) = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} on {python}: {version}"


def test_supported_pythons_are_those_classified() -> None:
    classified = [
        line.rpartition(" ")[2]
        for line in PYPROJECT["project"]["classifiers"]
        if line.startswith("Programming Language :: Python :: 3.")
    ]
    assert classified == PYTHONS
