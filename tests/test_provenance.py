"""What a video says of how it was made: all of it comes back, nothing private is in it, and it is not trusted."""

import contextlib
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livelav.core.drive import Drive
from livelav.core.errors import SourceError
from livelav.flags import first_scene
from livelav.show.film import Film
from livelav.show.provenance import Provenance, of_json, read_provenance


def a_provenance() -> Provenance:
    scene = first_scene(
        "pulse", "7", {"show_hue": "12.345678901234567", "osc_out": "studio.example:9001", "midi": "My"}
    )
    scene = replace(scene, drives={"show.zoom": Drive.parse("onset 0.25")})
    return Provenance(
        "0.1.0", scene, "ab" * 32, "openvino cpu f32", Fraction(30000, 1001), (96, 64), 2, False,
        "Ä song.flac", "cd" * 32, 44_100, 0.1, None,
    )  # fmt: skip


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_what_a_video_says_comes_back_also_of_one_that_was_cut_off(tmp_path: Path, suffix: str) -> None:
    made = a_provenance()
    path = tmp_path / f"video{suffix}"
    film = Film(path, made.size, made.fps, (8_000, 1), comment=made.as_json())
    for number in range(60):
        film.add_picture(np.full((64, 96, 4), number, np.uint8))
        film.add_sound(np.zeros((267, 1), np.float32))
    before_its_end = path.read_bytes()
    film.close()
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(before_its_end)
    for one in (path, cut):
        said = read_provenance(one)
        assert said == of_json(made.as_json())
        assert replace(said, scene=made.scene) == made
        assert said.scene.settings == made.scene.settings and said.scene.key == made.scene.key
        assert said.scene.drives == made.scene.drives
        assert (said.model, said.encoder) == (made.model, made.encoder)


def test_it_tells_of_no_address_and_no_device() -> None:
    text = a_provenance().as_json()
    assert "example" not in text and '"midi' not in text and '"osc' not in text
    assert text.isascii() and "\n" not in text


def test_later_keys_are_passed_over() -> None:
    facts = json.loads(a_provenance().as_json())
    assert of_json(json.dumps({**facts, "take": {"sha256": "0"}})) == of_json(json.dumps(facts))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("fps", "1/0"),
        ("fps", "1e999999999"),
        ("fps", "0"),
        ("fps", 60),
        ("size", [0, 64]),
        ("size", [1, 2, 3]),
        ("size", None),
        ("scene", {}),
        ("scene", {"choices": {"mapping.mode": "clam"}, "settings": {}}),
        ("scene", {"choices": {}, "settings": {"show.hue": float("inf")}}),
        ("seed", -1),
        ("seed", True),
        ("model", {"name": "x" * 501, "sha256": ""}),
        ("model", {"name": "x", "sha256": "z" * 64}),
        ("model", "x"),
        ("sound", {"name": "x", "sha256": "", "rate_hz": 1e9}),
        ("start_s", float("nan")),
        ("end_s", -1.0),
        ("lossless", "yes"),
    ],
)
def test_what_cannot_be_is_refused(key: str, value: object) -> None:
    facts = json.loads(a_provenance().as_json())
    with pytest.raises(ValueError):
        of_json(json.dumps({**facts, key: value}))


@given(st.data())
def test_no_comment_does_more_than_be_refused(data: st.DataObject) -> None:
    text = a_provenance().as_json()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(start + 40, len(text))))
    changed = text[:start] + data.draw(st.text(max_size=20)) + text[end:]
    with contextlib.suppress(ValueError):
        of_json(changed)


@pytest.mark.parametrize(
    "comment", ["{" * 60_000, '{"a":' * 10_000, "[" * 9_999, "{" + " " * 70_000, "made by hand", ""]
)
def test_a_strangers_video_is_one_error(tmp_path: Path, comment: str) -> None:
    with pytest.raises(ValueError):
        of_json(comment)
    path = tmp_path / "video.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["comment"] = comment
        stream = container.add_stream("libx264", rate=30)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")))
        container.mux(stream.encode(None))
    with pytest.raises(SourceError, match=r"video\.mkv does not say"):
        read_provenance(path)
    path.write_bytes(b"noise" * 100)
    with pytest.raises(SourceError, match=r"cannot read .*video\.mkv"):
        read_provenance(path)
