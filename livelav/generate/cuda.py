"""Work on an NVIDIA card without waiting between its parts: inputs and output have fixed places, and all that lies
between is recorded once as a CUDA graph and set off with one call.

    ws, noise -> pinned -> card --[ graph: the network ]-- image on the card -> pinned -> a copy of the caller's

One image costs the host three small copies, one launch, one copy back and one wait. A network of a hundred layers that
is launched kernel by kernel would keep the processor busy for longer than the card computes.

Knows torch and CUDA, no network. Runs in the thread that calls it, on a stream of its own.
Source: torch's notes on CUDA graphs (docs.pytorch.org/docs/stable/notes/cuda.html).
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from livelav.core.values import GROUPS, W_DIM, Bytes, Floats
from livelav.generate.backend import one_row

NOISE_SEED = 0
_WARM_UPS = 3  # libraries pick algorithms and take memory in the first runs, which a recording must not hold

Work = Callable[[Tensor, Tensor, Mapping[str, Tensor]], Tensor]  # ws, noise, drawn maps -> image [h, w, 4] uint8


class Recording:
    """One network's work on one card, recorded."""

    def __init__(
        self,
        work: Work,
        num_ws: int,
        drawn: Mapping[str, tuple[int, ...]],
        device: torch.device,
        recordable: Callable[[int], bool] = lambda _stream: True,
    ) -> None:
        """`work` only sets off kernels on the current stream and returns the same tensor each time it is recorded.

        Where `recordable`, asked with the stream's handle, says no, it is run each time instead. Raises RuntimeError.
        """
        self._work, self._drawn = work, bool(drawn)
        self._ws = torch.zeros(num_ws, W_DIM, device=device)
        self._noise = torch.zeros(2, GROUPS, device=device)
        self._maps = {name: torch.zeros(shape, device=device) for name, shape in drawn.items()}
        self._random = torch.Generator(device).manual_seed(NOISE_SEED)
        self._ws_sent = torch.zeros(num_ws, W_DIM, pin_memory=True)
        self._noise_sent = torch.zeros(2, GROUPS, pin_memory=True)
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(self._stream), torch.backends.cudnn.flags(enabled=True, benchmark=True):
            for _ in range(_WARM_UPS):
                self._image = work(self._ws, self._noise, self._maps)
        self._stream.synchronize()
        self._graph: torch.cuda.CUDAGraph | None = None
        if recordable(self._stream.cuda_stream):
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, stream=self._stream):
                self._image = work(self._ws, self._noise, self._maps)
        self._pixels = torch.empty(self._image.shape, dtype=torch.uint8, pin_memory=True)

    def __call__(self, ws: Floats, noise: Floats) -> Bytes:
        """A new image [height, width, 4]. Raises RuntimeError."""
        self._ws_sent.copy_(torch.from_numpy(ws))
        self._noise_sent.copy_(torch.from_numpy(one_row(noise) if self._drawn else noise))
        with torch.cuda.stream(self._stream):
            self._ws.copy_(self._ws_sent, non_blocking=True)
            self._noise.copy_(self._noise_sent, non_blocking=True)
            for drawn in self._maps.values():
                drawn.normal_(generator=self._random)
            if self._graph is not None:
                self._graph.replay()
            else:
                self._image = self._work(self._ws, self._noise, self._maps)
            self._pixels.copy_(self._image, non_blocking=True)
        self._stream.synchronize()  # the one point where the host waits
        pixels: Bytes = self._pixels.numpy().copy()
        return pixels
