"""The generator is changed while the whole program plays: real processes, a second model, and hands by OSC."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest
from test_generate_library import write_small
from test_importing import ada

from live import DEADLINE_S, Run, gone
from livelav.control.osc import LOOPBACK, Message, pack
from livelav.core.running import read_running, running_path
from livelav.core.store import config_dir, models_dir
from livelav.generate.library import find_model, list_models

SWAPS = int(os.environ.get("LIVELAV_SWAPS", "4"))
MORPH_S = "0.3"


class Show:
    """A running livelav, and an OSC sender."""

    def __init__(self, folder, *args):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind((LOOPBACK, 0))
            self._port = free.getsockname()[1]
        self.run = Run(folder, "--input", "demo", "--osc", str(self._port), "--preset-morph", MORPH_S, *args)
        try:
            self.run.playing()
        except AssertionError:  # nobody else has it yet, to end it
            self.run.end()
            raise

    def send(self, address, *arguments):
        self._socket.sendto(pack([Message(address, arguments)]), (LOOPBACK, self._port))

    def plays(self, model):
        """Waits until it does, alone: the statistics then."""
        return self.run.wait_for(
            lambda s: s["model"]["name"] == model and len(self.pids()) == 3, f"{model} plays and nobody else is there"
        )

    def pids(self):
        """Of capture, MIDI and synths."""
        return {pid for name, pid in self.run.children().items() if name != "tracker"}

    def comes(self, address, *arguments):
        """Sends that, and waits until a second synth is there: its process."""
        before = self.pids()
        self.send(address, *arguments)
        self.run.wait_for(lambda _: self.pids() - before, "another process comes")
        (pid,) = self.pids() - before
        return pid

    def held(self):
        """(files, shared memory that is mapped, threads) of main for good: it opens some for a moment, to save."""
        looks = []
        for _ in range(8):
            looks.append(self._holds())
            time.sleep(0.05)
        return tuple(map(min, zip(*looks, strict=True)))

    def _holds(self):
        proc = Path(f"/proc/{self.run.process.pid}")
        maps = [line for line in (proc / "maps").read_text().splitlines() if "(deleted)" in line]
        return len(list((proc / "fd").iterdir())), len(maps), len(list((proc / "task").iterdir()))

    def end(self):
        """(exit code, what it wrote to stderr)"""
        self._socket.close()
        if self.run.process.poll() is None:
            self.run.process.terminate()
        return self.run.finish()


@pytest.fixture
def library():
    """A second model beside the shipped one, of other layers and another resolution."""
    models_dir().mkdir(parents=True, exist_ok=True)
    write_small(models_dir() / "small.safetensors")
    return models_dir()


@pytest.fixture
def show(tmp_path, library):
    one = Show(tmp_path)
    yield one
    one.end()


def test_a_model_by_osc_is_faded_to_and_the_show_goes_on(show):
    before = show.run.stats
    show.send("/model", "small")
    after = show.plays("small")
    assert after.keys() == before.keys()
    assert (after["model"]["resolution"], before["model"]["resolution"]) == (32, 256)
    assert after["model"]["sha256"] != before["model"]["sha256"]
    assert after["generate"]["images"] > before["generate"]["images"], "counted on"
    assert after["encode"]["frames"] > before["encode"]["frames"]
    assert after["restarts"] == before["restarts"] == {"capture": 0, "synth": 0, "midi": 0}
    show.run.wait_for(
        lambda s: s["generate"]["images"] > after["generate"]["images"] + 20 and s["ws"]["spread"] > 0.02, "it dances"
    )
    show.run.wait_for(lambda _: '"model": "small"' in running_path().read_text(), "and is where the show stands")
    code, err = show.end()
    assert (code, err) == (0, "")
    assert read_running(running_path()).scene.choices["model"] == "small"


def test_undo_panic_and_presets_bring_models_back(show):
    presets = config_dir() / "presets"
    presets.mkdir(parents=True)
    show.send("/next-model")
    show.plays("small")
    show.send("/undo")
    show.plays("default")
    show.comes("/model", "small")
    show.send("/panic")
    show.plays("default")
    assert show.run.stats["restarts"]["synth"] == 0


def test_models_that_cannot_be_had_are_told_once_and_what_plays_goes_on(show, library):
    (library / "broken.safetensors").write_bytes((library / "small.safetensors").read_bytes()[:-100])
    stolen = library / "stolen.safetensors"
    stolen.write_bytes((library / "small.safetensors").read_bytes())
    pids = show.pids()
    for sent, name in enumerate(("nobody", "../../etc/passwd", str(library / "small.safetensors")), start=1):
        show.send("/model", name)
        show.run.wait_for(lambda s, sent=sent: s["osc"]["messages"] == sent, "it was heard")
    pid = show.comes("/model", "broken")
    assert gone([pid], 20.0)
    time.sleep(1.0)  # main looks after those that come twenty times a second, and tells nothing of what nobody wants
    pid = show.comes("/model", "stolen")
    os.kill(pid, signal.SIGKILL)
    show.run.wait_for(lambda _: show.pids() == pids, "the one that plays is alone again")
    stats = show.run.stats
    assert stats["model"]["name"] == "default" and not any(stats["restarts"].values())
    show.run.wait_for(lambda s: s["generate"]["images"] > stats["generate"]["images"] + 10, "it goes on")
    code, err = show.end()
    assert code == 0
    assert err.count("damaged or truncated") == err.count("instead of broken") == err.count("instead of stolen") == 1
    assert err.count("no model") == 3, "and no file is loaded that was named so"
    assert len(err.splitlines()) == 5, err


def test_noise_maps_change_as_models_do(show):
    show.comes("/generate/noise", "random")
    stats = show.plays("default")
    show.run.wait_for(lambda s: s["generate"]["images"] > stats["generate"]["images"] + 10, "it goes on")
    show.run.wait_for(lambda _: '"generate.noise": "random"' in running_path().read_text(), "and is where it stands")
    code, err = show.end()
    assert (code, err) == (0, "")


def test_a_synth_that_took_over_is_started_again_with_its_model(show):
    show.send("/model", "small")
    show.plays("small")
    os.kill(max(show.pids()), signal.SIGKILL)
    stats = show.run.wait_for(lambda s: s["restarts"]["synth"] == 1, "it is started again")
    show.run.wait_for(
        lambda s: s["model"]["name"] == "small" and s["generate"]["images"] > stats["generate"]["images"] + 10,
        "with its own model",
    )


@pytest.mark.timeout(DEADLINE_S * (SWAPS + 2))
def test_changes_in_a_row_leave_nothing_behind(show):
    pids, held = [], []
    for model in ("small", "default") * ((SWAPS + 1) // 2):
        pids.append(show.comes("/model", model))
        show.plays(model)
        held.append(show.held())
    assert held[-1] == held[1], "after the first pair nothing is added"
    assert gone(pids[:-1], 1.0)
    assert show.run.stats["restarts"]["synth"] == 0


def test_a_show_resumes_with_the_model_that_played(show, tmp_path):
    show.send("/model", "small")
    show.plays("small")
    show.run.wait_for(lambda _: '"model": "small"' in running_path().read_text(), "it is noted")
    show.run.process.kill()
    show.run.process.communicate()
    (tmp_path / "again").mkdir()
    again = Run(tmp_path / "again", "--input", "demo", "--resume")
    try:
        assert again.playing()["model"]["name"] == "small"
    finally:
        again.end()


def test_a_preset_that_names_a_strangers_file_has_it_imported_while_the_show_goes_on(tmp_path, library):
    presets = config_dir() / "presets"
    presets.mkdir(parents=True)
    (tmp_path / "strange.pkl").write_bytes(ada())
    (tmp_path / "broken.pkl").write_bytes(ada()[:-2000])
    for name in ("strange", "broken"):
        (presets / f"{name}.toml").write_text(f'schema = 1\n[choices]\nmodel = "{tmp_path / name}.pkl"\n')
    (tmp_path / "show").mkdir()
    show = Show(tmp_path / "show")
    try:
        show.send("/model", str(tmp_path / "strange.pkl"))
        show.run.wait_for(lambda s: s["osc"]["messages"] == 1, "it was heard")
        before = show.run.stats
        pid = show.comes("/preset", "broken")
        assert gone([pid], 60.0)
        pid = show.comes("/preset", "strange")
        after = show.plays("strange")
        assert after["model"]["resolution"] == 32 and not any(after["restarts"].values())
        assert after["generate"]["images"] > before["generate"]["images"] + 20, "pictures went on"
        assert find_model("strange").parent == library and "broken" not in list_models()
        (tmp_path / "strange.pkl").unlink()
        os.kill(pid, signal.SIGKILL)
        show.run.wait_for(lambda s: s["restarts"]["synth"] == 1 and s["model"]["name"] == "strange", "from the library")
        images = show.run.stats["generate"]["images"]
        show.run.wait_for(lambda s: s["generate"]["images"] > images + 10, "it goes on")
    finally:
        code, err = show.end()
    assert code == 0
    assert err.count("no model") == 1, "what comes by the network is a name of the library or nothing"
    assert err.count("staying with model default") == 1, "and why"
    assert len(err.splitlines()) == 3, err
