"""What the doctor finds, and what it says when something is missing."""

import sys

import pytest

from lava_align import doctor
from lava_align._version import __version__
from lava_align.errors import MissingDependencyError


def found():
    return {finding.subject: finding for finding in doctor.examine()}


def test_what_is_installed_here():
    findings = found()
    assert findings["lava_align"].detail == __version__
    assert findings["python"].ok
    assert all(findings[name].ok for name in ("numpy", "h5py", "brian2", "backend brian2"))


def test_a_missing_library_comes_with_the_way_to_get_it(monkeypatch):
    def absent(name):
        raise doctor.PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", absent)
    findings = found()
    assert findings["scikit-learn"].ok is False
    assert "not installed; the digits data set; pip install" in findings["scikit-learn"].detail
    assert findings["numpy"].detail == "not installed"


@pytest.mark.parametrize("error", [MissingDependencyError("a\nb"), ImportError("a\nb")])
def test_a_backend_that_does_not_import_is_said_in_one_line(monkeypatch, error):
    def fail():
        raise error

    monkeypatch.setattr(doctor, "_import_lava", fail)
    assert found()["backend lava"] == doctor.Finding("backend lava", False, "a b")


def test_a_missing_compiler_is_named_with_what_it_costs(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    finding = found()["C++ compiler"]
    assert finding.ok is False
    assert "native engine" in finding.detail


def test_an_unsupported_python_is_named(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 14, 0, "final", 0))
    monkeypatch.setattr(doctor, "_import_lava", lambda: "imports")
    monkeypatch.setattr(doctor, "_import_brian2", lambda: "imports")
    assert found()["python"].ok is False
