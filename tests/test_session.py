"""A controller's session of three minutes, recorded with a running show: played again, the same stands at its end."""

import os
import time
from pathlib import Path

import pytest
import x_session

from live import Run
from livelav.control.banks import load_banks
from livelav.core.params import argument
from livelav.core.setlists import every_preset
from livelav.desk.desk import Desk
from livelav.desk.inputs import Inputs
from livelav.flags import first_scene

TURN_S = 1 / 60


def _put_bank(folder: Path) -> None:
    """The session's controller, among the user's."""
    (folder / "config" / "banks").mkdir(parents=True)
    (folder / "config" / "banks" / "session.toml").write_text(x_session.bank())


def test_played_again_in_no_time_it_ends_as_it_did_live(own_folders: Path) -> None:
    sent, ended = x_session.read()
    assert len(sent) > 1_000 and sent[-1][0] > 150
    _put_bank(own_folders)
    flags = {"tempo.hearing": "0", "preset.morph": str(x_session.MORPH_S), "midi.takeover": "pickup"}
    scene = first_scene(None, None, {argument(name): word for name, word in flags.items()})
    banks, troubles = load_banks()
    assert not troubles
    desk = Desk(scene, None, every_preset(), Inputs(banks), 0.0)
    waited, moved = set[str](), set[str]()
    ports = {"kind": "ports", "names": [x_session.PORT], "outputs": {}, "came": [x_session.PORT], "went": []}
    desk.take([ports], 0.0)
    waiting = iter([*sent, (float("inf"), b"")])
    at_s, message = next(waiting)
    for turn in range(round(x_session.SECONDS / TURN_S)):
        due = []
        while at_s <= turn * TURN_S:
            due.append((x_session.PORT, message))
            at_s, message = next(waiting)
        before = desk.settings.as_dict()
        desk.take([{"kind": "midi", "messages": due}], turn * TURN_S)
        waited |= set(desk.inputs.hands.ghosts())
        moved |= {name for name, value in desk.settings.as_dict().items() if due and value != before[name]}
    assert len(waited) > 5, "knobs had to come past their values"
    assert moved >= x_session.TURNED, "every control moved what it is for"
    assert desk.scenes.preset == ended["preset"]
    assert desk.settings.as_dict() == pytest.approx(ended["settings"], abs=1e-9)


@pytest.mark.rig
@pytest.mark.timeout(300)
@pytest.mark.skipif("LIVELAV_SESSION" not in os.environ, reason="takes three minutes: LIVELAV_SESSION=play or record")
def test_played_again_live_it_ends_as_it_did(tmp_path, own_folders, rig) -> None:
    rtmidi = pytest.importorskip("rtmidi")
    _put_bank(own_folders)
    box = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name=x_session.PORT)
    box.open_virtual_port("out")
    run = Run(tmp_path, *x_session.ARGUMENTS)
    is_new = os.environ["LIVELAV_SESSION"] == "record"
    sent = x_session.improvised(19) if is_new else x_session.read()[0]
    try:
        run.wait_for(lambda s: s["midi"]["ports"], "it hears the controller")
        played = x_session.play(sent, box.send_message)
        time.sleep(2.0)  # the statistics are a second old
        stats = run.stats
    finally:
        run.end()
        box.delete()
    if is_new:
        x_session.write(played, stats["preset"], stats["settings"])
    ended = x_session.read()[1]
    assert stats["midi"]["messages"] >= 0.99 * len(sent), "JACK loses single ones"
    assert stats["preset"] == ended["preset"]
    assert stats["settings"] == pytest.approx(ended["settings"], abs=1e-9)
