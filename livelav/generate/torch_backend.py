"""Runs a generator with torch: float32 or bfloat16 on a CPU, float16 on a CUDA card. The static-weight form.

On a CPU bfloat16 is taken only where it is much quicker than float32, which is more exact; on a card all of an image is
one CUDA graph. Activations and weights are channels-last, which both like best.
The number of threads is torch's own setting and holds for the whole process. Runs in the thread that calls it.
"""

from collections.abc import Mapping

from livelav.core.errors import BackendError, MissingBackendError
from livelav.core.values import W_DIM, Bytes, Floats
from livelav.generate.backend import OWN_NOISE, one_row
from livelav.generate.layout import LRELU_SLOPE, NoiseMode
from livelav.generate.static import StaticLayer, StaticNetwork
from livelav.generate.trials import preferred, seconds

try:
    import torch
    from torch import Tensor
    from torch.nn import functional as F  # noqa: N812
except ImportError as error:
    raise MissingBackendError(f"torch cannot be loaded ({error}): pip install torch, or --backend openvino") from error

NOISE_SEED = 0
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchBackend:
    """One network on one device. Synchronous; used by one thread at a time."""

    streams = 1

    def __init__(
        self,
        network: StaticNetwork,
        threads: int,
        noise_mode: NoiseMode = "const",
        device: str | None = None,
        precision: str | None = None,
    ) -> None:
        """`device` is "cpu" or "cuda"; None takes CUDA where there is one. `precision` is fp32, bf16 or fp16; None
        takes what suits the device. Raises BackendError."""
        torch.set_num_threads(threads)
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        if precision not in (None, *PRECISIONS):
            raise BackendError(f"torch computes in {', '.join(PRECISIONS)}, not in {precision!r}")
        on_card = ["fp16" if network.config.fits_half else "fp32"]
        names = [precision] if precision else on_card if device == "cuda" else cpu_precisions()
        try:
            kind = _Card if device == "cuda" else _Cpu
            built = {name: kind(network, torch.device(device), PRECISIONS[name], noise_mode) for name in names}
            chosen = preferred(seconds(built))
        except (RuntimeError, AssertionError) as error:  # a torch without CUDA asserts
            reason = str(error).splitlines()[0]
            raise BackendError(f"torch cannot use {device!r} ({reason}); try --backend openvino") from error
        self._num_ws = network.config.num_ws
        self._built = built[chosen]
        self._built.begin_again()
        self.name = f"torch {device} {chosen}"

    @torch.inference_mode()
    def synthesize(self, ws: Floats, noise: Floats = OWN_NOISE) -> Bytes:
        """See backend.Backend."""
        try:
            return self._built.synthesize(ws, noise)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise BackendError(f"torch failed ({reason}); try --backend openvino") from error

    def warmup(self) -> None:
        """See backend.Backend."""
        self.synthesize(torch.zeros(self._num_ws, W_DIM).numpy())
        self._built.begin_again()


class _Cpu:
    """A network that is run operation by operation."""

    def __init__(self, network: StaticNetwork, device: torch.device, dtype: torch.dtype, noise_mode: NoiseMode) -> None:
        self._network = Network(network, device, dtype, noise_mode)
        self._drawn = network.drawn_shapes if noise_mode == "random" else {}
        self._num_ws = network.config.num_ws
        self.begin_again()

    def begin_again(self) -> None:
        """Draws noise from its start, whatever trials took."""
        self._random = torch.Generator().manual_seed(NOISE_SEED)

    def synthesize(self, ws: Floats, noise: Floats) -> Bytes:
        maps = {name: torch.randn(shape, generator=self._random) for name, shape in self._drawn.items()}
        factors = torch.from_numpy(one_row(noise) if maps else noise)
        pixels: Bytes = self._network(torch.from_numpy(ws), factors, maps).numpy()
        return pixels

    @torch.inference_mode()
    def warmup(self) -> None:
        self.synthesize(torch.zeros(self._num_ws, W_DIM).numpy(), OWN_NOISE)


class _Card:
    """A network that is recorded once and set off with one call."""

    @torch.inference_mode()
    def __init__(self, network: StaticNetwork, device: torch.device, dtype: torch.dtype, noise_mode: NoiseMode) -> None:
        from livelav.generate.cuda import Recording

        self._num_ws = network.config.num_ws
        drawn = network.drawn_shapes if noise_mode == "random" else {}
        self._recording = Recording(Network(network, device, dtype, noise_mode), self._num_ws, drawn, device)

    def begin_again(self) -> None:
        """Nothing was tried."""

    def synthesize(self, ws: Floats, noise: Floats) -> Bytes:
        return self._recording(ws, noise)

    @torch.inference_mode()
    def warmup(self) -> None:
        self.synthesize(torch.zeros(self._num_ws, W_DIM).numpy(), OWN_NOISE)


def cpu_precisions() -> list[str]:
    """What to try, the more exact first."""
    return ["fp32", "bf16"] if torch.ops.mkldnn._is_mkldnn_bf16_supported() else ["fp32"]


class _Layer:
    """One StaticLayer's constants on the device."""

    def __init__(self, static: StaticLayer, device: torch.device, dtype: torch.dtype) -> None:
        def put(array: Floats, kind: torch.dtype = dtype) -> Tensor:
            return torch.from_numpy(array).to(device, kind)

        self.layer, self.scale, self.clamp, self.group = static.layer, static.scale, static.clamp, static.group
        # styles and their sums of squares stay in float32: they are small, and float16 cannot hold the squares
        self.style_weight, self.style_bias = (
            put(static.style_weight, torch.float32),
            put(static.style_bias, torch.float32),
        )
        self.weight_squares, self.root_eps = (
            put(static.weight_squares, torch.float32),
            put(static.root_eps, torch.float32),
        )
        weight = put(static.weight).contiguous(memory_format=torch.channels_last)
        self.weight = weight.transpose(0, 1) if static.layer.kind == "up" else weight
        self.bias = put(static.bias[None, :, None, None])
        self.noise, self.noise_strength = put(static.noise), static.noise_strength
        self.shortcut = None if static.shortcut is None else put(static.shortcut[:, :, None, None])


class Network:
    """All constants on one device, and what is done with them for an image: nothing in it waits for the device."""

    def __init__(self, network: StaticNetwork, device: torch.device, dtype: torch.dtype, noise_mode: NoiseMode) -> None:
        self._dtype, self._noise_mode = dtype, noise_mode
        self._layers = [_Layer(static, device, dtype) for static in network.layers]
        const = torch.from_numpy(network.const[None]).to(device, dtype)
        self._const = const.contiguous(memory_format=torch.channels_last)
        fir = torch.from_numpy(network.fir).to(device)
        most = max(static.layer.outputs for static in network.layers)
        self._filters = fir.to(dtype).expand(most, 1, *fir.shape).contiguous()
        self._image_filters = fir.expand(most, 1, *fir.shape).contiguous()  # pictures are summed in float32

    def __call__(self, ws: Tensor, noise: Tensor, drawn: Mapping[str, Tensor]) -> Tensor:
        """ws [num_ws, 512], noise [2, 3], both float32, and the maps where noise is drawn, to uint8 [h, w, 4]."""
        image = self.picture(ws, noise, drawn)
        alpha = torch.ones_like(image[:, :1])
        rgba = torch.cat([image, alpha], dim=1) * 127.5 + 128.0
        return rgba.clamp(0.0, 255.0)[0].permute(1, 2, 0).to(torch.uint8).contiguous()

    def picture(self, ws: Tensor, noise: Tensor, drawn: Mapping[str, Tensor]) -> Tensor:
        """The same as float32 [1, 3, h, w], nominally -1..1."""
        x = self._const
        image: Tensor | None = None
        shortcut: Tensor | None = None
        for layer in self._layers:
            style = F.linear(ws[layer.layer.ws], layer.style_weight, layer.style_bias)
            if layer.layer.kind == "rgb":
                rgb = (F.conv2d(x * self._spread(style), layer.weight) + layer.bias).float()
                rgb = rgb if layer.clamp is None else rgb.clamp(-layer.clamp, layer.clamp)
                image = rgb if image is None else _upsample(image, self._image_filters) + rgb
                continue
            if layer.shortcut is not None:
                shortcut = _upsample(F.conv2d(x, layer.shortcut), self._filters)
            x = self._modulated(layer, x, style)
            if self._noise_mode != "none":
                x = x + self._noise(layer, noise, drawn)
            x = F.leaky_relu(x + layer.bias, LRELU_SLOPE)
            x = x if layer.clamp is None else x.clamp(-layer.clamp, layer.clamp)
            if shortcut is not None and layer.layer.kind == "conv":
                x, shortcut = x + shortcut, None
        assert image is not None, "the last block always has an rgb layer"
        return image

    def _noise(self, layer: _Layer, noise: Tensor, drawn: Mapping[str, Tensor]) -> Tensor:
        factors = noise[:, layer.group]
        if self._noise_mode == "random":
            return (drawn[layer.layer.name] * (layer.noise_strength * factors[0])).to(self._dtype)
        factors = factors.to(self._dtype)
        return layer.noise[0] * factors[0] + layer.noise[1] * factors[1]

    def _modulated(self, layer: _Layer, x: Tensor, style: Tensor) -> Tensor:
        """Convolution and demodulation. The style is brought to a largest entry of 1, which demodulation undoes:
        so float16 cannot overflow in between."""
        largest = style.abs().max().clamp_min(1e-8)
        style = style / largest
        energy = layer.weight_squares @ style.square() + (layer.root_eps / largest).square()
        factors = (layer.scale * torch.rsqrt(energy)).clamp_max(torch.finfo(self._dtype).max)
        styled = x * self._spread(style)
        if layer.layer.kind == "up":
            outputs = layer.layer.outputs
            y = F.conv_transpose2d(styled, layer.weight, stride=2)  # [2h + 1, 2w + 1]: the filter takes the odd one
            y = F.conv2d(y, self._filters[:outputs], padding=1, groups=outputs)
        else:
            y = F.conv2d(styled, layer.weight, padding=1)
        return y * self._spread(factors)

    def _spread(self, per_channel: Tensor) -> Tensor:
        return per_channel.to(self._dtype)[None, :, None, None]


def _upsample(x: Tensor, filters: Tensor) -> Tensor:
    channels = x.shape[1]
    return F.conv_transpose2d(x, filters[:channels], stride=2, padding=1, groups=channels)
