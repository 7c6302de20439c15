"""The image tower: train, export, measure. ``image_data`` and ``image_head`` come first.

The student starts from random weights. A view of a photograph or textbook figure is pulled
towards what the teacher's head says of that view, towards the teacher's own feature, and towards
the picture's captions (contrastive); a generated figure towards its caption and away from the
names of the other kinds. Training grows the pictures (48, 64, 80 px) and runs for a given time:
learning rate and size follow the share of the time that is gone, so that a busy machine ends with
a finished schedule. A killed run goes on from its last checkpoint.
"""

import copy
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

import common
import image_data
import image_head
import image_material
from figure_captions import TESTED
from image_material import Material
from image_student import ImageTower, Muon, ThreeViews

_LEAST_HALVED = 1024
"""Arrays of fewer numbers stay as they are."""


@dataclass(frozen=True)
class Plan:
    """What may be set in ``config.toml``, section ``image``."""

    minutes: float = 63.0
    batch: int = 192
    widths: tuple[int, ...] = (32, 48, 96, 192, 256)
    blocks: tuple[int, ...] = (0, 1, 2, 2, 1)
    sizes_px: tuple[int, ...] = (48, 64, 80)
    size_ends: tuple[float, ...] = (0.4, 0.85, 1.0)
    conv_rate: float = 0.03
    other_rate: float = 2e-3
    smoothing: float = 0.998
    seed: int = 3
    shares: tuple[tuple[str, float], ...] = (
        ("flickr8k", 0.46),
        ("openstax_figures", 0.27),
        ("imagenet_samples", 0.04),
        ("mini_imagenet", 0.05),
        ("tiny_imagenet", 0.03),
        ("generated", 0.15),
    )


class Trainer:
    """One run: material, student, optimisers, running mean of the weights, checkpoints."""

    def __init__(self, plan: Plan, material: Material, cache: Path) -> None:
        torch.manual_seed(plan.seed)
        self.plan, self.material = plan, material
        self.path = cache / "image" / "student.pt"
        self.rng = np.random.default_rng(plan.seed)
        self.student = ImageTower(plan.widths, plan.blocks).to(memory_format=torch.channels_last)
        self.mean = copy.deepcopy(self.student).eval()
        convs = [p for n, p in self.student.named_parameters() if p.ndim == 4][1:]
        chosen = {id(p) for p in convs}
        rest = [p for p in self.student.parameters() if id(p) not in chosen]
        self.optimisers: list[torch.optim.Optimizer] = [
            Muon(convs, plan.conv_rate),
            torch.optim.AdamW(rest, plan.other_rate, weight_decay=0.02, betas=(0.9, 0.99)),
        ]
        self.seconds, self.step = 0.0, 0
        self.rows, self.chance = self._draws()
        spread = material.feature[::16].astype(np.float32)
        self.feature_mean = torch.from_numpy(spread.mean(0))
        self.feature_std = torch.from_numpy(spread.std(0) + 0.05)

    def _draws(self) -> tuple[list[NDArray[np.int64]], NDArray[np.float64]]:
        usable = self.material.train & (self.material.caption_count > 0)
        names = [name for name, _ in self.plan.shares]
        rows = [np.flatnonzero(usable & (self.material.dataset == name)) for name in names]
        return rows, np.array([share for _, share in self.plan.shares])

    @property
    def progress(self) -> float:
        """Share of the time that is gone, 0 to 1."""
        return min(1.0, self.seconds / (60 * self.plan.minutes))

    @property
    def size_px(self) -> int:
        """The side of the pictures now."""
        ends = zip(self.plan.size_ends, self.plan.sizes_px, strict=True)
        return next(size for end, size in ends if self.progress <= end)

    def _rates(self) -> None:
        warm = min(1.0, (self.step + 1) / 150)
        factor = warm * max(0.0, 1 - self.progress) ** 1.0
        for optimiser, rate in zip(
            self.optimisers, (self.plan.conv_rate, self.plan.other_rate), strict=True
        ):
            for group in optimiser.param_groups:
                group["lr"] = rate * max(factor, 0.004)

    def _loss(self, rows: NDArray[np.int64]) -> Tensor:
        m, rng = self.material, self.rng
        real = torch.from_numpy(m.dataset[rows] != "generated")
        figure = np.isin(m.dataset[rows], ("generated", "openstax_figures"))
        mirror = torch.from_numpy(~figure & (rng.random(len(rows)) < 0.5))
        pixels = image_material.augment(torch.from_numpy(m.pixels[rows]), mirror, self.size_px, rng)
        vectors, guess = self.student.features(pixels)
        target = torch.from_numpy(m.target[rows].astype(np.float32))
        draw = m.caption_start[rows] + rng.integers(0, m.caption_count[rows])
        captions = torch.from_numpy(m.captions[draw])
        loss = 4 * (1 - (vectors * target).sum(1)).mean()
        taught = torch.from_numpy(m.feature[rows[real.numpy()]].astype(np.float32))
        wanted = (taught - self.feature_mean) / self.feature_std
        loss = loss + 0.4 * F.mse_loss(guess[real], wanted)
        loss = loss + 0.5 * image_head.contrastive(vectors, captions)
        kind = torch.from_numpy(m.kind[rows])
        named = kind >= 0
        if bool(named.any()):
            logits = vectors[named] @ torch.from_numpy(m.prompts).T / 0.07
            loss = loss + 0.3 * F.cross_entropy(logits, kind[named])
        return loss

    def run(self, until_s: float) -> float:
        """Train until that many seconds of the plan are gone; return the mean loss."""
        losses = []
        self.student.train()
        while self.seconds < until_s:
            began = time.monotonic()
            which = self.rng.multinomial(self.plan.batch, self.chance / self.chance.sum())
            rows = np.concatenate(
                [r[self.rng.integers(0, len(r), n)] for r, n in zip(self.rows, which, strict=True)]
            )
            self._rates()
            loss = self._loss(rows)
            self.student.zero_grad()
            loss.backward()
            for optimiser in self.optimisers:
                optimiser.step()
            self._smooth()
            self.step += 1
            losses.append(float(loss.detach()))
            self.seconds += time.monotonic() - began
        return float(np.mean(losses[-200:]))

    @torch.no_grad()
    def _smooth(self) -> None:
        keep = min(self.plan.smoothing, 1 - 4 / (self.step + 5))
        for mean, now in zip(
            self.mean.state_dict().values(), self.student.state_dict().values(), strict=True
        ):
            if mean.dtype.is_floating_point:
                mean.lerp_(now, 1 - keep)

    def save(self) -> None:
        """Write a checkpoint; a kill in the midst leaves the last one whole."""
        state = {
            "student": self.student.state_dict(),
            "mean": self.mean.state_dict(),
            "optimisers": [o.state_dict() for o in self.optimisers],
            "seconds": self.seconds,
            "step": self.step,
            "plan": asdict(self.plan),
            "rng": self.rng.bit_generator.state,
        }
        part = self.path.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.path)

    def resume(self) -> bool:
        """Go on from the last checkpoint, if there is one."""
        if not self.path.exists():
            return False
        state = torch.load(self.path, weights_only=False)
        self.student.load_state_dict(state["student"])
        self.mean.load_state_dict(state["mean"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.seconds, self.step = state["seconds"], state["step"]
        self.rng.bit_generator.state = state["rng"]
        return True


def embed(student: nn.Module, pixels: NDArray[np.uint8], size_px: int) -> NDArray[np.float32]:
    """Return unit vectors of stored views, resized as the tower's pictures are."""
    student.eval()
    parts = []
    with torch.no_grad():
        for start in range(0, len(pixels), 128):
            cut = torch.from_numpy(pixels[start : start + 128]).permute(0, 3, 1, 2).float()
            cut = F.interpolate(cut, (size_px, size_px), mode="bilinear", antialias=True)
            parts.append(student(cut.clamp(0, 255).permute(0, 2, 3, 1)).numpy())
    return np.concatenate(parts)


class Judge:
    """Measures a student on pictures kept from it: retrieval, and kinds of unseen figures."""

    def __init__(self, data: Path, cache: Path, material: Material, split: str) -> None:
        listed = image_data.items(data)
        names = image_head.TEST_CAPTIONS if split == "test" else image_head.CAPTIONS
        table = image_head.caption_vectors(cache, names)
        _, _, owner = image_data.load(cache, only_rows=True)
        first = {int(i): n for n, i in reversed(list(enumerate(owner)))}
        self.sets = {}
        for name in ("flickr8k", "openstax_figures"):
            chosen, vectors, whose = image_head.held_out(listed, name, split, table)
            rows = np.array([first[int(i)] for i in chosen])
            self.sets[name] = (material.pixels[rows], vectors, whose)
        self.unseen: dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]] = {}
        for name in ("unseen", "unseenmpl"):
            if not list((cache / "image").glob(f"{name}_[0-9]*.npz")):
                continue
            pictures, kinds, _ = image_material.figure_shards(cache, name)
            self.unseen[name] = pictures, np.array([TESTED.index(k) for k in kinds])
        self.prompts = material.prompts[: len(TESTED)]

    def __call__(self, student: nn.Module, size_px: int) -> dict[str, float]:
        figures: dict[str, float] = {}
        for name, (pixels, vectors, whose) in self.sets.items():
            found = image_head.retrieval(embed(student, pixels, size_px), vectors, whose)
            figures |= {f"{name} {k}": round(v, 4) for k, v in found.items()}
        for name, (pixels, kind) in self.unseen.items():
            guess = (embed(student, pixels, size_px) @ self.prompts.T).argmax(1)
            figures[f"{name} top-1"] = round(float((guess == kind).mean()), 4)
        return figures


def prepare(data: Path, cache: Path) -> None:
    """Cut the views and draw the figures, all that are missing."""
    import figure_matplotlib
    import figures

    image_data.prepare(data, cache)
    figures.prepare(cache)
    figure_matplotlib.prepare(cache)


def teach(data: Path, cache: Path) -> None:
    """Let MiniLM read the captions, and fit the head that leads MobileNetV2 into the space."""
    image_head.teach_captions(data, cache)
    image_material.teach_figures(cache)
    _, features, owner = image_data.load(cache)
    image_head.teach(data, cache, features, owner)


def train(data: Path, cache: Path, plan: Plan | None = None, export_to: Path | None = None) -> None:
    """Train for the plan's minutes, measuring, checkpointing and exporting on the way."""
    plan = plan or Plan(**common.load_config().get("image", {}))
    material = image_material.gather(data, cache)
    trainer = Trainer(plan, material, cache)
    trainer.resume()
    judge = Judge(data, cache, material, "validation")
    rounds = 0
    while trainer.progress < 1:
        loss = trainer.run(min(trainer.seconds + 150, 60 * plan.minutes))
        trainer.save()
        rounds += 1
        print(f"{trainer.seconds / 60:.1f} min, step {trainer.step}, loss {loss:.3f}", flush=True)
        if rounds % 4 and trainer.progress < 1:
            continue
        figures = judge(trainer.mean, max(64, trainer.size_px))
        print(f"{trainer.size_px} px, {figures}", flush=True)
        if export_to:
            export_student(trainer.mean, export_to / "image.onnx", max(64, trainer.size_px))


def export_student(student: ImageTower, path: Path, size_px: int) -> None:
    """Write the tower with its three views as ONNX.

    ``pixels`` uint8 ``[N, S, S, 3]`` to ``vectors`` ``[N, 256]``; S is ``ThreeViews.given_px`` for
    a tower that was last trained at ``size_px``.
    """
    shipped = ThreeViews(copy.deepcopy(student), size_px).eval()
    example = torch.zeros(2, shipped.given_px, shipped.given_px, 3, dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1, max=4096)
    program = torch.onnx.export(
        shipped,
        (example,),
        dynamo=True,
        input_names=["pixels"],
        output_names=["vectors"],
        dynamic_shapes={"pixels": {0: batch}},
        verbose=False,
        optimize=True,
    )
    part = path.with_suffix(".part")
    part.write_bytes(shrink(program.model_proto).SerializeToString())
    part.replace(path)


def shrink(model: onnx.ModelProto) -> onnx.ModelProto:
    """Keep the weights in half precision, widened again when the file is loaded.

    The arithmetic stays in single precision. Notes of the exporter, which name the files of the
    machine it ran on, are dropped.
    """
    widened = []
    for kept in model.graph.initializer:
        del kept.metadata_props[:]
        if kept.data_type != onnx.TensorProto.FLOAT or np.prod(kept.dims) < _LEAST_HALVED:
            continue
        name, halved = kept.name, onnx.numpy_helper.to_array(kept).astype(np.float16)
        kept.CopyFrom(onnx.numpy_helper.from_array(halved, f"{name}.half"))
        widened.append(
            onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT)
        )
    rest = list(model.graph.node)
    del model.graph.node[:], model.metadata_props[:], model.graph.metadata_props[:]
    del model.graph.value_info[:], model.functions[:]
    for node in rest:
        del node.metadata_props[:]
        node.doc_string = ""
    for end in (*model.graph.input, *model.graph.output):
        del end.metadata_props[:]
    model.graph.node.extend([*widened, *rest])
    model.graph.doc_string = model.doc_string = ""
    onnx.checker.check_model(model)
    return model


def export(cache: Path, models_dir: Path) -> None:
    """Write the finished student's running mean into the package."""
    state = torch.load(cache / "image" / "student.pt", weights_only=False)
    plan = state["plan"]
    student = ImageTower(plan["widths"], plan["blocks"])
    student.load_state_dict(state["mean"])
    export_student(student, models_dir / "image.onnx", plan["sizes_px"][-1])
