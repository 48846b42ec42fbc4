"""Presets and the state of the show on disk: what was saved comes back exactly, comments stay, nonsense is refused."""

import json
import shutil
import threading
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_scenes import BEAT, START

from livelav import play
from livelav.cli import cli
from livelav.control.commands import Panic, Recall, Save, SetParam
from livelav.core import generations
from livelav.core.errors import InstanceError, PresetError, StorageError
from livelav.core.generations import generation, write_kept
from livelav.core.params import CHOICES, PARAMS, Settings
from livelav.core.preset_text import preset_text
from livelav.core.presets import check_preset, load_preset
from livelav.core.running import Running, cut_off_path, last_show, put_aside, read_running, running_path
from livelav.core.scene import Scene
from livelav.core.scene_json import scene_tree
from livelav.core.setlists import Song, every_preset, load_set_list
from livelav.core.store import config_dir, only_instance
from livelav.desk.desk import Desk
from livelav.desk.inputs import Inputs
from livelav.live.crew import LiveConfig
from livelav.play import _songs


def test_a_recall_right_behind_a_save_plays_what_was_saved(own_folders: Path) -> None:
    """The disk takes its time: nothing of it is written while this runs."""
    desk = Desk(replace(START), None, every_preset(), Inputs(), 0.0)
    desk.apply(SetParam("preset.morph", 0.0), 0.0)
    desk.apply(Recall("calm"), 0.0)
    desk.apply(SetParam("show.hue", 90.0), 1.0)
    desk.apply(Save(), 1.0)
    desk.apply(Recall("storm"), 2.0)
    desk.apply(Recall("calm"), 3.0)
    assert desk.settings["show.hue"] == 90.0
    desk.apply(SetParam("show.hue", 45.0), 4.0)
    desk.apply(Save(new=True), 4.0)
    desk.apply(Recall("storm"), 5.0)
    desk.apply(Recall("calm-1"), 6.0)
    assert desk.settings["show.hue"] == 45.0 and not desk.scenes.troubles


def test_a_show_that_is_refused_because_another_runs_touches_nothing_of_that(own_folders: Path) -> None:
    running_path().parent.mkdir(parents=True, exist_ok=True)
    running_path().write_bytes(Running(START, "calm").as_json())
    with only_instance(), pytest.raises(InstanceError, match="another show runs"):
        play.play(link=False)
    assert read_running(running_path()).preset == "calm" and not cut_off_path().exists()


def test_a_save_keeps_what_the_preset_says_of_the_evening_true_and_adds_nothing_to_that() -> None:
    before = 'schema = 1\nname = "X"\n[params]\nshow.brightness = 0.5 # dim\npreset.morph = 8\n'
    scene = replace(START, settings=START.settings.with_values({"show.brightness": 0.9, "preset.morph": 1.0}))
    text = preset_text(scene, "x", before)
    assert "show.brightness = 0.9 # dim" in text and "tempo.bpm" not in text
    said = tomllib.loads(text)["params"]
    assert (said["preset"], said["show"]["brightness"]) == ({"morph": 1.0}, 0.9)


quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
words = {c.name: st.sampled_from(c.options or (c.default,)) for c in CHOICES}
scenes = st.builds(
    Scene,
    st.tuples(
        *(st.floats(p.lo, p.hi).map(lambda v, p=p: p.checked(min(max(float(f"{v:.6g}"), p.lo), p.hi))) for p in PARAMS)
    ).map(  # type: ignore[misc]
        Settings
    ),
    st.fixed_dictionaries(words),
    st.integers(0, 2**32 - 1),
)
COMMENTED = """\
# Saturday, second half
schema = 1
name = "Deep"  # as on the poster
notes = "wait for the bass"

[params]
# not more, the drummer said
mapping.norm = 1.0   # reach
"smoothing.fine" = 0.5

[choices]
seed = 7  # the green one
"""


AWKWARD = [
    "schema = 1\n[params.mapping]\nnorm = 1\n",
    "schema = 1\n[params.mapping]\nnorm=1\n[choices]\nseed=1\n[params.show]\nhue=1\n",
    "schema = 1\n[params]\nmapping = 3\n",
    "schema = 1\n[[params.mapping]]\nnorm = 1\n",
    "schema = 1\nchoices = { seed = 3 }\nparams = {mapping.norm = 1.0}\n",
    "schema = 1\nparams.mapping.norm = 1.0\nchoices.seed = 4\n",
    "schema = 1\nchoices = 4\nparams = []\n",
    "schema = 99\nwhat = 'ever'\n[params]\nno.such = 1\n",
]


def written(folder: Path, text: str) -> Path:
    path = folder / "deep.toml"
    path.write_text(text)
    return path


@quick
@given(scenes, st.sampled_from([None, COMMENTED, "broken = ", *AWKWARD]))
def test_what_was_saved_is_recalled_exactly(tmp_path: Path, scene: Scene, before: str | None) -> None:
    path = written(tmp_path, preset_text(scene, "deep", before))
    assert check_preset(path) == []
    recalled = scene.after(load_preset(path))
    assert recalled.song_part == scene.song_part
    assert preset_text(recalled, "deep", path.read_text()) == path.read_text(), "saving again changes nothing"


def test_comments_order_and_notes_stay(tmp_path: Path) -> None:
    scene = Scene(Settings().with_values({"mapping.norm": 2.5}), START.choices, 8)
    text = preset_text(scene, "deep", COMMENTED)
    for kept in ("# Saturday, second half", "# as on the poster", "# not more, the drummer said", "# the green one"):
        assert kept in text
    assert "mapping.norm = 2.5   # reach" in text
    assert text.count("smoothing") == 4 and text.count("seed") == 1
    preset = load_preset(written(tmp_path, text))
    assert (preset.name, preset.notes, preset.seed) == ("Deep", "wait for the bass", 8)


def test_a_preset_says_nothing_of_the_evening(tmp_path: Path) -> None:
    scene = Scene(Settings().with_values({"show.brightness": 0.1, "tempo.bpm": 66.0}), START.choices, 0)
    changes = load_preset(written(tmp_path, preset_text(scene, "deep"))).changes
    assert set(changes) == {p.name for p in PARAMS if p.scope == "song"}


# ---- from the desk to the disk


class Kept:
    """A desk whose keeper's thread runs until `done`."""

    def __init__(self, preset: str | None = None, songs: tuple[Song, ...] | None = None) -> None:
        self.desk = Desk(START, preset, every_preset() if songs is None else songs, Inputs(), 0.0)
        self._thread = threading.Thread(target=self.desk.keeper.run)
        self._thread.start()

    def done(self) -> list[str]:
        self.desk.keeper.close()
        self._thread.join()
        return self.desk.news()


def test_saving_goes_to_the_users_own_and_a_shipped_preset_stays_what_it_is() -> None:
    kept = Kept()
    kept.desk.apply(SetParam("preset.morph", 0.0), 0.0)
    kept.desk.apply(Recall("calm"), 0.0)
    kept.desk.apply(SetParam("mapping.norm", 3.5), 0.0)
    assert kept.desk.scenes.is_changed
    kept.desk.apply(Save(), 0.0)
    assert not kept.desk.scenes.is_changed
    assert kept.done() == ["saved calm"]
    assert kept.desk.keeper.free_bytes == pytest.approx(shutil.disk_usage(config_dir()).free, rel=0.1)
    mine = load_preset("calm")
    assert mine.changes["mapping.norm"] == 3.5
    assert mine.notes, "it began as the shipped one"
    assert (config_dir() / "presets" / "calm.toml").exists()


def test_a_new_one_gets_the_next_free_name_and_can_be_recalled() -> None:
    kept = Kept()
    kept.desk.apply(SetParam("preset.morph", 0.0), 0.0)
    kept.desk.apply(Recall("calm"), 0.0)
    for value in (1.0, 2.0):
        kept.desk.apply(SetParam("mapping.norm", value), 0.0)
        kept.desk.apply(Save(new=True), 0.0)
    assert kept.done() == ["saved calm-1", "saved calm-2"]
    kept.desk.scenes.perform(Recall("calm-1"), 1.0, BEAT)
    assert kept.desk.settings["mapping.norm"] == 1.0
    assert kept.desk.scenes.songs[-2:] == (Song("calm-1"), Song("calm-2"))


def test_what_nobody_named_is_saved_as_mine() -> None:
    kept = Kept()
    kept.desk.apply(Save(), 0.0)
    assert kept.done() == ["saved mine-1"]
    assert kept.desk.scenes.preset == "mine-1"


def test_a_preset_that_was_given_as_a_file_is_saved_there(tmp_path: Path) -> None:
    path = written(tmp_path, COMMENTED)
    kept = Kept(str(path))
    kept.desk.apply(SetParam("mapping.norm", 2.0), 0.0)
    kept.desk.apply(Save(), 0.0)
    assert kept.done() == ["saved deep"]
    assert load_preset(path).changes["mapping.norm"] == 2.0
    assert generation(path, 1).read_text() == COMMENTED
    assert kept.desk.scenes.preset == str(path)


def test_after_saving_panic_is_what_was_saved() -> None:
    kept = Kept()
    kept.desk.apply(Recall("storm"), 0.0)
    kept.desk.apply(SetParam("mapping.norm", 0.7), 0.0)
    kept.desk.apply(Save(), 0.0)
    kept.desk.apply(SetParam("mapping.norm", 3.0), 0.0)
    kept.desk.apply(Panic(), 0.0)
    assert kept.desk.settings["mapping.norm"] == 0.7
    kept.done()


def test_a_preset_that_a_crash_broke_is_recalled_as_it_was_saved_before() -> None:
    kept = Kept()
    for value in (1.0, 2.0):
        kept.desk.apply(SetParam("mapping.norm", value), 0.0)
        kept.desk.apply(Save(), 0.0)
    kept.done()
    path = config_dir() / "presets" / "mine-1.toml"
    path.write_bytes(path.read_bytes()[:40])
    again = Kept()
    again.desk.apply(SetParam("preset.morph", 0.0), 0.0)
    again.desk.apply(Recall("mine-1"), 0.0)
    assert again.desk.settings["mapping.norm"] == 1.0
    (told,) = again.done()
    assert "going on with mine-1.toml.1" in told


def test_a_disk_that_takes_nothing_is_told_of_once_for_notes_and_each_time_for_saves() -> None:
    config_dir().parent.mkdir(parents=True, exist_ok=True)
    config_dir().write_text("a file where the folder should be")
    kept = Kept()
    kept.desk.apply(Save(), 0.0)
    for second in (3.0, 6.0, 9.0):
        kept.desk.apply(SetParam("mapping.norm", second / 10), second)
        kept.desk.keep(second)
    told = kept.done()
    assert sum("NOT SAVED" in line for line in told) == 1
    assert sum("could not be resumed" in line for line in told) == 1


def test_a_name_that_is_a_pattern_or_too_long_is_saved_and_recalled(tmp_path: Path) -> None:
    odd = tmp_path / "a**b.toml"
    odd.write_text(COMMENTED)
    kept = Kept(str(odd))
    for value in (1.5, 2.5):
        kept.desk.apply(SetParam("mapping.norm", value), 0.0)
        kept.desk.apply(Save(), 0.0)
    assert kept.done() == ["saved a**b", "saved a**b"]
    long = Kept("x" * 64, (Song("x" * 64),))
    long.desk.apply(Save(new=True), 0.0)
    assert long.done() == [f"saved {'x' * 56}-1"]
    assert load_preset("x" * 56 + "-1")


def test_saving_as_a_new_one_leaves_the_evening_where_it_is() -> None:
    kept = Kept("pulse", (Song("calm"), Song("pulse"), Song("storm")))
    kept.desk.apply(Save(new=True), 0.0)
    kept.done()
    assert kept.desk.scenes.preset == "pulse-1"
    assert kept.desk.scenes.next_song == Song("storm")


def test_saves_that_fail_push_no_generation_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "calm.toml"
    for content in (b"0", b"1", b"2", b"3"):
        write_kept(path, content)

    def full(*_args: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(generations, "write_atomic", full)
        for _ in range(6):
            with pytest.raises(StorageError):
                write_kept(path, b"4")
    write_kept(path, b"4")
    assert [generation(path, i).read_bytes() for i in range(5)] == [b"4", b"3", b"2", b"1", b"0"]


# ---- where the show stands


def test_a_show_that_was_cut_off_can_be_resumed_also_after_the_next_one_was_begun() -> None:
    folder = config_dir()
    folder.mkdir(parents=True, exist_ok=True)
    assert not put_aside()
    with pytest.raises(StorageError):
        last_show()
    running_path().write_bytes(Running(START, "cut").as_json())
    assert last_show().preset == "cut"
    assert put_aside(), "another show begins"
    running_path().write_bytes(Running(START, "default", ended=True).as_json())
    assert last_show().preset == "cut", "and was ended, to resume the other"
    assert not put_aside()
    running_path().write_bytes(Running(START, "later", ended=True).as_json())
    assert last_show().preset == "later"


def test_that_a_show_can_be_resumed_is_said_once_to_the_terminal_and_once_to_who_plays(monkeypatch) -> None:
    said: list[str] = []

    def run_live(config: LiveConfig, _open: object) -> object:
        said.append(config.notice)
        return SimpleNamespace(shared=SimpleNamespace(main={"presented": 1}))

    monkeypatch.setattr(play, "run_live", run_live)
    config_dir().mkdir(parents=True, exist_ok=True)
    for ended, dark, flags in ((False, "", []), (True, "", []), (False, "fade", ["--resume"])):
        running_path().write_bytes(Running(START, "calm", ended=ended, dark=dark).as_json())
        done = CliRunner().invoke(cli, ["--headless", *flags])
        assert done.exit_code == 0 and done.output.count("cut off") == (said[-1] != "")
    offer, nothing, dark = said
    assert "livelav --resume" in offer and not nothing and "fade brings the light back" in dark


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "3",
        "null",
        '"x"',
        *(
            '{{"schema": 1, "ended": true, "preset": null, "seed": 0, "choices": {}, "settings": {}}}'.format(*pair)
            for pair in (
                ("[]", "{}"),
                ("null", "{}"),
                ("{}", "[]"),
                ("{}", "null"),
                ('{"backend": []}', "{}"),
                ("{}", '{"a": 1}'),
            )
        ),
    ],
)
def test_a_state_of_another_shape_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "running.json"
    path.write_text(content)
    with pytest.raises(StorageError):
        read_running(path)


def test_the_show_is_noted_when_it_changed_and_at_its_end() -> None:
    kept = Kept()
    kept.desk.apply(SetParam("preset.morph", 0.0), 0.0)
    kept.desk.apply(Recall("pulse"), 0.0)
    kept.desk.keep(1.0)
    assert not running_path().exists()
    kept.desk.keep(2.5)
    kept.done()
    running = read_running(running_path())
    assert (running.preset, running.ended) == ("pulse", False)
    assert running.scene == kept.desk.scenes.scene
    again = Kept("pulse")
    again.desk.keep(0.1, ended=True)
    again.done()
    assert read_running(running_path()).ended


@quick
@given(scenes, st.none() | st.text(max_size=20), st.booleans())
def test_where_the_show_stood_comes_back(tmp_path: Path, scene: Scene, preset: str | None, ended: bool) -> None:
    path = tmp_path / "running.json"
    path.write_bytes(Running(scene, preset, ended).as_json())
    assert read_running(path) == Running(scene, preset, ended)


@quick
@given(
    st.builds(
        Running, scenes, st.none() | st.text(max_size=20), st.booleans(),
        st.none() | scenes.filter(lambda scene: scene.key.mode != "track"),
        st.lists(st.sampled_from(["show.brightness", "model"]), max_size=2).map(tuple), st.none() | st.integers(0, 600),
        st.none() | st.text(max_size=20), st.lists(st.sampled_from(["mine-1", "calm-2"]), max_size=2).map(tuple),
        st.sampled_from(["", "blackout", "fade"]),
    )
)  # fmt: skip
def test_so_does_what_panic_is_the_list_and_the_dark(tmp_path: Path, running: Running) -> None:
    path = tmp_path / "running.json"
    path.write_bytes(running.as_json())
    assert read_running(path) == running


@pytest.mark.parametrize(
    "changes",
    [{"recalled": 3}, {"named": "x"}, {"number": -1}, {"number": True}, {"set_list": []}, {"added": ["../x"]},
     {"added": [None]}, {"dark": "hud"}, {"dark": None},
     {"recalled": scene_tree(replace(START, choices=START.choices | {"mapping.mode": "track"}))}],
)  # fmt: skip
def test_a_state_with_a_strange_value_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    path = tmp_path / "running.json"
    path.write_text(json.dumps(json.loads(Running(START, "calm").as_json()) | changes))
    with pytest.raises(StorageError):
        read_running(path)


def test_a_state_of_a_livelav_that_kept_less_can_be_gone_on_from(tmp_path: Path) -> None:
    path, less = tmp_path / "running.json", json.loads(Running(START, "calm").as_json())
    for key in ("recalled", "named", "number", "set_list", "added", "dark"):
        del less[key]
    path.write_text(json.dumps(less))
    assert read_running(path) == Running(START, "calm")


def test_what_a_newer_livelav_wrote_is_not_saved_over() -> None:
    path = config_dir() / "presets" / "calm.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    newer = preset_text(START, "calm").replace("schema = 1", "schema = 2")
    path.write_text(newer)
    kept = Kept(songs=[Song("calm")])
    kept.desk.ask(Save(number=1), 1.0)
    assert any("newer livelav" in text for text in kept.desk.news())
    kept.done()
    assert path.read_text() == newer
    assert kept.desk.scenes.preset == "calm-1" and check_preset(path.with_name("calm-1.toml")) == []


SET = tuple(Song(name, "a note") for name in ("calm", "pulse", "calm", "storm"))


@pytest.mark.parametrize("key", ["B", "D"])
def test_a_show_that_was_cut_off_in_the_dark_goes_on_there_and_at_its_place(key: str) -> None:
    kept = Kept(songs=SET)
    kept.desk.press(["N", "N", "N", key], 0.0)
    kept.desk.keep(50.0)
    kept.done()
    stood = last_show()
    desk = Desk(stood.scene, stood.preset, SET, Inputs(), 0.0, stood)
    assert desk.state.light(0.0) == desk.state.light(60.0) == 0.0
    assert (desk.scenes.preset, desk.scenes.number) == ("calm", 3)
    desk.press([key], 60.0)
    assert desk.state.light(70.0) == 1.0


def test_a_resumed_show_has_its_set_list_and_what_was_saved_since(tmp_path: Path) -> None:
    path = tmp_path / "evening.toml"
    path.write_text('schema = 1\n[[song]]\npreset = "storm"\n[[song]]\npreset = "calm"\n')
    kept = Kept(songs=load_set_list(str(path)))
    kept.desk._set_list = str(path)
    kept.desk.apply(Save(new=True), 0.0)
    kept.desk.keep(5.0)
    kept.done()
    stood = last_show()
    assert stood.set_list == str(path)
    assert _songs(stood.set_list, stood) == (Song("storm"), Song("calm"), Song("mine-1"))
    both = replace(stood, added=("storm", "mine-1"))
    assert _songs(str(path), both)[0] == Song("storm"), "the list's own place counts"
    assert _songs(None, replace(stood, set_list=None))[-1] == Song("mine-1"), "its number stays what it was"
    path.unlink()
    assert {song.preset for song in _songs(stood.set_list, stood)} == {song.preset for song in every_preset()}
    with pytest.raises(PresetError):
        _songs(str(path), None)


def test_a_state_cut_at_any_byte_is_refused_in_one_line(tmp_path: Path) -> None:
    path, whole = tmp_path / "running.json", Running(START, "calm").as_json()
    for end in range(len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(StorageError) as caught:
            read_running(path)
        assert "\n" not in str(caught.value)


@quick
@given(st.data())
def test_no_change_of_bytes_does_more_than_be_refused(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(Running(START, "calm").as_json())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "running.json"
    path.write_bytes(content)
    try:
        running = read_running(path)
    except StorageError as error:
        assert "\n" not in str(error)
    else:
        assert all(p.lo <= running.scene.settings[p.name] <= p.hi for p in PARAMS)
