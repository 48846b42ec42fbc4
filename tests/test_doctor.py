"""The doctor finds what is there, names what is not, and gives a remedy for each; nothing makes it fall ill itself."""

import sys
from pathlib import Path

import pytest

from livelav import doctor
from livelav.doctor import Finding, examine


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without display and sound server."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/nobody.sock")


@pytest.mark.usefixtures("bare")
def test_a_bare_machine_is_told_what_it_lacks_and_how_to_mend_it() -> None:
    findings = {finding.what: finding for finding in examine()}
    assert findings["Python"].found == sys.version.split()[0]
    assert findings["package numpy"].state == findings["package torch"].state == "ok"
    assert findings["display"].state == "missing"
    assert findings["sound"].state in ("missing", "warn")
    assert findings["controllers"].state in ("ok", "warn")
    for folder in ("cache", "models", "configuration"):
        assert findings[f"{folder} folder"].state == "ok"
    for finding in findings.values():
        assert bool(finding.remedy) == (finding.state != "ok"), finding
        assert "\n" not in finding.found + finding.remedy


@pytest.mark.rig
def test_the_rig_has_display_and_loopback() -> None:
    findings = {name: doctor._in_child(name, name) for name in ("display", "headless", "sound")}
    assert findings["display"].found.startswith("screen 1280x720; llvmpipe")
    assert findings["headless"].state == "ok"
    assert findings["sound"].state == "ok"
    assert "lav" in findings["sound"].found


def test_a_package_that_is_not_there_is_missing() -> None:
    assert doctor._package("livelav-nowhere") == Finding(
        "package livelav-nowhere", "missing", "not installed", doctor.SET_UP
    )


def test_a_package_that_does_not_load_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rtmidi", None)  # what a broken import looks like
    finding = doctor._package("python-rtmidi")
    assert finding.state == "missing"
    assert finding.remedy == "sudo apt-get install libasound2"


def test_a_probe_whose_process_dies_is_a_finding() -> None:
    finding = doctor._in_child("display", "no such probe")
    assert (finding.what, finding.state) == ("display", "missing")
    assert "ended with 1: KeyError" in finding.found


def test_a_probe_that_hangs_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PATIENCE_S", 0.0)
    assert "no answer" in doctor._in_child("sound", "sound").found


def test_a_folder_that_cannot_be_made_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    finding = doctor._folder("cache", tmp_path / "file" / "cache")
    assert finding.state == "missing"
    assert "LIVELAV_CACHE" in finding.remedy
    assert doctor._folder("cache", tmp_path / "a" / "b").state == "ok"
    assert not (tmp_path / "a").exists()


def test_a_full_disk_is_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert doctor._disk(tmp_path / "not" / "yet").found.endswith("GB free")
    monkeypatch.setattr(doctor, "ROOM_GB", 1e9)
    assert doctor._disk(tmp_path).state == "warn"
