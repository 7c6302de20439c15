"""The image tower: train, export, measure. ``image_data`` and ``image_teach`` come first.

The student starts from random weights. While it trains, the teachers look at new random views of
the pictures and at mixtures of two pictures. The student sees each view a few times, changed a
little more. Its loss compares it with the teachers' joint answer, with the order in which that
answer ranks the captions of the batch, with the teachers' features, and with the captions.
Training runs for a given time: learning rate and size of the pictures follow the share of the time
that has passed. A killed run continues from its last checkpoint.
"""

import copy
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

import common
import image_data
import image_head
import image_material
import image_teach
import image_texts
import image_views
from image_export import export_student
from image_judge import Judge
from image_material import FEATURE_DIM, Answers, Material, Ring, Teachers
from image_student import ImageTower, Muon, Stage


@dataclass(frozen=True)
class Plan:
    """What may be set in ``config.toml``, section ``image``; times are shares of ``minutes``."""

    minutes: float = 8.5
    batch: int = 1024
    reuse: int = 3
    ring: int = 160_000
    stem: int = 24
    stages: tuple[Stage, ...] = (
        ("fused", 24, 1, 1, 1),
        ("fused", 40, 4, 2, 2),
        ("fused", 56, 4, 2, 2),
        ("apart", 112, 4, 2, 4),
        ("apart", 128, 5, 1, 3),
        ("apart", 208, 6, 2, 4),
    )
    head: int = 1024
    sizes_px: tuple[int, ...] = (112,)
    size_ends: tuple[float, ...] = (1.0,)
    conv_rate: float = 0.03
    other_rate: float = 2e-3
    smoothing: float = 0.999
    seed: int = 3
    compiled: bool = False
    shares: dict[str, float] = field(
        default_factory=lambda: {
            "flickr8k": 0.42,
            "openstax_figures": 0.25,
            "imagenet_samples": 0.05,
            "mini_imagenet": 0.08,
            "tiny_imagenet": 0.04,
            "generated": 0.16,
        }
    )


def read_plan(options: dict[str, Any]) -> Plan:
    """Return the plan of ``config.toml``; what it does not name has its default."""
    known = {f.name for f in fields(Plan)}
    return Plan(**{key: value for key, value in options.items() if key in known})


def new_student(plan: Plan) -> ImageTower:
    """Return the tower untrained."""
    return ImageTower(plan.stem, list(plan.stages), plan.head, FEATURE_DIM)


class Trainer:
    """One run: material, student, optimisers, running mean of the weights, checkpoints."""

    def __init__(self, plan: Plan, material: Material, ring: Ring, cache: Path) -> None:
        torch.manual_seed(plan.seed)
        self.plan, self.material, self.ring = plan, material, ring
        self.path = cache / "image" / "student.pt"
        self.device = str(material.pixels.device)
        self.fast = self.device.startswith("cuda")
        self.student = new_student(plan).to(self.device, memory_format=torch.channels_last)
        self.mean = copy.deepcopy(self.student).eval()
        self.look = torch.compile(self.student.features) if plan.compiled else self.student.features
        convs = [p for p in self.student.body.parameters() if p.ndim == 4 and p.shape[1] > 3]
        chosen = {id(p) for p in convs}
        rest = [p for p in self.student.parameters() if id(p) not in chosen]
        self.optimisers: list[torch.optim.Optimizer] = [
            Muon(convs, plan.conv_rate),
            torch.optim.AdamW(rest, plan.other_rate, weight_decay=0.02, betas=(0.9, 0.99)),
        ]
        self.seconds, self.step = 0.0, 0
        spread = ring.feature[: min(ring.filled, 20_000)].float()
        self.feature_mean, self.feature_std = spread.mean(0), spread.std(0) + 0.05

    @property
    def progress(self) -> float:
        """The share of the time that has passed, 0 to 1."""
        return min(1.0, self.seconds / (60 * self.plan.minutes))

    @property
    def size_px(self) -> int:
        """The side of the pictures now."""
        ends = zip(self.plan.size_ends, self.plan.sizes_px, strict=True)
        return next(size for end, size in ends if self.progress <= end)

    def _rates(self) -> None:
        factor = min(1.0, (self.step + 1) / 200) * max(0.004, 1 - self.progress)
        rates = self.plan.conv_rate, self.plan.other_rate
        for optimiser, rate in zip(self.optimisers, rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor

    def _loss(self) -> Tensor:
        m, ring = self.material, self.ring
        slots = ring.draw(self.plan.batch)
        rows = ring.row[slots]
        pixels = image_views.disturb(ring.pixels[slots].float(), m.figure[rows], self.size_px)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cuda", torch.bfloat16, enabled=self.fast):
            placed, guess = self.look(pixels)
        vectors = F.normalize(placed.float(), dim=1)
        target, captions = ring.target[slots].float(), m.texts.either(m.captions.draw(rows))
        wanted = (ring.feature[slots].float() - self.feature_mean) / self.feature_std
        loss = 4 * (1 - (vectors * target).sum(1)).mean()
        loss = loss + 0.4 * F.mse_loss(guess.float(), wanted)
        loss = loss + 0.8 * same_ranking(vectors, target, captions)
        plain = ~ring.mixed[slots]
        loss = loss + 0.35 * image_head.contrastive(vectors[plain], captions[plain])
        kind = m.kind[rows]
        logits = vectors @ m.prompts.T / 0.07
        named = F.cross_entropy(logits, kind, ignore_index=-1, reduction="sum")
        return loss + 0.3 * named / (kind >= 0).sum().clamp(min=1)

    def run(self, until_s: float) -> float:
        """Train until that many seconds of the plan have passed; return the mean loss."""
        losses: list[Tensor] = []
        self.student.train()
        while self.seconds < until_s:
            began = time.monotonic()
            self._rates()
            if self.step % self.plan.reuse == 0:
                self.ring.fill(self.plan.batch)
            loss = self._loss()
            self.student.zero_grad()
            loss.backward()
            for optimiser in self.optimisers:
                optimiser.step()
            self._smooth()
            self.step += 1
            losses.append(loss.detach())
            if self.fast and self.step % 8 == 0:
                torch.cuda.synchronize()
            self.seconds += time.monotonic() - began
        return float(torch.stack(losses[-200:]).mean())

    @torch.no_grad()
    def _smooth(self) -> None:
        keep = min(self.plan.smoothing, 1 - 4 / (self.step + 5))
        pairs = zip(
            self.mean.state_dict().values(), self.student.state_dict().values(), strict=True
        )
        means, nows = zip(*[(a, b) for a, b in pairs if a.dtype.is_floating_point], strict=True)
        torch._foreach_lerp_(list(means), list(nows), 1 - keep)

    def save(self) -> None:
        """Write a checkpoint and the running mean; a kill in the midst leaves the last whole."""
        state = {
            "student": self.student.state_dict(),
            "mean": self.mean.state_dict(),
            "optimisers": [o.state_dict() for o in self.optimisers],
            "seconds": self.seconds,
            "step": self.step,
        }
        _write(state, self.path)
        shipped = {k: v.half().cpu() for k, v in self.mean.state_dict().items()}
        _write({"mean": shipped, "plan": asdict(self.plan)}, self.path.with_name("smoothed.pt"))

    def resume(self) -> bool:
        """Go on from the last checkpoint, if there is one."""
        if not self.path.exists():
            return False
        state = torch.load(self.path, map_location=self.device, weights_only=True)
        self.student.load_state_dict(state["student"])
        self.mean.load_state_dict(state["mean"])
        for optimiser, kept in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        self.seconds, self.step = state["seconds"], state["step"]
        return True


def _write(state: dict[str, Any], path: Path) -> None:
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def same_ranking(vectors: Tensor, target: Tensor, captions: Tensor, heat: float = 0.05) -> Tensor:
    """Return how much the student's similarities differ from the teachers'.

    The Kullback-Leibler divergence of both softmaxes, over captions and over pictures.
    """
    mine, theirs = vectors @ captions.T / heat, target @ captions.T / heat
    over_captions = F.kl_div(
        mine.log_softmax(1), theirs.log_softmax(1), log_target=True, reduction="batchmean"
    )
    over_pictures = F.kl_div(
        mine.T.log_softmax(1), theirs.T.log_softmax(1), log_target=True, reduction="batchmean"
    )
    return (over_captions + over_pictures) / 2


def prepare(data: Path, cache: Path, figures: int = 16_000, plots: int = 3_000) -> None:
    """Pack the pictures and draw the figures that are missing, on all processors."""
    image_data.prepare(data, cache)
    draw(cache, figures, plots)


def draw(cache: Path, figures: int, plots: int) -> None:
    """Draw the figures that are missing: Pillow's and matplotlib's."""
    from concurrent.futures import ProcessPoolExecutor, wait

    import figure_matplotlib
    import figures as pillow

    folder = cache / "image"
    with ProcessPoolExecutor() as pool:
        jobs = [
            pool.submit(figure_matplotlib.draw_shard, *t)
            for t in figure_matplotlib.tasks(folder, plots)
        ]
        jobs += [pool.submit(pillow.draw_shard, *t) for t in pillow.tasks(folder, figures)]
        for job in wait(jobs).done:
            job.result()


def teach(cache: Path) -> None:
    """Embed the captions with MiniLM, and fit the heads that map features into the space."""
    image_texts.teach(cache)
    image_teach.teach(cache, common.device())


def train(cache: Path, plan: Plan, every_s: float = 60.0) -> None:
    """Train for the plan's minutes, measuring and checkpointing on the way."""
    device = common.device()
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    material = image_material.gather(cache, device)
    shares = torch.tensor([plan.shares[name] for name in image_material.DATASETS])
    ring = Ring(material, Teachers(device), Answers(cache, material.classes), plan.ring, shares)
    for _ in range(max(1, min(plan.ring // 5, 24 * plan.batch) // plan.batch)):
        ring.fill(plan.batch)
    trainer = Trainer(plan, material, ring, cache)
    trainer.resume()
    judge = Judge(cache, material)
    while trainer.progress < 1:
        loss = trainer.run(min(trainer.seconds + every_s, 60 * plan.minutes))
        trainer.save()
        found = judge(trainer.mean, max(trainer.size_px, 80))
        print(f"{trainer.seconds:.0f} s, step {trainer.step}, loss {loss:.3f}, {found}", flush=True)


def export(cache: Path, models_dir: Path) -> None:
    """Write the finished student's running mean into the package."""
    state = torch.load(cache / "image" / "smoothed.pt", map_location="cpu", weights_only=True)
    plan = read_plan(state["plan"])
    student = new_student(plan)
    student.load_state_dict(state["mean"])
    export_student(student.float(), models_dir / "image.onnx", plan.sizes_px[-1])
