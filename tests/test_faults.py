"""Bad input and faults, on the real parts: one clear line and exit code 1, or survived on stage; never a traceback."""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from live import Run, gone, livelav
from livelav.audio.file import FileSource
from livelav.core.clock import FakeClock
from livelav.core.errors import LONGEST, LivelavError, ModelError, SourceError, StorageError
from livelav.core.presets import list_presets, load_preset
from livelav.core.store import listing, write_atomic
from livelav.encode.weights import read_weights
from livelav.generate.files import is_generator, read_checkpoint
from livelav.generate.layout import Config
from livelav.generate.library import list_models

RATE_HZ = 48_000


@pytest.fixture
def pipe(tmp_path):
    """Something that can be opened, and never ends."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def noise(samples: int) -> np.ndarray:
    return 0.2 * np.random.default_rng(0).standard_normal((samples, 2)).astype(np.float32)


def heard(source: FileSource, most: int = RATE_HZ * 3) -> tuple[int, str]:
    """Samples played until it ended or `most` were, and the end's own words."""
    samples = 0
    while samples < most:
        try:
            block = source.read(1.0)
        except EOFError as end:
            return samples, str(end)
        samples += len(block.samples) if block else 0
    return samples, ""


# ---- messages


def test_a_message_is_one_line_that_cannot_move_the_cursor():
    text = str(LivelavError("no file 'a\nb\x1b[31m\udcff.wav'; choose another"))
    assert text == r"no file 'a\nb\x1b[31m\udcff.wav'; choose another"


def test_a_long_name_leaves_room_for_the_remedy():
    text = str(LivelavError(f"no file {'x' * 5000}; choose another"))
    assert len(text) < LONGEST + 20
    assert text.startswith("no file xx") and text.endswith("; choose another")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--input", "a\nb.wav"], r"a\nb.wav does not exist"),
        (["--input", "x" * 5000 + ".wav"], "does not exist"),
        (["--input", "~nobody-of-that-name/x.wav"], "does not exist"),
        (["--input", "./pipe"], "no regular file"),
        (["--encoder", "x" * 5000], "no encoder"),
        (["--model", "./pipe"], "no regular file"),
    ],
)
def test_names_of_what_is_no_file(tmp_path, pipe, args, says):
    demo = [] if "--input" in args else ["--input", "demo"]
    code, _, err = livelav(tmp_path, "--headless", "--osc", "off", "--size", "64x64", "--seconds", "1", *demo, *args)
    assert code == 1
    assert says in err
    assert len(err.strip().splitlines()) == 1 and len(err) < 1000, err


# ---- sound files


def test_a_damaged_file_ends_where_its_damage_begins(tmp_path):
    path = tmp_path / "whole.flac"
    soundfile.write(path, noise(RATE_HZ), RATE_HZ)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    samples, words = heard(FileSource(path, False, FakeClock()))
    assert 0.2 * RATE_HZ < samples < 0.6 * RATE_HZ
    assert "is damaged after 0." in words


def test_a_file_that_is_damaged_from_its_start_is_refused(tmp_path):
    path = tmp_path / "whole.flac"
    soundfile.write(path, noise(RATE_HZ), RATE_HZ)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(SourceError, match="no sound file that can be played"):
        FileSource(path, False, FakeClock())


def test_a_whole_file_ends_without_a_word(tmp_path):
    path = tmp_path / "whole.flac"
    soundfile.write(path, noise(1000), RATE_HZ)
    assert heard(FileSource(path, False, FakeClock())) == (1000, "")


@pytest.mark.parametrize("samples", [1, 10, 239, 241])
def test_a_loop_shorter_than_a_block_plays_in_whole_blocks(tmp_path, samples):
    path = tmp_path / "short.wav"
    sound = noise(samples)
    soundfile.write(path, sound, RATE_HZ, subtype="FLOAT")
    source = FileSource(path, True, FakeClock())
    blocks = [block.samples for block in (source.read(1.0) for _ in range(60)) if block]
    played = np.concatenate(blocks)
    assert len(played) > 60 * 100
    assert np.array_equal(played, np.resize(sound, played.shape))


def test_a_damaged_file_ends_the_show(tmp_path):
    path = tmp_path / "whole.flac"
    soundfile.write(path, noise(4 * RATE_HZ), RATE_HZ)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    live = Run(tmp_path, "--input", str(path))
    code, err = live.finish()
    assert code == 0
    assert err.count("is damaged after") == 1 and len(err.strip().splitlines()) == 1, err


# ---- models and weights


@pytest.mark.parametrize("header", [b'{"a":' * 20_000, b"[" * 100_000])
def test_a_header_nested_without_end_is_refused(tmp_path, header):
    path = tmp_path / "deep.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    assert not is_generator(path)
    with pytest.raises(ModelError, match="not a safetensors file"):
        read_checkpoint(path)
    with pytest.raises(LivelavError):
        read_weights(path)


def test_metadata_nested_without_end_is_no_generator(tmp_path):
    header = json.dumps({"__metadata__": {"livelav": "[" * 100_000}}).encode()
    path = tmp_path / "deep.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    assert not is_generator(path)
    with pytest.raises(ModelError):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [("mapping_layers", 10**12), ("conv_clamp", -1.0), ("conv_clamp", float("inf")), ("conv_clamp", "x")],
)
def test_a_config_out_of_bounds_costs_no_memory_and_is_refused(key, value):
    whole = {"resolution": 32, "channel_base": 256, "channel_max": 8}
    assert Config.from_dict(whole).mapping_layers == 8
    with pytest.raises(ModelError):
        Config.from_dict(whole | {key: value})


def test_what_is_no_regular_file_is_not_read(pipe):
    with pytest.raises(ModelError, match="no regular file"):
        read_checkpoint(pipe)


# ---- folders


@pytest.fixture
def locked(monkeypatch):
    """Whatever is asked of a folder named `locked`, the system refuses, as it does for a user without rights."""

    def refuse(real):
        def guarded(path, *args, **kwargs):
            if "locked" in Path(os.fspath(path) if not isinstance(path, int) else "").parts:
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, *args, **kwargs)

        return guarded

    for name in ("stat", "scandir", "listdir", "open"):
        monkeypatch.setattr(os, name, refuse(getattr(os, name)))


def test_folders_that_may_not_be_looked_into_hold_nothing(monkeypatch, locked, tmp_path):
    monkeypatch.setenv("LIVELAV_CONFIG", str(tmp_path / "locked"))
    monkeypatch.setenv("LIVELAV_MODELS", str(tmp_path / "locked"))
    assert listing(tmp_path / "locked", ".toml") == []
    assert "calm" in [listed.name for listed in list_presets()]
    assert load_preset("calm").name
    assert "default" in list_models()


def test_a_device_is_never_replaced_by_a_file(pipe):
    with pytest.raises(StorageError, match="no regular file"):
        write_atomic(pipe, b"{}")
    assert pipe.is_fifo()


# ---- signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_whole_group_is_for_main_alone(tmp_path, number):
    """As Ctrl-C, a closed terminal and service managers send it: nobody dies before main says so."""
    live = Run(tmp_path, "--input", "demo", "--record", str(tmp_path / "show.mp4"))
    try:
        live.playing()
        children = [pid for name, pid in live.children().items() if name != "tracker"]
        assert len(children) == 4
        for pid in children:
            os.kill(pid, number)
        time.sleep(0.5)
        assert not gone(children, 0.0) and all(Path(f"/proc/{pid}").exists() for pid in children)
        begin_s = time.monotonic()
        live.process.send_signal(number)
        code, err = live.finish(5.0)
    finally:
        live.process.kill()
    assert (code, err) == (0, "")
    assert time.monotonic() - begin_s < 2.0
    assert gone(children, 1.0)
    assert not any(live.stats["restarts"].values())


@pytest.mark.parametrize("after_s", [0.25, 0.6, 1.0, 1.4])
def test_ctrl_c_while_it_starts_ends_it_without_a_traceback(tmp_path, after_s):
    command = [sys.executable, "-m", "livelav", "--headless", "--size", "64x64", "--input", "demo"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            time.sleep(after_s)
            begin_s = time.monotonic()
            os.killpg(process.pid, signal.SIGINT)
            _, err = process.communicate(timeout=10)
        finally:
            process.kill()
    assert time.monotonic() - begin_s < 2.5
    assert err.strip() == ""


@pytest.mark.parametrize("module", ["click", "livelav.live.engine"])
def test_ctrl_c_while_something_is_imported_is_silent_and_never_lost(module):
    """The entry point takes over from Python's own handler, whose exception an import may drop."""
    code = (
        "import os, signal, sys\n"
        "class Late:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Late())\n"
        "from livelav.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--headless", "--input", "demo", "--seconds", "0.1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGINT
    assert done.stderr == ""


def test_processes_of_the_show_do_not_import_the_command_line():
    """They import the entry point again, by another name: it must bring nothing along."""
    code = (
        "import sys, runpy; runpy.run_module('livelav.__main__', run_name='__mp_main__'); print('click' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
