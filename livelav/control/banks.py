"""Banks: TOML files that bind a whole controller, read with the same suspicion as presets.

    schema = 1
    name = "Korg nanoKONTROL2"
    port = "nanoKONTROL2"          # part of the port's name
    not_port = ""                  # part of a name that is meant only seemingly, like "MK3"
    lights = [0, 127]              # what its pads and buttons take for off and on; a bind may have others
    hello = ["F0 47 7F 29 F7"]     # what it is sent when it comes, before its lights: system exclusive messages, in hex
    [[bind]]
    control = "cc 16"              # or "note 36 ch 10", "nrpn 261", "bend", "program"
    to = "mapping.norm"            # a parameter, an action like blackout, none, or shift: while it is held, a pad
                                   # of a preset saves what is played in its place
    mode = "absolute"              # these, and lights, may be left out; see bindings.py
    takeover = "jump"
    lo = 0.0
    hi = 1.0
    curve = "even"

What was learnt lies in a bank of its own among the user's. Where several banks speak of the same control of a port,
the user's stand before the shipped ones. The parameter table's own controllers are for ports that no bank is made for.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from livelav.control.bindings import NOTHING, PADS, Binding, Curve, Mode, Takeover
from livelav.control.messages import Control
from livelav.core.bounded_toml import is_text, read_toml
from livelav.core.errors import MidiError
from livelav.core.generations import read_kept, write_kept
from livelav.core.preset_text import with_binds
from livelav.core.presets import Preset, load_preset, preset_source
from livelav.core.store import config_dir, data_dir, listing

SCHEMA = 1
MOST = 1_024  # bindings in a file
MOST_HELLOS, LONGEST_HELLO = 4, 32  # messages, and bytes of each: they choose a mode and load no firmware
LONGEST = 256  # characters of a name
LEARNT = "learnt"

WORDS: dict[str, tuple[str, ...]] = {
    "mode": get_args(Mode),
    "takeover": get_args(Takeover),
    "curve": get_args(Curve),
}
_NUMBERS = ("lo", "hi")
_HELLO = (
    f"hello must be at most {MOST_HELLOS} system exclusive messages in hex, each of at most {LONGEST_HELLO} bytes,"
    ' from F0 to F7 and all between below 80, like ["F0 47 7F 29 F7"]'
)
_PAIR = "lights must be two whole numbers from 0 to 127, for off and on, like [0, 127]"


@dataclass(frozen=True, slots=True)
class Bank:
    """What one file binds."""

    name: str
    port: str  # of the controller that it is made for; "" where it speaks of several
    not_port: str
    bindings: tuple[Binding, ...]
    hello: tuple[bytes, ...] = ()

    @property
    def has_programs(self) -> bool:
        """Whether it says what program changes do."""
        return any(binding.control.kind == "program" for binding in self.bindings)


def read_bank(path: Path) -> Bank:
    """Raises MidiError with the first thing that is wrong."""
    tree, _ = read_toml(path, "bank", MidiError)
    if type(tree.get("schema")) is not int or tree["schema"] != SCHEMA:
        raise MidiError(f"{path}: write `schema = {SCHEMA}` on top; a newer livelav reads other schemas")
    for key in ("name", "port", "not_port"):
        if not is_text(tree.get(key, ""), LONGEST):
            raise MidiError(f"{path}: {key} must be plain text of at most {LONGEST} characters")
    if not _is_pair(tree.get("lights", [0, 0])):
        raise MidiError(f"{path}: {_PAIR}")
    hello = _hello(tree.get("hello", []))
    if hello is None or (hello and not tree.get("port")):
        raise MidiError(f"{path}: {_HELLO if hello is None else 'hello needs a port: it is not for every box'}")
    binds = tree.get("bind", [])
    if unknown := set(tree) - {"schema", "name", "port", "not_port", "lights", "hello", "bind"}:
        known = "schema, name, port, not_port, lights, hello and [[bind]]"
        raise MidiError(f"{path}: no key {sorted(unknown)[0][:80]!r}; there are {known}")
    if not isinstance(binds, list) or len(binds) > MOST:
        raise MidiError(f"{path}: bind must be written as [[bind]], at most {MOST} times")
    port, not_port = tree.get("port", ""), tree.get("not_port", "")
    bindings = []
    for number, bind in enumerate(binds, start=1):
        try:
            bindings.append(_binding(bind, port, not_port, tree.get("lights")))
        except MidiError as error:
            raise MidiError(f"{path}: [[bind]] {number}: {error}") from error
    return Bank(tree.get("name", path.stem), port, not_port, tuple(bindings), hello)


def _hello(value: Any) -> tuple[bytes, ...] | None:
    """The messages; None where they are none, for a file comes from strangers and this goes to a machine."""
    if not isinstance(value, list) or len(value) > MOST_HELLOS:
        return None
    messages = []
    for text in value:
        try:
            message = bytes.fromhex(text) if isinstance(text, str) and len(text) <= LONGEST else b""
        except ValueError:
            return None
        is_whole = 3 <= len(message) <= LONGEST_HELLO and (message[0], message[-1]) == (0xF0, 0xF7)
        if not is_whole or max(message[1:-1]) >= 0x80:
            return None
        messages.append(message)
    return tuple(messages)


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(n) is int and n in range(128) for n in value)


def _binding(bind: Any, port: str, not_port: str, lights: list[int] | None) -> Binding:
    if not isinstance(bind, dict):
        raise MidiError("must be a table")
    known = ("control", "to", "port", "lights", *WORDS, *_NUMBERS)
    for key, value in bind.items():
        if key not in known:
            raise MidiError(f"no key {key[:80]!r}; there are {', '.join(known)}")
        if key in _NUMBERS and (type(value) not in (int, float) or not 0.0 <= value <= 1.0):
            raise MidiError(f"{key} must be a number from 0 to 1")
        if key == "lights" and not _is_pair(value):
            raise MidiError(_PAIR)
        if key not in (*_NUMBERS, "lights") and not is_text(value, LONGEST):
            raise MidiError(f"{key} must be plain text of at most {LONGEST} characters")
        if key in WORDS and value not in WORDS[key]:
            raise MidiError(f"{key} is {value!r}: it must be one of {', '.join(WORDS[key])}")
    if missing := [key for key in ("control", "to") if key not in bind]:
        raise MidiError(f"{missing[0]} is missing")
    options = {key: bind[key] for key in (*WORDS, *_NUMBERS) if key in bind}
    if lights := bind.get("lights", lights):
        options["lights"] = (lights[0], lights[1])
    ports = {"port": bind.get("port", port), "not_port": not_port}
    return Binding(Control.parse(bind["control"]), bind["to"], **ports, **options)


def bindings_of(binds: Sequence[Mapping[str, Any]]) -> tuple[Binding, ...]:
    """Those that a preset carries, for any port where they name none. Raises MidiError."""
    bindings = []
    for number, bind in enumerate(binds, start=1):
        try:
            bindings.append(_binding(bind, "", "", None))
        except MidiError as error:
            raise MidiError(f"[[bind]] {number}: {error}") from error
    return tuple(bindings)


def bind_problems(preset: Preset) -> list[str]:
    """What is wrong with the bindings that a preset carries, in a line or none."""
    try:
        bindings_of(preset.binds)
    except MidiError as error:
        return [f"preset {preset.name}: {error}"]
    return []


def load_banks() -> tuple[list[Bank], list[str]]:
    """(all banks in the order of their precedence, what is wrong with files and what is done about it)."""
    banks, troubles = [], []
    for path in bank_files():
        try:
            bank, trouble = read_kept(path, read_bank)
        except MidiError as error:
            troubles.append(f"{error}; playing without that bank")
            continue
        banks.append(bank)
        if trouble:
            troubles.append(trouble)
    return banks, troubles


def bank_files() -> list[Path]:
    """What was learnt, the user's other banks, then those shipped."""
    own = config_dir() / "banks"
    return [
        *sorted(listing(own, ".toml"), key=lambda path: path.stem != LEARNT),
        *listing(data_dir("presets") / "banks", ".toml"),
    ]


# ---- what was learnt


def learnt_path() -> Path:
    """The user's bank that learning writes."""
    return config_dir() / "banks" / f"{LEARNT}.toml"


def learnt() -> tuple[Binding, ...]:
    """Raises MidiError where the file is broken: whoever writes it anew would lose what it says."""
    path = learnt_path()
    return read_bank(path).bindings if path.exists() else ()


def learnt_before() -> tuple[tuple[Binding, ...], str]:
    """(what was learnt, by the newest file that can be read, what is wrong with those after it). In a show there is no
    time to mend one; it stays beside as the one before. Raises MidiError where none can be read."""
    path = learnt_path()
    if not path.exists():
        return (), ""
    bank, trouble = read_kept(path, read_bank)
    return bank.bindings, trouble


def learn(binding: Binding, wishes: Mapping[str, Any] | None = None) -> list[Binding]:
    """Keeps a binding; returns those that it takes the place of: the same control's, and the same target's on its port.

    See with_learnt for `wishes`. Raises MidiError where the file is broken, or where that control cannot be what is
    wished, StorageError where it cannot be written.
    """
    kept, gone = with_learnt(learnt(), binding, wishes)
    write_kept(learnt_path(), learnt_text(kept))
    return gone


def unlearn(target: str) -> list[Binding]:
    """Forgets what was learnt for a parameter or action; returns it. Raises MidiError, StorageError."""
    kept, gone = without_target(learnt(), target)
    if gone:
        write_kept(learnt_path(), learnt_text(kept))
    return gone


def with_learnt(
    before: Sequence[Binding], binding: Binding, wishes: Mapping[str, Any] | None = None
) -> tuple[list[Binding], list[Binding]]:
    """(all that is learnt from now on, the new binding last; what it takes the place of).

    `wishes` are fields of it by name. What they leave open is as it was where the same target had a control before.
    Raises MidiError where that control cannot be what is wished.
    """
    binding = replace(binding, port=printable(binding.port))
    gone = [one for one in before if one.port == binding.port and _same(one, binding)]
    for old in gone:
        if old.target == binding.target:
            binding = _as_before(binding, old)
    return [one for one in before if one not in gone] + [replace(binding, **wishes or {})], gone


def _as_before(binding: Binding, old: Binding) -> Binding:
    """With what a hand has written for the old one, where both are pressed, or both are turned."""
    if (old.mode in PADS) != (binding.mode in PADS):
        return binding
    mode = old.mode if old.mode in PADS else binding.mode  # how a knob speaks is its own
    return replace(binding, mode=mode, takeover=old.takeover, lo=old.lo, hi=old.hi, curve=old.curve, lights=old.lights)


def without_target(before: Sequence[Binding], target: str) -> tuple[list[Binding], list[Binding]]:
    """(all that is learnt from now on, what was learnt for the target)."""
    gone = [one for one in before if one.target == target]
    return [one for one in before if one not in gone], gone


def learnt_text(bindings: Iterable[Binding]) -> bytes:
    """The file's content."""
    lines = [
        "# Written by livelav when controls are learnt; edit it as you like.",
        f"schema = {SCHEMA}",
        'name = "learnt"',
    ]
    return "\n".join([*lines, *_lines(bindings)]).encode() + b"\n"


def give_learnt(preset: str) -> tuple[Path, int]:
    """Lets one of the user's presets carry all that was learnt; a shipped one is copied to the user's first.

    What it carried for the same controls and targets goes. Returns its file, and how many bindings it carries now.
    Raises MidiError where nothing was learnt, PresetError, StorageError.
    """
    if not (new := learnt()):
        raise MidiError("nothing was learnt so far: `livelav midi learn PARAM`, or L in a show, teaches a control")
    before = load_preset(preset).binds
    kept = list(zip(before, bindings_of(before), strict=True))
    for binding in new:
        kept = [one for one in kept if not (one[1].port == binding.port and _same(one[1], binding))]
    binds = (*(bind for bind, _ in kept), *tomllib.loads(learnt_text(new).decode())["bind"])
    path = Path(preset) if preset.endswith(".toml") else config_dir() / "presets" / f"{preset}.toml"
    write_kept(path, with_binds(preset_source(path) or "", binds).encode())
    return path, len(binds)


def printable(port: str) -> str:
    """The longest part of a port's name that a file can hold."""
    parts = "".join(c if c.isprintable() else "\n" for c in port).split("\n")
    return max(parts, key=len)[:LONGEST]


def _same(one: Binding, other: Binding) -> bool:
    return (one.target == other.target and one.target != NOTHING) or one.control == other.control


def _lines(bindings: Iterable[Binding]) -> Iterator[str]:
    for binding in bindings:
        plain = Binding(binding.control, binding.target, mode=binding.mode)
        yield from ("", "[[bind]]", f'control = "{binding.control}"', f'to = "{binding.target}"')
        if binding.port:
            yield f"port = {_quoted(binding.port)}"
        if binding.mode != "absolute":
            yield f'mode = "{binding.mode}"'
        for key in ("takeover", "curve", "lo", "hi"):
            value = getattr(binding, key)
            if value != getattr(plain, key):
                yield f"{key} = {_quoted(value) if isinstance(value, str) else value}"
        if binding.lights != plain.lights:
            yield f"lights = {list(binding.lights)}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
