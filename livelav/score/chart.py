"""The pairs of features as a picture: a field for each, coloured and numbered by how far it is above its control.

Pillow draws it; knows no file but the one it writes.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livelav.core.errors import StorageError
from livelav.score.verdict import Verdict

_CELL, _LEFT, _TOP, _FOOT = (92, 52), 130, 96, 48
_PAPER, _INK, _GREY = (18, 18, 22), (235, 235, 240), (150, 150, 160)
_MORE, _LESS = (255, 150, 40), (70, 130, 255)  # above and below the control
_FULL = 0.3  # of excess: as strong as a colour gets


def checked_picture(path: Path, force: bool) -> None:
    """Raises StorageError where `draw_pairs` cannot write, or would write over something unasked."""
    if path.suffix.lower() != ".png":
        raise StorageError(f"cannot write {path}: it is to be a picture; end it in .png")
    if path.exists() and not force:
        raise StorageError(f"cannot write {path}: it exists; choose a new name, or --force")
    folder = path.absolute().parent
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise StorageError(f"cannot write {path}: {folder} is no folder that can be written; choose another")


def draw_pairs(verdict: Verdict, title: str, path: Path) -> None:
    """Writes a PNG. Raises StorageError."""
    from PIL import Image, ImageDraw, ImageFont

    rows, columns = verdict.pairs.shape
    width, height = _LEFT + columns * _CELL[0] + 16, _TOP + rows * _CELL[1] + _FOOT
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    large, plain, small = (ImageFont.load_default(size) for size in (18, 15, 12))
    pen.text((16, 14), title, _INK, large)
    pen.text((16, 42), "sound (down) by pictures (across)", _GREY, plain)
    for column, name in enumerate(verdict.video_names):
        pen.text((_LEFT + (column + 0.5) * _CELL[0], _TOP - 8), name.replace("_", " "), _INK, small, anchor="ms")
    for row, name in enumerate(verdict.sound_names):
        pen.text((_LEFT - 10, _TOP + (row + 0.5) * _CELL[1]), name, _INK, plain, anchor="rm")
        for column in range(columns):
            x, y = _LEFT + column * _CELL[0], _TOP + row * _CELL[1]
            above = float(verdict.pairs_excess[row, column])
            pen.rectangle((x, y, x + _CELL[0] - 3, y + _CELL[1] - 3), _colour(above))
            middle = x + _CELL[0] / 2 - 1
            pen.text((middle, y + 17), f"{above:+.2f}", _INK, plain, anchor="mm")
            pen.text((middle, y + 36), f"{verdict.pairs[row, column]:.2f}", _GREY, small, anchor="mm")
    foot = "large: Procrustes correlation above that of the shuffled video; small: the correlation itself"
    pen.text((16, height - 30), foot, _GREY, small)
    try:
        sheet.save(path, "PNG")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; choose another folder") from error


def _colour(above: float) -> tuple[int, ...]:
    share = min(abs(above) / _FULL, 1.0) * 0.75
    paper, ink = np.array((38, 38, 44)), np.array(_MORE if above > 0 else _LESS)
    mixed: NDArray[Any] = paper + share * (ink - paper)
    return tuple(map(int, mixed))
