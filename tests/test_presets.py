"""Presets are read whole or refused by file and line; no bytes make them raise anything else."""

import os
import re
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from livelav.cli import cli
from livelav.core.bounded_toml import MAX_BYTES
from livelav.core.errors import InstanceError, PresetError, StorageError
from livelav.core.generations import write_kept
from livelav.core.params import BY_NAME, PARAMS, Settings
from livelav.core.presets import check_preset, list_presets, load_preset, recall_preset, rename_preset
from livelav.core.store import config_dir, data_dir, only_instance

SHIPPED = sorted(data_dir("presets").glob("*.toml"))
GOOD = """\
schema = 1
name = "Good"

[choices]
seed = 7
model = "default"
mapping.mode = "fixed"

[params]
mapping.norm = 2
"smoothing.fine" = 0.5
"""
quick = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "preset.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(path: Path) -> str:
    """The one line with which loading refuses; checking must say it too."""
    with pytest.raises(PresetError) as caught:
        load_preset(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message in check_preset(path)
    return message


def test_twelve_presets_are_shipped_each_with_a_thumbnail() -> None:
    shipped = [p for p in list_presets() if p.shipped]
    assert len(shipped) >= 12
    assert {"calm", "pulse", "harmony", "storm"} <= {p.name for p in shipped}
    for one in shipped:
        with Image.open(one.path.with_suffix(".png")) as thumbnail:
            assert thumbnail.size == (320, 180)
            assert np.asarray(thumbnail.convert("RGB")).std() > 10, "there is a picture in it"


def test_no_two_shipped_presets_play_the_same_mapping_or_look_the_same() -> None:
    presets = [load_preset(p.name) for p in list_presets() if p.shipped]
    assert len({preset.seed for preset in presets}) == len(presets)
    looks = {tuple(p.settings[n] for n in ("show.contour", "show.density", "show.feedback")) for p in presets}
    assert len(looks) == len(presets)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_a_shipped_preset_is_sound_and_is_not_just_the_defaults(path: Path) -> None:
    assert check_preset(path) == []
    preset = load_preset(path.stem)
    assert preset == load_preset(path)
    assert preset.name.lower() == path.stem
    assert preset.notes
    assert preset.seed is not None
    assert sum(a != b for a, b in zip(preset.settings.values, Settings().values, strict=True)) >= 8


def test_shipped_presets_differ_as_their_names_say() -> None:
    calm, pulse, harmony, storm = (load_preset(name).settings for name in ("calm", "pulse", "harmony", "storm"))
    every = (calm, pulse, harmony, storm)
    assert max(every, key=lambda s: s["smoothing.coarse"]) == calm
    assert max(every, key=lambda s: s["mapping.onset"]) == pulse
    assert max(every, key=lambda s: s["mapping.chroma"]) == harmony
    assert max(every, key=lambda s: s["mapping.norm"]) == storm


def test_what_a_file_names_is_taken_and_the_rest_is_default(tmp_path: Path) -> None:
    preset = load_preset(write(tmp_path, GOOD))
    assert preset.name == "Good"
    assert preset.seed == 7
    assert preset.choices == {"model": "default", "mapping.mode": "fixed"}
    assert preset.changes == {"mapping.norm": 2.0, "smoothing.fine": 0.5}
    assert preset.settings == Settings().with_values({"mapping.norm": 2.0, "smoothing.fine": 0.5})


@pytest.mark.parametrize(
    ("line", "instead", "message"),
    [
        (1, "schema = 2", ":1: made for a newer livelav (this one reads schema 1)"),
        (1, "", ": write `schema = 1` on top"),
        (2, "nam = 'x'", ":2: no key 'nam' in a preset (did you mean 'name'?)"),
        (2, "name = '''a\x1b[2J'''", "preset.toml:2: "),
        (2, 'name = "a\\u001b[2J"', ":2: name must be plain text"),
        (4, "choices = 1", ":4: choices must be a table"),
        (5, "seed = -1", ":5: seed must be a whole number from 0 to 4294967295"),
        (5, "seed = 1.0", ":5: seed must be a whole number"),
        (6, "modle = 'default'", ":6: no choice 'modle' (did you mean 'model'?)"),
        (6, "model = 3", ":6: model must be plain text, not int"),
        (7, "mapping.mode = 'fixd'", ":7: mapping.mode is 'fixd': it must be one of running, fixed, track"),
        (10, "mapping.nrom = 1", ":10: no parameter 'mapping.nrom' (did you mean 'mapping.norm'?)"),
        (10, "mapping.norm = 4.1", ":10: mapping.norm is 4.1: it must be a number from 0 to 4"),
        (10, "mapping.norm = nan", ":10: mapping.norm is nan: it must be"),
        (10, "mapping.norm = -inf", ":10: mapping.norm is -inf: it must be"),
        (10, f"mapping.norm = 0x{'f' * 4000}", ":10: mapping.norm is inf: it must be"),
        (10, f"mapping.norm = {'9' * 4050}", ":10: mapping.norm is inf: it must be"),
        (10, "mapping.norm = true", ":10: mapping.norm must be a number from 0 to 4, not bool"),
        (10, "mapping.norm = [1]", ":10: mapping.norm must be a number from 0 to 4, not list"),
        (10, "mapping.norm == 1", ":10: Invalid value"),
        (10, f"mapping.norm = {'[' * 9}{']' * 9}", ":10: nested deeper than 8"),
        (10, f"{'a.' * 9}b = 1", ":10: nested deeper than 8"),
        (10, f"{'a . ' * 9}b = 1", ":10: nested deeper than 8"),
        (10, "'''\"'.b.\"a\".c.d.e.f.g.h.i = 1", ":10: Expected '='"),
        (10, f"mapping.norm = 1 # {'x' * 5000}", ":10: 5019 characters, at most 4096 are allowed"),
        (10, "[[bind]]\ncontrol = 1979-05-27", "preset.toml: bind must be written as [[bind]], of words and numbers"),
        (10, "[[bind]]\ncontrol = nan", "preset.toml: bind must be written as [[bind]], of words and numbers"),
        (11, '"smoothing.fin" = 0.5', ":11: no parameter 'smoothing.fin'"),
    ],
)
def test_a_fault_is_named_by_line(tmp_path: Path, line: int, instead: str, message: str) -> None:
    lines = GOOD.splitlines()
    lines[line - 1] = instead
    if instead.startswith("choices"):
        lines = lines[:4]
    assert message in refused(write(tmp_path, "\n".join(lines)))


def test_every_problem_is_listed(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("seed = 7", "seed = 'x'").replace("norm = 2", "norm = 20"))
    assert [re.sub(r"^.*toml", "", problem)[:10] for problem in check_preset(path)] == [":5: seed m", ":10: mappi"]


def test_deep_looking_text_and_dots_in_quotes_are_fine(tmp_path: Path) -> None:
    notes = 'notes = """\na.b.c.d.e.f.g.h.i.j.k [[[[[[[[[[ # it\'s\n"""\nauthor = "a.b.c.d.e.f.g.h.i.j"\n'
    assert check_preset(write(tmp_path, GOOD.replace("name =", notes + "name ="))) == []


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    assert "larger than 64 KiB" in refused(write(tmp_path, GOOD + "#\n" * (MAX_BYTES // 2)))


def test_a_thousand_unknown_keys_are_not_all_searched_for(tmp_path: Path) -> None:
    assert len(check_preset(write(tmp_path, GOOD + "".join(f"key{i} = 1\n" for i in range(4_000))))) == 20


@pytest.mark.parametrize("end", range(0, len(GOOD), 3))
def test_a_truncated_file_is_whole_or_refused(tmp_path: Path, end: int) -> None:
    path = write(tmp_path, GOOD[:end])
    if check_preset(path):
        refused(path)
    else:
        assert load_preset(path).changes.items() <= {"mapping.norm": 2.0, "smoothing.fine": 0.5}.items()


@quick
@given(data=st.data())
def test_mutated_files_are_good_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from([path.read_bytes() for path in SHIPPED])))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.binary(max_size=3) | st.sampled_from([b'"""', b"[[", b"{", b".", b"\n[params]\n", b"nan"]))
        content[at : at + data.draw(st.integers(0, 3))] = piece
    good_or_refused(write(tmp_path, bytes(content)))


@quick
@given(content=st.binary(max_size=400) | st.text(alphabet="[]{}=.,\"'\\#\n a1_-", max_size=400).map(str.encode))
def test_any_bytes_are_good_or_refused(tmp_path: Path, content: bytes) -> None:
    good_or_refused(write(tmp_path, content))


def good_or_refused(path: Path) -> None:
    if check_preset(path):
        refused(path)
    else:
        preset = load_preset(path)
        for name, value in preset.settings.as_dict().items():
            assert BY_NAME[name].checked(value) == value


@pytest.mark.parametrize(
    "name",
    ["", "..", "../calm", "/etc/passwd", "calm/../calm", "CALM", "cal m", "a" * 65, "calm\n", "calm\0", "kälm", "."],
)
def test_a_name_is_a_slug(name: str) -> None:
    with pytest.raises(PresetError, match="a name has lower-case letters"):
        load_preset(name)


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(PresetError, match=r"no preset 'strom' \(did you mean 'storm'"):
        load_preset("strom")


@pytest.mark.parametrize("name", ["gone.toml", "a\0.toml", "x" * 5000 + ".toml", "/dev/zero.toml"])
def test_a_file_that_is_not_there_is_one_line(name: str) -> None:
    with pytest.raises(PresetError) as caught:
        load_preset(name)
    assert len(str(caught.value).splitlines()) == 1


def test_a_folder_or_device_is_no_preset(tmp_path: Path) -> None:
    assert "no preset file" in refused(tmp_path)
    assert "no preset file" in refused(Path("/dev/zero"))


def test_the_users_own_preset_stands_before_the_shipped_one() -> None:
    folder = config_dir() / "presets"
    folder.mkdir(parents=True)
    (folder / "calm.toml").write_text(GOOD)
    (folder / "Not A Name.toml").write_text(GOOD)
    assert load_preset("calm").name == "Good"
    listed = {p.name: p for p in list_presets()}
    assert not listed["calm"].shipped
    assert listed["pulse"].shipped
    assert len(listed) == len(SHIPPED)


def test_a_preset_does_not_lead_out_of_its_folder(tmp_path: Path) -> None:
    folder = config_dir() / "presets"
    folder.mkdir(parents=True)
    (folder / "sly.toml").symlink_to(write(tmp_path, GOOD))
    with pytest.raises(PresetError, match="leads out of its folder"):
        load_preset("sly")


def test_a_preset_can_hold_every_parameter(tmp_path: Path) -> None:
    allowed = {p.name: p.hi for p in PARAMS if p.scope != "operator"}
    lines = "".join(f"{name} = {value}\n" for name, value in allowed.items())
    assert load_preset(write(tmp_path, "schema = 1\n[params]\n" + lines)).changes == allowed


def test_no_preset_lets_flashes_through(tmp_path: Path) -> None:
    assert "operator" in refused(write(tmp_path, "schema = 1\n[params]\nshow.flash_limit = 60\n"))


def test_quotes_that_open_again_and_again_are_read_once(tmp_path: Path) -> None:
    """Each of these would be searched to the file's end, if a text that does not end were tried anew."""
    for piece in ('\\"""\n', "a='''\n", '"""\n', 'a="\n'):
        begin_s = time.process_time()
        refused(write(tmp_path, piece * (MAX_BYTES // len(piece))))
        assert time.process_time() - begin_s < 5.0, "a second at most; minutes if it were quadratic"


def test_what_is_nested_behind_a_text_with_quotes_at_its_end_is_seen(tmp_path: Path) -> None:
    hidden = 'a = {b = """x"""", c = ' + "[" * 300 + "]" * 300 + ', d = "y"}'
    assert "nested deeper" in refused(write(tmp_path, hidden))


# ---- another name


def saved(name: str, *contents: str) -> Path:
    """A preset of the user's, saved with each of these in turn."""
    path = config_dir() / "presets" / f"{name}.toml"
    for content in contents:
        write_kept(path, content.encode())
    return path


def renamed(*names: str) -> Result:
    return CliRunner().invoke(cli, ["presets", "rename", *names])


def test_a_preset_gets_another_name_and_its_generations_go_with_it() -> None:
    path = saved("calm-1", GOOD.replace("seed = 7", "seed = 1"), GOOD)
    sets = config_dir() / "sets"
    sets.mkdir()
    (sets / "evening.toml").write_text('schema = 1\n[[song]]\npreset = "calm-1"\n')
    done = renamed("calm-1", "opening")
    assert done.exit_code == 0 and "calm-1 is now " in done.output
    assert f"{sets / 'evening.toml'} still names calm-1: write opening there" in done.output
    assert load_preset("opening").seed == 7
    assert not list(path.parent.glob("calm-1*"))
    (path.parent / "opening.toml").write_text("broken = ")
    assert recall_preset("opening")[0].seed == 1


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("calm", "other"), "is shipped"),
        (("mine-1", "storm"), "already"),
        (("mine-1", "mine-2"), "already"),
        (("mine-1", "../x"), "is no name"),
        (("mine-1", "Opening"), "is no name"),
        (("nobody", "other"), "no preset 'nobody'"),
        (("../mine-1", "other"), "a name has"),
    ],
)
def test_a_name_that_cannot_be_changes_nothing(names: tuple[str, str], says: str) -> None:
    for name in ("mine-1", "mine-2"):
        saved(name, GOOD)
    with pytest.raises(PresetError, match=says):
        rename_preset(*names)
    assert sorted(path.name for path in (config_dir() / "presets").iterdir()) == ["mine-1.toml", "mine-2.toml"]


def test_a_rename_that_was_cut_off_goes_on_when_it_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved("mine-1", *(GOOD.replace("seed = 7", f"seed = {seed}") for seed in (1, 2, 3)))
    rename, calls = os.rename, []

    def cut_off(source: Path, target: Path) -> None:
        calls.append(source)
        if len(calls) == 2:
            raise PermissionError(13, "Permission denied")
        rename(source, target)

    monkeypatch.setattr("os.rename", cut_off)
    with pytest.raises(StorageError):
        rename_preset("mine-1", "opening")
    assert load_preset("mine-1").seed == 3, "it is there until the last moment"
    assert rename_preset("mine-1", "opening") == path.with_name("opening.toml")
    assert load_preset("opening").seed == 3
    assert sorted(one.name for one in path.parent.iterdir()) == ["opening.toml", "opening.toml.1", "opening.toml.2"]


def test_while_a_show_runs_no_preset_is_renamed() -> None:
    saved("mine-1", GOOD)
    with only_instance():
        assert isinstance(renamed("mine-1", "opening").exception, InstanceError | SystemExit)
    assert load_preset("mine-1").seed == 7
