"""What all tests share: folders of their own, one thread for arithmetic, and the virtual rig where it runs."""

import functools
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from rig import MIC_SINK, SINK, Rig

# test modules, and with them numpy and torch, are imported after this; what they start inherits it
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
# effects of whoever runs the tests are none of the table's here; each test has a folder of its own besides
os.environ["LIVELAV_CONFIG"] = os.path.join(os.sep, "nonexistent", "livelav")

# a shell has what it runs in the background ignore Ctrl-C, and what the tests start would inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("livelav", deadline=None)  # how long a test takes says most about the machine
settings.load_profile("livelav")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("LIVELAV_RIG") == "1":
        return
    skip = pytest.mark.skip(reason="needs the virtual rig: python tools/rig.py run python -m pytest -m rig")
    for item in items:
        if item.get_closest_marker("rig"):
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """livelav's cache, models and configuration of this test alone; nobody's home is touched."""
    folder = tmp_path_factory.mktemp("livelav")
    for name in ("CACHE", "MODELS", "CONFIG"):
        monkeypatch.setenv(f"LIVELAV_{name}", str(folder / name.lower()))
    return folder


@pytest.fixture(scope="session")
def load_once() -> Callable[..., Any]:
    """load_generator that keeps what it has loaded: to compile a network takes longer than most of what is made here.
    Not for noise that is drawn, which knows an order."""
    from livelav.importing import load_generator

    return functools.cache(load_generator)


@pytest.fixture
def one_generator(monkeypatch: pytest.MonkeyPatch, load_once: Callable[..., Any]) -> None:
    """Renders of this process share one generator. That two of their own make the same is for test_render to show."""
    monkeypatch.setattr("livelav.render.rendering.load_generator", load_once)


@pytest.fixture
def rig() -> Iterator[Rig]:
    """The rig that the tests run in, handed on as it was found: sound server alive, both sinks plugged in."""
    running = Rig.attach()
    yield running
    if not running.sound_lives():
        running.start_sound()
    for name in {SINK, MIC_SINK}.difference(running.sinks()):
        running.load_sink(name)
