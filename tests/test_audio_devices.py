"""What a word after --input means among the devices of a machine."""

import subprocess
import sys

import pytest

from livelav.audio.devices import (
    PULSE,
    DeviceInfo,
    find_device,
    list_devices,
    portaudio_entries,
    survey_devices,
)
from livelav.core.errors import SourceError


def device(number: int, name: str, api: str = "ALSA") -> DeviceInfo:
    return DeviceInfo(number, "device", name, f"id.{name}", api, 48_000.0, 2, False)


DEVICES = [
    device(0, "Monitor of Built-in Audio", PULSE),
    device(1, "Scarlett 2i2 USB", PULSE),
    device(2, "Scarlett Solo USB", PULSE),
    device(3, "Built-in Mic"),
    device(4, "Scarlett 2i2 USB: Audio (hw:1,0)"),
]


@pytest.mark.parametrize(
    ("word", "number"),
    [
        ("0", 0),
        ("4", 4),
        ("built-in mic", 3),
        ("monitor", 0),
        ("SOLO", 2),
        ("hw:1", 4),
        ("2i2", 1),
        ("id.Scarlett Solo USB", 2),
    ],
)
def test_number_name_and_part_of_a_name(word: str, number: int) -> None:
    assert find_device(word, DEVICES).number == number


def test_a_part_that_several_have_names_them() -> None:
    with pytest.raises(SourceError, match="1 'Scarlett 2i2 USB', 2 'Scarlett Solo USB'"):
        find_device("scarlett", DEVICES)


def test_a_wrong_name_names_the_nearest() -> None:
    with pytest.raises(SourceError, match="did you mean 'Scarlett Solo USB'"):
        find_device("scarlet solo usb", DEVICES)


@pytest.mark.parametrize("word", ["5", "99", "007"])
def test_a_number_that_is_none_names_the_range(word: str) -> None:
    with pytest.raises(SourceError, match="0 to 4"):
        find_device(word, DEVICES)


def test_one_name_under_two_apis_takes_the_better_way_in() -> None:
    twins = [device(0, "Mic", "MME"), device(1, "Mic", "Windows WASAPI"), device(2, "Mic", "Windows DirectSound")]
    assert find_device("mic", twins).number == 1


def test_two_of_one_name_under_one_api_are_not_guessed() -> None:
    with pytest.raises(SourceError, match="may be any of 0 'Mic', 1 'Mic'"):
        find_device("mic", [device(0, "Mic"), device(1, "Mic")])


def test_a_virtual_device_is_the_loopback_of_a_mac() -> None:
    inputs = [
        {"name": name, "api": "Core Audio", "rate_hz": 48_000.0, "channels": 2, "default": name == "MacBook Microphone"}
        for name in ("MacBook Microphone", "BlackHole 2ch", "Soundflower (2ch)")
    ]
    found = portaudio_entries(inputs, mac=True)
    assert [(d.kind, d.would_take) for d in found] == [("mic", False), ("loopback", True), ("loopback", False)]
    assert [d.kind for d in portaudio_entries(inputs, mac=False)] == ["mic", "device", "device"]


def test_without_a_sound_server_the_survey_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_SERVER", "unix:/nonexistent/pulse.sock")
    survey = survey_devices()
    assert not [d for d in survey.devices if d.api == PULSE]
    assert any("sound" in trouble and "\n" not in trouble for trouble in survey.troubles)


def test_a_survey_numbers_its_devices_in_order() -> None:
    found = list_devices()
    assert [d.number for d in found] == list(range(len(found)))
    assert found == sorted(found, key=lambda d: ("loopback", "mic", "device").index(d.kind))
    assert sum(d.would_take for d in found) <= 1


def test_devices_import_no_driver() -> None:
    """The engine imports the capture process's module: that must not load a sound driver into main."""
    drivers = ("sounddevice", "soundcard", "soundfile")
    code = f"import sys, livelav.audio.capture; print([m for m in {drivers} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
