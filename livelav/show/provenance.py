"""What a rendered video says of itself: of which part of which sound, by which scene and which networks it was made.

One line of JSON in the container's comment, written with its first bytes, so that what was cut off says it too:

    {"livelav": "0.1.0", "seed": 7, "scene": {"choices", "settings", "drives"}, "model": {"name", "sha256"},
     "encoder": {"name"}, "engine": "openvino cpu bf16", "fps": "60", "size": [1280, 720], "supersample": 1,
     "lossless": false, "sound": {"name", "sha256", "rate_hz"}, "start_s": 0.0, "end_s": null}

Videos travel: it holds no folder, no device and no address. What it says is read with suspicion. Runs where it is
called.
"""

import json
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from livelav.core.errors import LivelavError, SourceError
from livelav.core.params import CHOICES
from livelav.core.scene import Scene
from livelav.core.scene_json import scene_of, scene_tree

KEY = "comment"  # of the container's metadata

_LARGEST = 64 << 10  # characters
_LONGEST = 500  # of one name
_FPS = re.compile(r"\d{1,6}(/\d{1,6})?")
_SHA256 = re.compile(r"[0-9a-f]{64}|")
# Which controllers there were and where OSC went is nobody's business, and makes no picture.
_TOLD = tuple(choice.name for choice in CHOICES if not choice.name.startswith(("midi", "osc")))


@dataclass(frozen=True, slots=True)
class Provenance:
    """`scene` names models and encoders as they are called, not where they lie; what binds controls is left out."""

    livelav: str  # version
    scene: Scene
    model_sha256: str
    engine: str  # that ran the model: another one rounds otherwise
    fps: Fraction
    size: tuple[int, int]  # width and height, px
    supersample: int
    lossless: bool
    sound: str  # its file's name
    sound_sha256: str  # of that file
    rate_hz: int
    start_s: float  # second of the sound that the video begins at
    end_s: float | None  # None: it was to end with the sound

    @property
    def model(self) -> str:
        return self.scene.choices["model"]

    @property
    def encoder(self) -> str:
        return self.scene.choices["encoder"]

    def as_json(self) -> str:
        """The comment."""
        tree = scene_tree(self.scene)
        facts = {
            "livelav": self.livelav,
            "seed": tree["seed"],
            "scene": {
                "choices": {name: tree["choices"][name] for name in _TOLD},
                "settings": tree["settings"],
                "drives": tree["drives"],
            },
            "model": {"name": self.model, "sha256": self.model_sha256},
            "encoder": {"name": self.encoder},
            "engine": self.engine,
            "fps": str(self.fps),
            "size": self.size,
            "supersample": self.supersample,
            "lossless": self.lossless,
            "sound": {"name": self.sound, "sha256": self.sound_sha256, "rate_hz": self.rate_hz},
            "start_s": self.start_s,
            "end_s": self.end_s,
        }
        return json.dumps(facts, allow_nan=False, separators=(",", ":"))


def read_provenance(path: Path) -> Provenance:
    """What a video says of itself. Raises SourceError where it is none, or not one that livelav rendered."""
    import av

    try:
        with av.open(str(path.absolute()), metadata_errors="replace") as container:
            metadata = {key.lower(): value for key, value in container.metadata.items()}
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceError(f"cannot read {path} as a video: {reason}; choose another file") from error
    try:
        return of_json(metadata.get(KEY, ""))
    except ValueError as error:
        raise SourceError(f"{path} does not say how livelav rendered it ({error}); render it anew") from error


def of_json(comment: str) -> Provenance:
    """The inverse of `as_json`; keys that it does not know are passed over. Raises ValueError."""
    if len(comment) > _LARGEST:
        raise ValueError(f"a comment of {len(comment)} characters where at most {_LARGEST} are read")
    if not comment.startswith("{"):
        raise ValueError("its comment is another")
    try:
        return _checked(json.loads(comment))
    except (KeyError, TypeError, AttributeError, ArithmeticError, RecursionError, LivelavError) as error:
        raise ValueError(f"its comment is damaged: {str(error)[:200]}") from error


def _checked(facts: Any) -> Provenance:
    model, encoder, sound, (width, height) = facts["model"], facts["encoder"], facts["sound"], facts["size"]
    tree = {**facts["scene"], "seed": facts["seed"], "binds": []}
    tree["choices"] = {**tree["choices"], "model": _text(model["name"]), "encoder": _text(encoder["name"])}
    if not isinstance(facts["fps"], str) or not _FPS.fullmatch(facts["fps"]) or Fraction(facts["fps"]) <= 0:
        raise ValueError("fps")
    if type(facts["lossless"]) is not bool:
        raise ValueError("lossless")
    return Provenance(
        livelav=_text(facts["livelav"]),
        scene=scene_of(tree),
        model_sha256=_sha256(model["sha256"]),
        engine=_text(facts["engine"]),
        fps=Fraction(facts["fps"]),
        size=(_whole(width), _whole(height)),
        supersample=_whole(facts["supersample"]),
        lossless=facts["lossless"],
        sound=_text(sound["name"]),
        sound_sha256=_sha256(sound["sha256"]),
        rate_hz=_whole(sound["rate_hz"]),
        start_s=_second(facts["start_s"]),
        end_s=None if facts["end_s"] is None else _second(facts["end_s"]),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise ValueError(f"{str(value)[:40]!r} where a name is due")
    return value


def _sha256(value: Any) -> str:
    if not _SHA256.fullmatch(value):
        raise ValueError(f"{value[:80]!r} where a SHA-256 is due")
    return str(value)


def _whole(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= 1_000_000:
        raise ValueError(f"{str(value)[:40]} where a whole number from 1 to 1000000 is due")
    return value


def _second(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1e7:
        raise ValueError(f"{str(value)[:40]} where a second is due")
    return float(value)
