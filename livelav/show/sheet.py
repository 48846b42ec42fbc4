"""A contact sheet: moments of a video, or of given pictures, on one page. For eyes that have no display.

Knows no show. Runs in main, after it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from livelav.core.errors import StorageError
from livelav.core.values import Bytes

CELL_PX = 480
GAP_PX = 6


def contact_sheet(
    source: Path | Sequence[Bytes], path: Path, moments: int = 12, columns: int = 4, cell_px: int = CELL_PX
) -> None:
    """Writes a PNG of `moments` evenly spread pictures of a video, or of the given ones [height, width, 3 or 4].
    Each is brought to `cell_px` in width.

    Raises StorageError where the video cannot be read or the sheet not be written.
    """
    from PIL import Image as Pixmap  # here: importing the show's engine must stay quick

    pictures = _spread(source, moments) if isinstance(source, Path) else [p[..., :3] for p in source][:moments]
    if not pictures:
        raise StorageError(f"no picture in {source}; record longer")
    height, width = pictures[0].shape[:2]
    cell = cell_px, max(round(cell_px * height / width), 1)
    rows = -(-len(pictures) // columns)
    sheet = Pixmap.new("RGB", (columns * (cell[0] + GAP_PX) - GAP_PX, rows * (cell[1] + GAP_PX) - GAP_PX))
    for number, picture in enumerate(pictures):
        place = number % columns * (cell[0] + GAP_PX), number // columns * (cell[1] + GAP_PX)
        sheet.paste(Pixmap.fromarray(np.ascontiguousarray(picture)).resize(cell, Pixmap.Resampling.LANCZOS), place)
    try:
        sheet.save(path, "PNG")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; choose another folder") from error


def _spread(video: Path, moments: int) -> list[Bytes]:
    """Pictures at evenly spaced times, each [height, width, 3]."""
    import av

    try:
        with av.open(str(video.absolute())) as container:
            stamps = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
        wanted = {sorted(stamps)[n * len(stamps) // moments] for n in range(moments)} if stamps else set()
        with av.open(str(video.absolute())) as container:
            shown = (frame for frame in container.decode(video=0) if frame.pts in wanted)
            return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in shown]
    except (av.error.FFmpegError, IndexError) as error:
        raise StorageError(f"cannot read {video}: {error}; was it recorded to its end?") from error
