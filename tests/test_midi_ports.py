"""Ports that come and go on ALSA, told by what its folder and its list of ports say: without a device."""

import itertools
import os
from pathlib import Path

import pytest

from livelav.control import midi, midiout
from livelav.control.midi import MidiConfig, Ports

pytest.importorskip("rtmidi")

KNOBS, PADS = "knobs:knobs MIDI 1 20:0", "pads:pads MIDI 1 24:0"
ROUTED = "router:out 130:0"  # a program's, which has no card


class System:
    """ALSA as far as livelav looks at it: device nodes, ports, and clients that are connected or cut off."""

    def __init__(self, devices: Path) -> None:
        self.devices, self.present = devices, list[str]()
        self.clients: list[Client] = []
        self._made = itertools.count(1)
        self._node("seq")

    def _node(self, name: str) -> None:
        node = self.devices / name
        node.unlink(missing_ok=True)
        node.write_text("")
        os.utime(node, ns=(0, next(self._made)))

    def plug(self, raw: str, card: int | None = None) -> None:
        self.present.append(raw)
        if card is not None:
            self._node(f"midiC{card}D0")

    def pull(self, raw: str, card: int) -> None:
        self.present.remove(raw)
        (self.devices / f"midiC{card}D0").unlink()
        for client in self.clients:
            client.cut |= client.raw == raw

    def restart(self) -> None:
        self._node("seq")
        for client in self.clients:
            client.cut = True

    def turn(self, raw: str, value: int) -> None:
        for client in self.clients:
            if client.raw == raw and not client.cut:
                client.waiting.append(([0xB0, 20, value], 0.0))

    def client(self) -> "Client":
        self.clients.append(Client(self))
        return self.clients[-1]


class Client:
    """What the driver makes: an input, an output, or one that only looks."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.raw, self.cut, self.waiting = "", False, list[tuple[list[int], float]]()
        self.sent = 0

    def get_ports(self) -> list[str]:
        return list(self._system.present)

    def ignore_types(self, **_: bool) -> None: ...

    def open_port(self, number: int, _name: str) -> None:
        self.raw = self._system.present[number]

    def get_message(self) -> tuple[list[int], float] | None:
        return self.waiting.pop(0) if self.waiting else None

    def send_message(self, _message: bytes) -> None:
        self.sent += not self.cut

    def delete(self) -> None:
        self._system.clients.remove(self)


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    made = System(tmp_path)
    monkeypatch.setattr(midi, "_ALSA_DEVICES", tmp_path)
    monkeypatch.setattr(midi, "new_input", made.client)
    monkeypatch.setattr(midiout, "new_output", made.client)
    made.plug(KNOBS, 1)
    made.plug(PADS, 2)
    made.plug(ROUTED)
    return made


@pytest.fixture
def ports(system: System) -> Ports:
    made = Ports(MidiConfig(told=("all",)))
    assert made.scan() == (["knobs:knobs MIDI 1", "pads:pads MIDI 1", "router:out"], [])
    made.scan_outputs()
    return made


def heard(ports: Ports) -> list[tuple[str, int]]:
    return [(name, message[2]) for name, message, _ in ports.take()]


def test_those_that_stay_stay_open_and_lose_nothing(system: System, ports: Ports) -> None:
    system.turn(KNOBS, 1)
    system.pull(PADS, 2)
    system.turn(KNOBS, 2)
    assert ports.scan() == ([], ["pads:pads MIDI 1"])
    system.plug(PADS, 2)
    system.turn(ROUTED, 3)
    assert ports.scan() == (["pads:pads MIDI 1"], [])
    system.turn(PADS, 4)
    assert heard(ports) == [
        ("knobs:knobs MIDI 1", 1),
        ("knobs:knobs MIDI 1", 2),
        ("router:out", 3),
        ("pads:pads MIDI 1", 4),
    ]
    assert ports.scan() == ([], [])


def test_one_put_back_between_two_looks_went_and_came_and_is_told_again(system: System, ports: Ports) -> None:
    system.pull(PADS, 2)
    system.plug(PADS, 2)
    assert ports.scan() == (["pads:pads MIDI 1"], ["pads:pads MIDI 1"])
    before = ports.outputs.numbers
    ports.scan_outputs()
    assert set(before) == {"knobs:knobs MIDI 1", "router:out"}
    assert ports.outputs.numbers["pads:pads MIDI 1"] not in before.values()
    system.turn(PADS, 5)
    assert heard(ports) == [("pads:pads MIDI 1", 5)]
    assert ports.outputs.send("pads:pads MIDI 1", [b"x"]) == 1
    assert {client.raw: client.sent for client in system.clients}[PADS] == 1


def test_other_cards_and_leave_to_use_them_change_nothing(system: System, ports: Ports) -> None:
    opened = list(system.clients)
    (system.devices / "pcmC3D0p").write_text("")
    system.plug("Midi Through:Midi Through Port-0 14:0")
    (system.devices / "midiC1D0").chmod(0o600)
    assert ports.scan() == ([], [])
    assert system.clients == opened


def test_another_sequencer_takes_all_along(system: System, ports: Ports) -> None:
    system.restart()
    came, went = ports.scan()
    assert came == went == ["knobs:knobs MIDI 1", "pads:pads MIDI 1", "router:out"]
    system.turn(KNOBS, 6)
    assert heard(ports) == [("knobs:knobs MIDI 1", 6)]
