"""One step of the embedded generator's training after another: what is learnt, from what, and how.

The network trained is livelav's own (livelav/generate/stylegan2.py), at sizes that grow. A bare adversary learns too
slowly on a CPU, so training is warm: image -> code -> StyleGAN2 -> image. Every image has three groups of factors
(layout, form, colour), and some of the images that are asked for are crossed: layer groups get the w of different
images, and the answer must be the picture with the layout of one, the form of another, the colours of a third. So the
layer groups learn what livelav drives them with. The codes are whitened, so that their distribution is known and near
Gaussian; they fill the first dimensions of W, and the others are noise, which the generator learns to ignore. Then the
adversary joins in: it is shown images of ws drawn from that Gaussian, with styles mixed, beside the reconstructions.
These are held to their targets only as far as small pictures show them: a code cannot know every line, and a mean of
all lines that it could mean is a blur. There is no mapping network to train: what it is to make is known.

All chance is drawn from the step's number: a run that was interrupted goes on as if it had not been. Knows no file.

Source: Karras et al. 2020, arXiv 1912.04958 (networks, lazy R1, EMA, style mixing); Kolouri et al. 2018,
arXiv 1804.01947 (sliced Wasserstein distance).
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dataset
import numpy as np
import torch
from _adversary import Adversary, descend, lower_precision
from _networks import CODE_DIM, ENCODER_PX, ImageEncoder
from _pictures import FeatureSet, Scaler, frechet_distance, to_bytes
from _straight import move_w, straighten
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from livelav.core.values import W_DIM
from livelav.generate.layout import Config
from livelav.generate.stylegan2 import StyleGAN2
from livelav.mapping.mapper import layer_group

FINAL_LEARNING_RATE = 0.1  # of a phase's own, reached along a line over the last quarter of the plan
CROSSED = (0.3, 0.8)  # share of the images whose form, whose colour, is another's
JITTER = 0.15  # deviation of the noise on a code, of 1: neighbours in W are to be alike
KNOWN = 0.375  # share of the images beside the adversary that are reconstructions
KNOWN_PX = 32  # what they are compared at: finer things are the adversary's to judge
MIXING = 0.7  # share of the adversary's images whose layer groups get different ws
EMA_IMAGES = 5_000  # half-life of the weights that are kept
FIGURE_IMAGES = 512


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the plan: `images` images at `size` px."""

    size: int
    images: int
    batch: int
    adversary: bool
    learning_rate: float  # equalised: a step of all weights, whose deviation is 1
    warm: bool = True  # whether reconstruction of crossed images goes on
    only_encoder: bool = False  # the generator stands still until its W is known again


class Trainer:
    """All that training remembers: networks, their optimisers, the number of steps and images so far."""

    def __init__(self, config: Config, plan: tuple[Phase, ...], seed: int, device: torch.device, fuse: bool) -> None:
        torch.manual_seed(seed)
        self.config, self.plan, self.seed, self.device = config, plan, seed, device
        self.generator = StyleGAN2(config).to(device, memory_format=torch.channels_last)
        prepare(self.generator)
        self.kept = copy.deepcopy(self.generator).requires_grad_(False)  # the average that is shown and shipped
        self.adversary = Adversary(config.resolution, device, fuse)
        self.encoder = ImageEncoder().to(device, memory_format=torch.channels_last)
        groups = [{"params": list(part.parameters())} for part in (self.generator.synthesis, self.encoder)]
        self.optimiser = torch.optim.Adam(groups, fused=True)
        self.steps = self.images = 0
        self.seconds = 0.0
        self.origin = ""
        self._groups = torch.tensor([layer_group(r) for r in config.ws_resolutions], device=device)
        fused: Callable[..., Any] = torch.compile if fuse else lambda function, **_: function
        self._synthesis = fused(self.generator.synthesis, dynamic=False)
        self._encoding = fused(self.encoder, dynamic=False)
        self._difference = fused(difference, dynamic=False)

    # -- what runs where in the plan

    @property
    def total_images(self) -> int:
        return sum(phase.images for phase in self.plan)

    @property
    def phase(self) -> Phase | None:
        """The phase that the next step belongs to; None at the end."""
        before = 0
        for phase in self.plan:
            before += phase.images
            if self.images < before:
                return phase
        return None

    def step(self) -> dict[str, float]:
        """One step of the present phase; what it measured. All chance comes from the step's number."""
        phase = self.phase
        assert phase is not None, "the plan has ended"
        torch.manual_seed(self.seed * 1_000_003 + self.steps)
        self._set_rates(phase)
        factors = self._draw(self.seed, self.images, phase.batch)
        measured = self._adversarial(phase, factors) if phase.adversary else self._warm(phase, factors)
        self._average(phase.batch)
        self.steps += 1
        self.images += phase.batch
        return measured

    def start_from(self, tensors: dict[str, NDArray[np.floating]], origin: str) -> None:
        """Takes a finished generator's tensors, to train it further; the plan should begin with `only_encoder`.
        `origin` is its digest."""
        self.origin = origin
        state = {name: torch.from_numpy(np.array(tensor, np.float32)) for name, tensor in tensors.items()}
        for network in (self.generator, self.kept):
            network.load_state_dict(state)
            move_w(network, -network.mapping.w_avg)  # back to where codes lie: around 0

    def _set_rates(self, phase: Phase) -> None:
        left = 1.0 - self.images / self.total_images
        rate = phase.learning_rate * max(min(4.0 * left, 1.0), FINAL_LEARNING_RATE)
        generator, encoder = self.optimiser.param_groups
        generator["lr"] = 0.0 if phase.only_encoder else rate
        encoder["lr"] = rate
        self.adversary.set_rate(rate)
        for group in (generator, encoder):
            group["betas"] = (0.0 if phase.adversary else 0.9, 0.99)

    def _average(self, batch: int) -> None:
        half_life = min(EMA_IMAGES, 0.05 * self.images + 1.0)
        keep = 0.5 ** (batch / half_life)
        with torch.no_grad():
            old, new = list(self.kept.parameters()), list(self.generator.parameters())
            torch._foreach_lerp_(old, new, 1.0 - keep)

    # -- steps

    def _warm(self, phase: Phase, factors: dataset.Factors) -> dict[str, float]:
        with lower_precision(self.device):
            ws, target = self._crossed(factors, phase.size)
            image = self._synthesis(ws, noise_mode="none", size=phase.size)
        distance = self._difference(image, target)
        descend(self.optimiser, distance)
        return {"difference": float(distance.detach())}

    def _adversarial(self, phase: Phase, factors: dataset.Factors) -> dict[str, float]:
        known = round(KNOWN * len(factors)) if phase.warm else 0
        measured: dict[str, float] = {}
        with lower_precision(self.device):
            chosen = self._sampled(len(factors) - known)
            if known:
                ws, real = self._crossed(factors, phase.size)
                chosen = torch.cat([ws[:known], chosen])
            else:
                real = self._render(factors, phase.size)
            image = self._synthesis(chosen, noise_mode="none", size=phase.size)
        loss = self.adversary.doubt(image)
        if known:
            distance = self._difference(small(image[:known]), small(real[:known]))
            loss = loss + distance
            measured["difference"] = float(distance.detach())
        with self.adversary.standing_still():
            descend(self.optimiser, loss)
        return measured | self.adversary.learn(image, real, self.steps)

    def finished(self) -> StyleGAN2:
        """The kept generator with its mapping network; training goes on with W as it is."""
        generator = copy.deepcopy(self.kept).cpu()
        straighten(generator, self.w_covariance().cpu())
        return generator

    # -- where ws and images come from

    def _crossed(self, factors: dataset.Factors, size: int) -> tuple[Tensor, Tensor]:
        """(ws, the images that they should become)."""
        w = self._where(factors)
        n = len(factors)
        has_fine_layers = size >= 64  # without them nobody could know of another's colour
        shares = torch.tensor([CROSSED[0], CROSSED[1] * has_fine_layers])
        other = torch.rand(2, n) < shares[:, None]
        middle, fine = (torch.arange(n)[None] + torch.tensor([[1], [2]]) * other) % n
        target = self._render(factors.cross(factors[middle], factors[fine]), size)
        return self.by_group(w, w[middle], w[fine]), target

    def _where(self, factors: dataset.Factors) -> Tensor:
        """w [n, 512] of images: their white codes, jittered, then dimensions of mere noise."""
        code = self._encoding(self._render(factors, ENCODER_PX))
        w = torch.randn(len(code), W_DIM, device=self.device)
        with torch.autocast(self.device.type, enabled=False):
            self.encoder.observe(code)
            jittered = (1.0 - JITTER**2) ** 0.5 * self.encoder.whitened(code) + JITTER * w[:, :CODE_DIM]
        return torch.cat([jittered, w[:, CODE_DIM:]], dim=1)

    def _draw(self, seed: int, index: int, count: int) -> dataset.Factors:
        factors = dataset.draw(seed, index, count)
        return dataset.Factors(*(part.to(self.device) for part in (factors.coarse, factors.middle, factors.fine)))

    def _sampled(self, count: int) -> Tensor:
        """ws [count, num_ws, 512] of images that are nobody's; some with mixed styles."""
        with torch.autocast(self.device.type, enabled=False):
            coarse, middle, fine = self.draw_w(3 * count).view(3, count, W_DIM)
        mixed = (torch.rand(2, count, 1, device=self.device) < MIXING).float()
        return self.by_group(coarse, torch.lerp(coarse, middle, mixed[0]), torch.lerp(coarse, fine, mixed[1]))

    def draw_w(self, count: int) -> Tensor:
        """w [count, 512], distributed as those of images are."""
        w = torch.randn(count, W_DIM, device=self.device)
        return torch.cat([self.encoder.coloured(w[:, :CODE_DIM]), w[:, CODE_DIM:]], dim=1)

    def w_covariance(self) -> Tensor:
        """[CODE_DIM, CODE_DIM]: that of `draw_w`, where it is not the identity."""
        root = self.encoder.coloured(torch.eye(CODE_DIM, device=self.device))
        return root @ root

    def by_group(self, coarse: Tensor, middle: Tensor, fine: Tensor) -> Tensor:
        """One w [n, 512] for each layer group to ws [n, num_ws, 512]."""
        return torch.stack([coarse, middle, fine], dim=1)[:, self._groups]

    @torch.no_grad()
    def _render(self, factors: dataset.Factors, size: int) -> Tensor:
        with torch.autocast(self.device.type, enabled=False):
            image = dataset.render(factors, size)
        return image.contiguous(memory_format=torch.channels_last)

    # -- what is kept

    def state(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts().items()} | {
            "counters": {"steps": self.steps, "images": self.images, "seconds": self.seconds}
        }

    def load_state(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        counters = state["counters"]
        self.steps, self.images, self.seconds = counters["steps"], counters["images"], counters["seconds"]

    def _parts(self) -> dict[str, Any]:
        return {
            "generator": self.generator,
            "kept": self.kept,
            "judge": self.adversary.network,
            "encoder": self.encoder,
            "optimiser": self.optimiser,
            "judge_optimiser": self.adversary.optimiser,
        }

    @torch.no_grad()
    def show(self) -> Image.Image:
        """Rows: training images, the same through W, the same crossed, drawn from W, drawn for each layer group."""
        torch.manual_seed(self.seed)
        size = (self.phase or self.plan[-1]).size
        factors = self._draw(self.seed + 1, 0, 8)
        code = self.encoder.whitened(self.encoder(self._render(factors, ENCODER_PX)))
        w = F.pad(code, (0, W_DIM - CODE_DIM))
        coarse, middle, fine = self.draw_w(24).view(3, 8, W_DIM)
        rows = [(w, w, w), (w, w.roll(1, 0), w.roll(2, 0)), (coarse, coarse, coarse), (coarse, middle, fine)]
        images = [self._render(factors, size)]
        images += [self.kept.synthesis(self.by_group(*row), noise_mode="none", size=size) for row in rows]
        return dataset.sheet(torch.cat(images).clamp(-1, 1).cpu(), 8)

    @torch.no_grad()
    def figures(self) -> dict[str, float]:
        """See few_figures."""
        torch.manual_seed(self.seed)
        size = (self.phase or self.plan[-1]).size

        def paint(count: int) -> Tensor:
            w = self.draw_w(count)
            return self.kept.synthesis(self.by_group(w, w, w), noise_mode="none", size=size)

        return few_figures(self.seed, size, paint)


def few_figures(seed: int, size: int, paint: Callable[[int], Tensor]) -> dict[str, float]:
    """The Fréchet distance of what `paint` makes, so many images at a time, to training images that were not trained
    on; of few pictures, and therefore rough."""
    features, true, made = FeatureSet(), [], []
    for i in range(0, FIGURE_IMAGES, 16):
        true.append(features(to_bytes(dataset.render(dataset.draw(seed + 2, i, 16), size))))
        made.append(features(to_bytes(paint(16).cpu())))
    of_images = Scaler.of(np.concatenate(true))
    return {"frechet": frechet_distance(*(of_images(np.concatenate(some)) for some in (true, made)))}


def prepare(generator: StyleGAN2) -> None:
    """Painting layers start silent, so that a size grown into adds itself gently; so do W's idle dimensions."""
    for name, weight in generator.synthesis.named_parameters():
        if name.endswith("torgb.weight"):
            torch.nn.init.zeros_(weight)
        elif name.endswith("affine.weight"):
            torch.nn.init.zeros_(weight[:, CODE_DIM:])


def small(images: Tensor) -> Tensor:
    """[n, 3, h, w] as pictures of no more than KNOWN_PX."""
    return F.avg_pool2d(images, max(images.shape[-1] // KNOWN_PX, 1))


def difference(image: Tensor, target: Tensor) -> Tensor:
    """Mean L1 of values and of slopes, over an image pyramid down to 8 px."""
    image, target = image.float(), target.float()
    total, scales = image.new_zeros([]), 0
    while image.shape[-1] >= 8:
        error = image - target
        total = total + error.abs().mean() + error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
        scales += 1
        image, target = F.avg_pool2d(image, 2), F.avg_pool2d(target, 2)
    return total / scales
