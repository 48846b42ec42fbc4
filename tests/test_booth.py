"""What main tells the operator's window and the HUD, and what the window may ask for; without a display."""

import json
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from livelav.control.commands import ACTIONS, NAMED_ACTIONS, PickNamed, RecallNumber, SetChoice, SetParam
from livelav.control.keys import KEYS
from livelav.control.osc import LOOPBACK, Message, OscIn, pack
from livelav.core.drive import Drive
from livelav.core.params import BY_NAME, PARAMS
from livelav.core.setlists import MOST, Song
from livelav.core.tempo import Tempo
from livelav.desk.teaching import ROWS
from livelav.flags import first_scene
from livelav.live.booth import VIEW_BYTES, actions, asked
from livelav.live.engine import Live
from livelav.live.statistics import alarms
from livelav.live.supervisor import Child
from livelav.play import live_config
from livelav.show.headless import HeadlessSurface
from livelav.show.hud import GhostRow, _fits
from livelav.show.operator import OPERATOR_FIELDS

DEADLINE_S = 20.0
NOTICE = "the last show was cut off"


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    """A show that is not started: all that it knows, without its processes."""
    monkeypatch.setenv("LIVELAV_CONFIG", str(tmp_path))
    config = live_config("demo", scene=first_scene(None, None, {"osc": "off"}))
    songs = tuple(Song(name) for name in ("calm", "pulse", "storm"))
    made = Live(replace(config, songs=songs, notice=NOTICE))
    made.shared.main["first_s"], made.shared.pace["period_s"] = 1.0, 1 / 60
    made._surface = HeadlessSurface((16, 16))
    yield made
    made.shared.stop.set()
    made.booth.child.stop(1.0)
    made.desk.inputs.close()
    made._surface.close()


# ---- what it is told


def test_a_view_is_plain_json_and_names_every_parameter_and_switch(live: Live) -> None:
    view = live.booth.view(live, 5.0)
    assert json.loads(json.dumps(view)) == view
    assert view["values"].keys() == BY_NAME.keys()
    assert set(view["switches"]) == {name for name, _key, group in actions() if group == "switch"}
    assert (view["number"], view["songs"], view["next"]) == (None, ["calm", "pulse", "storm"], ["calm", ""])


def test_a_view_tells_what_is_driven_and_where_it_is_now(live: Live) -> None:
    live.desk.scenes.drive("show.hue", Drive.parse("sine 4 0.5"))
    now_s = time.monotonic()
    for turn in range(90):
        live.desk.take([], now_s + turn / 60)
    drive, value = live.booth.view(live, now_s + 1.5)["driven"]["show.hue"]
    assert drive == "sine 4 0.5"
    assert value == live.desk.played["show.hue"] != live.desk.settings["show.hue"]


def test_a_disk_that_fills_up_is_told_of_before_it_is_full(live: Live) -> None:
    assert not [row for row in live.booth.view(live, 5.0)["alarms"] if row[0] == "DISK"]
    live.desk.keeper.free_bytes = 20 << 20
    alarms = live.booth.view(live, 5.0)["alarms"]
    assert ["DISK", "20 MiB left where presets are saved", True] in alarms


def test_the_largest_view_fits_its_slot(live: Live) -> None:
    wide = "\N{GRINNING FACE}" * 4_000  # four bytes a character, and more of them than anybody may show
    songs = tuple(Song("n" * 64, wide[:500]) for _ in range(MOST + 200))
    live.desk.scenes._songs.all = songs
    live.desk.scenes._models.names = ("m" * 64,) * 1000
    live.desk.scenes._place = replace(live.desk.scenes._place, preset=wide, number=7)
    live.source = {"name": wide}
    live.loaded = {"encoder": wide, "model": wide, "backend": wide}
    live.desk.inputs.ports = (wide,) * 16
    live.desk.beat.source = wide
    for _ in range(3):
        live._warn(wide, 5.0)
    live.desk.state = replace(live.desk.state, operator=True)
    for param in PARAMS:
        live.desk.scenes.drive(param.name, Drive.parse("square 12.25 -0.123"))
    for row in range(len(ROWS)):
        live.booth._movers[ROWS[row]] = wide[:160]
    live.booth._tell(live, 5.0)
    told = live.shared.view.read()
    assert told is not None and len(told[1]) < VIEW_BYTES
    assert len(json.loads(told[1].tobytes())["songs"]) <= MOST + 100


def test_the_same_is_not_told_twice(live: Live) -> None:
    for turn in range(2 * len(ROWS)):
        live.booth._tell(live, 5.0 + turn / 1000)
    seen = live.shared.view.published
    live.booth._tell(live, 5.1)
    assert live.shared.view.published == seen
    live.desk.press(["B"], 5.1)
    live.booth._tell(live, 5.1)
    assert live.shared.view.published == seen + 1


def test_after_some_views_the_controls_of_every_row_are_known(live: Live) -> None:
    live.desk.inputs.ports = ("any box",)
    for turn in range(len(ROWS)):
        view = live.booth.view(live, 5.0 + turn)
    assert set(view["movers"]) == {p.name for p in PARAMS if p.cc is not None}
    assert view["movers"]["mapping.norm"] == "cc 20"


def test_the_window_says_how_sure_the_ear_is_of_the_tempo(live: Live) -> None:
    for now_s in (5.0, 6.0):
        live.desk.hear(Tempo(128.0, 4.0), 0.87, now_s)
    assert live.booth.view(live, 6.0)["beat_source"] == "heard 87 %"


# ---- alarms

LOOK_S = 0.05


class Watched:
    """A show that plays well until something is changed in it, looked at as main does, on a clock moved by hand."""

    def __init__(self, live: Live) -> None:
        self.live, self.now_s, self.fps, self.images = live, 100.0, 60.0, 60.0  # a second, the images of them new
        live.shared.main["first_s"], live.shared.capture["live"] = 90.0, 1.0
        live.shared.main["latency_ms"] = 60.0

    def after(self, seconds: float) -> set[str]:
        """The alarms after so long."""
        board = self.live.shared.main
        for _ in range(round(seconds / LOOK_S)):
            self.now_s += LOOK_S
            self.live.shared.capture["last_sound_s"] = self.now_s
            board["presented"] += self.fps * LOOK_S
            board["repeated"] += max(self.fps - self.images, 0.0) * LOOK_S
            self.live.lasting.look(self.live, self.now_s)
        return {label for label, _text, _warns in alarms(self.live, self.now_s)}


def test_a_show_that_plays_well_raises_no_alarm(live: Live) -> None:
    assert Watched(live).after(5.0) == set()


def test_a_source_that_reconnects_is_an_alarm_where_it_lasts(live: Live) -> None:
    watched = Watched(live)
    watched.after(1.0)
    for _ in range(5):  # gone and back within a second: nothing to look at
        live.shared.capture["live"] = 0.0
        assert watched.after(1.0) == set()
        live.shared.capture["live"] = 1.0
        assert watched.after(0.2) == set()
    live.shared.capture["live"] = 0.0
    assert watched.after(3.0) == {"RECONNECTING"}
    live.shared.capture["live"] = 1.0
    assert watched.after(0.1) == set()


def test_no_images_at_all_are_an_alarm_unless_the_picture_is_frozen(live: Live) -> None:
    watched = Watched(live)
    watched.after(1.0)
    watched.images = 0.0
    assert watched.after(1.5) == set()
    assert watched.after(1.0) == {"NO IMAGES"}
    watched.images = 15.0
    assert watched.after(0.1) == set()
    live.desk.press(["Z"], watched.now_s)
    watched.images = 0.0
    assert watched.after(5.0) == set()


def test_late_images_and_too_few_pictures_are_alarms_in_words(live: Live) -> None:
    watched = Watched(live)
    watched.after(3.0)
    live.shared.main["latency_ms"] = 450.0
    assert watched.after(1.0) == set()
    assert watched.after(1.5) == {"LATE"}
    assert ("LATE", "images come 450 ms after their sound", True) in list(alarms(live, watched.now_s))
    live.shared.main["latency_ms"] = 60.0
    assert watched.after(0.2) == set()
    watched.fps = watched.images = 30.0
    assert watched.after(6.0) == {"LATE"}
    assert ("LATE", "30 of 60 pictures a second", True) in list(alarms(live, watched.now_s))


def test_a_frozen_picture_is_not_late_whatever_it_was_before(live: Live) -> None:
    watched = Watched(live)
    live.shared.main["latency_ms"] = 450.0
    assert watched.after(3.0) == {"LATE"}
    live.desk.press(["Z"], watched.now_s)
    watched.images = 0.0
    assert watched.after(0.1) == set() == watched.after(5.0)


def test_before_the_first_picture_nothing_is_late(live: Live) -> None:
    watched = Watched(live)
    live.shared.main["first_s"] = live.shared.capture["live"] = watched.fps = 0.0
    assert watched.after(5.0) <= {"SILENT"}


# ---- the picture's window


class Crossed(HeadlessSurface):
    """A window whose cross somebody clicks."""

    should_close = True

    def stay_open(self) -> None:
        self.should_close = False


def test_the_windows_cross_ends_no_show_while_keys_are_locked(live: Live) -> None:
    live._surface.close()
    live._surface = Crossed((16, 16))
    live.desk.press(["SPACE"], 1.0)
    live._look_whether_to_end(1.1)
    assert not live.desk.state.quit and not live._surface.should_close
    assert any("Space unlocks" in text for _label, text, _warns in alarms(live, 1.2))
    live.desk.press(["SPACE"], 2.0)
    live._surface.should_close = True
    live._look_whether_to_end(2.1)
    assert live.desk.state.quit


def test_a_signal_ends_the_show_also_while_keys_are_locked(live: Live) -> None:
    live.desk.press(["SPACE"], 1.0)
    live.ask_to_end()
    live._look_whether_to_end(1.1)
    assert live.desk.state.quit


# ---- what the HUD says

CAME = {"kind": "ports", "names": ["box"], "outputs": {}, "came": ["box"], "went": []}
WENT = {"kind": "ports", "names": [], "outputs": {}, "came": [], "went": ["box"]}  # once it is back, its knobs pick up


def moved(*controllers: int) -> dict[str, object]:
    return {"kind": "midi", "messages": [("box", bytes((0xB0, number, 127))) for number in controllers]}


def test_alarms_stand_before_warnings_and_the_newest_warning_comes_first(live: Live) -> None:
    live.shared.capture["last_sound_s"] = 1.0
    live.desk.keeper.free_bytes = 20 << 20
    live.desk.press(["Q"], 9.5)
    for text in ("first", "second", "third"):
        live._warn(text, 9.0)
    alarms = live.booth.view(live, 10.0)["alarms"]
    assert [label for label, _text, _warns in alarms] == ["SILENT", "DISK", "quit?", "!", "!", "!"]
    assert [text for label, text, _warns in alarms if label == "!"] == ["third", "second", "first"]


def test_what_the_terminal_was_told_is_seen_after_the_first_picture_and_not_told_again(live: Live, capsys) -> None:
    for child in live.children:
        child.rest()
    live.shared.main["first_s"] = 0.0
    live._watch(5.0)
    assert not [row for row in alarms(live, 5.0) if row[0] == "!"]
    live.shared.main["first_s"] = 6.0
    for now_s in (6.1, 6.2, 7.0):
        live._watch(now_s)
    assert [row for row in alarms(live, 25.0) if row[0] == "!"] == [("!", NOTICE, True)]
    assert not live.recent_warnings(27.0)
    assert not capsys.readouterr().err


def test_a_small_window_keeps_alarms_and_switches(live: Live) -> None:
    now_s = time.monotonic() + 30.0
    live.shared.main["first_s"] = now_s - 20.0
    live.desk.press(["B", "Z", "Q"], now_s)
    live.desk.take([CAME, WENT, CAME, moved(*range(20, 26))], now_s)
    rows = live.hud_text.rows(live, now_s)[: _fits(180, 12)]
    assert {"SILENT", "quit?", "blackout", "freeze"} <= {label for label, *_ in rows}


def test_the_hud_says_what_hands_presets_and_tempo_do(live: Live) -> None:
    desk, now_s = live.desk, time.monotonic()
    desk.inputs.osc = OscIn((LOOPBACK, 0))
    desk.inputs.osc.commands(pack([Message("/show/hue", (30.0,))]))
    live.link = live.booth.child  # any that runs: it is asked for nothing here
    live.shared.link["peers"] = 3
    desk.take([CAME, WENT, CAME, moved(*range(20, 26))], now_s)
    desk.apply(SetParam("preset.cue", 16.0), now_s)
    desk.hear(Tempo(120.0, now_s - 0.2), 0.87, now_s)
    desk.press(["2", "DOWN"], now_s)
    live._presenter = SimpleNamespace(holds_light_back=True)
    rows = live.hud_text.rows(live, now_s)
    said = {label: text for label, text, *_ in rows}
    assert said["FLASHES"] == "held back"
    assert said["Link"] == "peers: 3"
    assert said["OSC"] == "/show/hue"
    assert said["tempo"].endswith("heard 87 %")
    assert said["cued"].startswith("pulse in ")
    assert said["MIDI"] == "box"
    waiting = {label: text for label, text in said.items() if "must come past" in text}
    assert waiting.pop("ghosts").startswith("3 more")
    assert len(waiting) == 3, "however many knobs wait, they leave room for the rest"
    assert all(BY_NAME[name].cc in range(20, 26) for name in waiting)
    ghosts = [row for row in rows if isinstance(row, GhostRow)]
    assert {row.label for row in ghosts} == waiting.keys()
    assert all(row.value == BY_NAME[row.label].knob(desk.settings[row.label]) != row.knob for row in ghosts)
    assert rows[0][0] == "FLASHES"


def test_what_is_learnt_is_asked_for_on_the_hud(live: Live) -> None:
    live.desk.press(["H", "L"], 1.0)
    assert ("LEARN", f"move the control that is to move {ROWS[0]}; L: none", True) in live.hud_text.rows(live, 1.1)


# ---- what it asks for


@pytest.mark.parametrize(
    "event, command",
    [
        ({"kind": "key", "name": "B"}, KEYS["B"].command),
        ({"kind": "act", "name": "tap"}, ACTIONS["tap"]),
        ({"kind": "pick", "name": "show.hue"}, PickNamed("show.hue")),
        ({"kind": "recall", "number": 3}, RecallNumber(3)),
        ({"kind": "set", "name": "show.hue", "value": -180.0}, SetParam("show.hue", -180.0)),
        ({"kind": "model", "name": "lava"}, SetChoice("model", "lava")),  # of which only names of the library count
    ],
)
def test_what_hands_do_there_is_a_command(event, command) -> None:
    assert asked(event) == command


@pytest.mark.parametrize(
    "event",
    [
        {"kind": "key", "name": "F13"},
        {"kind": "key", "name": ["B"]},
        {"kind": "key"},
        {"kind": "act", "name": "__class__"},
        {"kind": "pick", "name": "preset-1"},
        {"kind": "recall", "number": 0},
        {"kind": "recall", "number": 10**5000},
        {"kind": "recall", "number": "3"},
        {"kind": "set", "name": "show.hue", "value": 180.5},
        {"kind": "set", "name": "show.hue", "value": float("nan")},
        {"kind": "set", "name": "show.hue", "value": float("inf")},
        {"kind": "set", "name": "show.hue", "value": "1"},
        {"kind": "set", "name": "model", "value": 1.0},
        {"kind": "model", "name": 1},
        {"kind": "quit"},
        {},
    ],
)
def test_anything_else_is_nothing(event) -> None:
    assert asked(event) is None


def test_every_action_has_a_button() -> None:
    assert [name for name, _key, _group in actions()] == list(NAMED_ACTIONS)
    assert {group for _name, _key, group in actions()} == {"switch", "beat", "preset"}


def test_a_lock_holds_off_hands_in_the_window_but_not_the_one_that_unlocks(live: Live) -> None:
    desk = live.desk
    desk.ask(NAMED_ACTIONS["lock"], 1.0)
    desk.ask(SetParam("show.hue", 30.0), 1.1)
    desk.ask(NAMED_ACTIONS["blackout"], 1.2)
    assert desk.settings["show.hue"] == 0.0 and not desk.state.blackout
    desk.ask(NAMED_ACTIONS["lock"], 1.3)
    desk.ask(SetParam("show.hue", 30.0), 1.4)
    assert desk.settings["show.hue"] == 30.0


def test_with_the_window_open_arrows_and_learning_need_no_hud(live: Live) -> None:
    desk = live.desk
    desk.press(["O", "DOWN", "L"], 1.0)
    assert desk.teaching.picked == ROWS[1] and desk.teaching.waits and not desk.state.hud


# ---- its process, another one in its place


def one_hand(config, shared, events):
    """Opens, moves something, is closed by its cross."""
    shared.board["live"] = 1.0
    _number, view, facts = shared.view.read()
    events.send({"kind": "set", "name": "show.hue", "value": 10.0 * facts["open"]})
    events.send({"kind": "set", "name": "show.hue", "value": 1000.0})
    events.send({"kind": "recall", "number": json.loads(view.tobytes())["songs"].index("pulse") + 1})
    events.send({"kind": "ended"})


def follows_main(config, shared, events):
    """As the real one: a heartbeat until the view says that it is to close."""
    shared.board["live"] = 1.0
    while (told := shared.view.read()) and told[2]["open"] and not shared.stop.is_set():
        shared.board["heartbeat_s"] = time.monotonic()
        time.sleep(0.005)
    events.send({"kind": "ended"})


def is_closed_once(config, shared, events):
    """Its cross is clicked the first time."""
    shared.board["live"] = 1.0
    shared.board["drawn"] += 1
    if shared.board["drawn"] > 1:
        follows_main(config, shared, events)
    events.send({"kind": "ended"})


def has_no_window(config, shared, events):
    events.send({"kind": "warning", "text": "no window for the operator"})
    events.send({"kind": "ended"})


def dies(config, shared, events):
    shared.board["live"] = 1.0
    raise RuntimeError("no luck")


def with_child(live: Live, target) -> None:
    booth = live.booth
    ctx = multiprocessing.get_context("spawn")
    booth.child = Child(ctx, "operator", target, booth.child.args, live.shared.operator, 5.0)
    booth.child.rest()


def turns(live: Live, condition) -> list[str]:
    """Looks at the window as main does until `condition()`; returns what it is told meanwhile."""
    news, until_s = [], time.monotonic() + DEADLINE_S
    while time.monotonic() < until_s:
        now_s = time.monotonic()
        news += [event.get("text", event["kind"]) for event in live.booth.step(live, now_s)]
        live.desk.take([], now_s)
        if condition():
            return news
        time.sleep(0.005)
    raise AssertionError(f"not within {DEADLINE_S} s; {news}")


def test_nothing_runs_until_somebody_opens_it(live: Live) -> None:
    assert live.booth.step(live, time.monotonic()) == [] and live.booth.child.pid is None
    assert "operator" not in {child.name for child in live.children}
    assert "heartbeat_s" in OPERATOR_FIELDS


def test_hands_there_move_the_show_and_closing_it_turns_its_switch_off(live: Live) -> None:
    with_child(live, one_hand)
    live.desk.press(["O"], 1.0)
    turns(live, lambda: not live.desk.state.operator)
    assert live.desk.scenes.preset == "pulse"
    assert live.booth.child.restarts == 0


def test_while_keys_are_locked_its_cross_leaves_it_open(live: Live) -> None:
    with_child(live, is_closed_once)
    live.desk.press(["O", "SPACE"], 1.0)
    news = turns(live, lambda: live.shared.operator["drawn"] == 2)
    assert live.desk.state.operator and live.booth.child.restarts == 0
    assert any("Space unlocks" in text for text in news)
    live.desk.press(["SPACE", "O"], 2.0)
    turns(live, lambda: live.booth.child.finished)
    assert not live.desk.state.operator


def test_a_window_that_cannot_be_had_is_not_tried_again_while_keys_are_locked(live: Live) -> None:
    with_child(live, has_no_window)
    live.desk.press(["O", "SPACE"], 1.0)
    news = turns(live, lambda: not live.desk.state.operator)
    assert news == ["no window for the operator", "ended"]


def test_its_key_closes_it_and_opens_it_again(live: Live) -> None:
    with_child(live, follows_main)
    child = live.booth.child
    for _ in range(2):
        live.desk.press(["O"], 1.0)
        assert live.booth.step(live, time.monotonic()) == [] and not child.finished
        live.desk.press(["O"], 1.0)
        assert turns(live, lambda: child.finished) == ["ended"]
        assert not live.desk.state.operator and child.restarts == 0


def test_one_that_keeps_dying_is_let_go_and_said(live: Live) -> None:
    with_child(live, dies)
    live.desk.press(["O"], 1.0)
    news = turns(live, lambda: not live.desk.state.operator)
    assert any("no luck" in text for text in news) and any("press O to try again" in text for text in news)
