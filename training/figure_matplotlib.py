"""The tested kinds of figure, drawn by matplotlib: another program, another look.

A few hundred in some style sheets are trained on; those in the style sheets kept back belong to
the test of unseen styles. A figure takes about a hundred milliseconds.
"""

import io
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from PIL import Image

import figure_captions
from figure_captions import TESTED
from figures import Figure, write_shard

matplotlib.use("Agg")

Rng = np.random.Generator

STYLES = (
    "default",
    "classic",
    "bmh",
    "fivethirtyeight",
    "seaborn-v0_8-white",
    "seaborn-v0_8-darkgrid",
    "tableau-colorblind10",
    "petroff10",
    "seaborn-v0_8-talk",
    "seaborn-v0_8-ticks",
)
UNSEEN_STYLES = (
    "ggplot",
    "dark_background",
    "Solarize_Light2",
    "grayscale",
    "seaborn-v0_8-pastel",
    "seaborn-v0_8-whitegrid",
    "petroff6",
)
_SHARD = 105
_MAPS = ("viridis", "plasma", "jet", "gray", "coolwarm", "Blues", "YlOrBr", "magma")
_UNSEEN_MAPS = ("cividis", "turbo", "BrBG", "PuRd", "hot")


def _line(ax: Axes, rng: Rng) -> None:
    x = np.linspace(0, 10, int(rng.choice([10, 60, 200])))
    for _ in range(int(rng.integers(1, 5))):
        wave = np.sin(x * rng.uniform(0.4, 2.5) + rng.uniform(0, 6)) * rng.uniform(0.3, 1)
        style = str(rng.choice(["-", "-", "--", "o-", ":"]))
        ax.plot(x, wave + x * rng.normal(0, 0.2), style, label="series")


def _bar(ax: Axes, rng: Rng) -> None:
    count = int(rng.integers(3, 9))
    place = np.arange(count)
    if rng.random() < 0.3:
        ax.barh(place, rng.uniform(1, 9, count))
    elif rng.random() < 0.4:
        ax.bar(place - 0.2, rng.uniform(1, 9, count), 0.4)
        ax.bar(place + 0.2, rng.uniform(1, 9, count), 0.4)
    else:
        ax.bar(place, rng.uniform(1, 9, count), rng.uniform(0.5, 0.85))


def _scatter(ax: Axes, rng: Rng) -> None:
    for _ in range(int(rng.integers(1, 4))):
        x = rng.normal(rng.uniform(-2, 2), 1, int(rng.integers(25, 120)))
        y = x * rng.uniform(-1, 1) + rng.normal(0, 0.8, len(x))
        ax.scatter(x, y, s=float(rng.uniform(8, 50)), marker=str(rng.choice(["o", "s", "^", "x"])))


def _histogram(ax: Axes, rng: Rng) -> None:
    values = rng.normal(0, 1, 1500) if rng.random() < 0.7 else rng.exponential(1, 1500)
    how = str(rng.choice(["bar", "bar", "stepfilled", "step"]))
    ax.hist(values, int(rng.integers(15, 50)), histtype=how)


def _colour_map(ax: Axes, unseen: bool, rng: Rng) -> str:
    maps = _UNSEEN_MAPS if unseen else _MAPS
    return maps[int(rng.integers(len(maps)))]


def _blobs(rng: Rng, size: int) -> np.ndarray:
    y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    return np.sum(
        [
            rng.choice([-1, 1]) * np.exp(-((x - a) ** 2 + (y - b) ** 2) / c**2)
            for a, b, c in rng.uniform(0.1, 0.9, (5, 3)) * [1, 1, 0.4]
        ],
        axis=0,
    )


def _heat_map(ax: Axes, rng: Rng, cmap: str) -> None:
    size = int(rng.integers(7, 26))
    values = _blobs(rng, size) + rng.normal(0, 0.2, (size, size))
    plt.colorbar(ax.imshow(values, cmap=cmap, aspect="auto"), ax=ax)


def _box(ax: Axes, rng: Rng) -> None:
    groups = [
        rng.normal(rng.uniform(-1, 1), rng.uniform(0.4, 1), 80)
        for _ in range(int(rng.integers(3, 8)))
    ]
    ax.boxplot(groups, patch_artist=bool(rng.random() < 0.5))


def _violin(ax: Axes, rng: Rng) -> None:
    groups = [
        rng.normal(rng.uniform(-1, 1), rng.uniform(0.4, 1), 80)
        for _ in range(int(rng.integers(3, 7)))
    ]
    ax.violinplot(groups, showmedians=bool(rng.random() < 0.5), widths=0.8)


def _pie(ax: Axes, rng: Rng) -> None:
    count = int(rng.integers(3, 8))
    ax.pie(
        rng.uniform(1, 5, count),
        labels=[chr(65 + i) for i in range(count)],
        autopct="%d%%" if rng.random() < 0.5 else None,
        startangle=float(rng.uniform(0, 360)),
    )


def _contour(ax: Axes, rng: Rng, cmap: str) -> None:
    field = _blobs(rng, 60)
    if rng.random() < 0.5:
        ax.contourf(field, int(rng.integers(7, 13)), cmap=cmap)
    lines = ax.contour(field, int(rng.integers(7, 13)), cmap=cmap)
    if rng.random() < 0.4:
        ax.clabel(lines)


def _error_bars(ax: Axes, rng: Rng) -> None:
    x = np.arange(int(rng.integers(7, 16)))
    y = x * rng.uniform(-0.4, 0.4) + rng.normal(0, 0.4, len(x))
    ax.errorbar(x, y, rng.uniform(0.4, 1, len(x)), fmt=str(rng.choice(["o", "s", "^"])), capsize=3)


def _log_axes(ax: Axes, rng: Rng) -> None:
    x = np.logspace(0, int(rng.integers(2, 5)), 40)
    for power in rng.uniform(-2, 2, int(rng.integers(1, 4))):
        (ax.loglog if rng.random() < 0.7 else ax.semilogy)(x, x**power)
    ax.grid(True, which="both", alpha=0.5)


def _spectrogram(ax: Axes, rng: Rng, cmap: str) -> None:
    t = np.linspace(0, 3, 12000)
    phase = np.cumsum(rng.uniform(200, 700) + 250 * np.sin(t * rng.uniform(1, 4)))
    sound = sum(np.sin(2 * np.pi * k * phase * 3 / 12000) / k for k in (1, 2, 3))
    ax.specgram(sound + rng.normal(0, 0.3, len(t)), NFFT=256, Fs=4000, cmap=cmap)
    ax.set(xlabel="Time [s]", ylabel="Frequency [Hz]")


def _network(ax: Axes, rng: Rng) -> None:
    spots = rng.uniform(0, 1, (int(rng.integers(7, 20)), 2))
    near = np.argsort(np.square(spots[:, None] - spots[None]).sum(-1), axis=1)
    for i, row in enumerate(near):
        for j in row[1 : 1 + int(rng.integers(1, 4))]:
            ax.plot(*spots[[i, j]].T, color="0.5", lw=1.2, zorder=1)
    ax.scatter(*spots.T, s=float(rng.uniform(60, 220)), zorder=2)
    ax.axis("off")


def _tree(ax: Axes, rng: Rng) -> None:
    from scipy.cluster.hierarchy import dendrogram, linkage

    links = linkage(rng.normal(0, 1, (int(rng.integers(7, 16)), 3)), "average")
    turn = str(rng.choice(["top", "right", "left"]))
    dendrogram(links, ax=ax, orientation=turn, color_threshold=0 if rng.random() < 0.5 else None)


def _confusion_matrix(ax: Axes, rng: Rng, cmap: str) -> None:
    count = int(rng.integers(3, 9))
    values = rng.integers(0, 15, (count, count)) + np.diag(rng.integers(50, 99, count))
    ax.imshow(values, cmap=cmap)
    for (i, j), value in np.ndenumerate(values):
        ax.text(j, i, str(value), ha="center", va="center", color="w" if value < 40 else "k")
    ax.set(xlabel="Predicted label", ylabel="True label")


def _event_display(ax: Axes, rng: Rng) -> None:
    for radius in np.sort(rng.uniform(0.4, 1.1, 4)):
        ax.add_patch(
            plt.Circle(
                (0, 0),
                radius,
                fill=False,
                lw=float(rng.uniform(1, 4)),
                color=f"C{int(rng.integers(6))}",
            )
        )
    jet = rng.uniform(0, 6.3)
    s = np.linspace(0, 1, 30)
    for i in range(int(rng.integers(15, 50))):
        angle = jet + rng.normal(0, 0.2) if i % 2 else rng.uniform(0, 6.3)
        turn = angle + rng.normal(0, 0.6) * s
        ax.plot(s * np.cos(turn) * 0.8, s * np.sin(turn) * 0.8, lw=0.8)
    for angle in rng.uniform(0, 6.3, int(rng.integers(1, 4))):
        ax.plot([0, 1.2 * np.cos(angle)], [0, 1.2 * np.sin(angle)], "r", lw=2)
    ax.set_aspect("equal")
    ax.axis("off")


def _decay_curve(ax: Axes, rng: Rng) -> None:
    t = np.linspace(0, 10, int(rng.integers(15, 40)))
    curve = 1000 * np.exp(-t / rng.uniform(1.2, 2.6))
    ax.errorbar(
        t, curve + rng.normal(0, 20, len(t)), 25 if rng.random() < 0.6 else None, fmt="o", ms=4
    )
    ax.plot(t, curve)
    ax.set(xlabel="time", ylabel="counts")


def _resonance_peak(ax: Axes, rng: Rng) -> None:
    m = np.linspace(60, 120, int(rng.integers(40, 70)))
    ground = 300 * np.exp(-(m - 60) / 40)
    peak = 1500 / (1 + ((m - rng.uniform(80, 95)) / rng.uniform(1.5, 3)) ** 2)
    ax.errorbar(
        m, ground + peak + rng.normal(0, 20, len(m)), 30, fmt="k." if rng.random() < 0.3 else "."
    )
    ax.plot(m, ground + peak)
    ax.set(xlabel="invariant mass [GeV]", ylabel="events")


def _phase_diagram(ax: Axes, rng: Rng) -> None:
    s = np.linspace(0, 1, 40)
    tx, ty = rng.uniform(0.25, 0.4), rng.uniform(0.2, 0.35)
    ax.plot(tx * s, ty * s**2, "C0")
    ax.plot(tx + (0.9 - tx) * s, ty + (0.75 - ty) * s**1.6, "C0")
    ax.plot(tx + 0.1 * s, ty + (1 - ty) * s, "C0")
    if rng.random() < 0.5:
        ax.fill_between(tx + (0.9 - tx) * s, ty + (0.75 - ty) * s**1.6, 1, alpha=0.4)
        ax.fill_between(tx + (0.9 - tx) * s, 0, ty + (0.75 - ty) * s**1.6, alpha=0.4)
    for word, x, y in (("solid", 0.15, 0.7), ("liquid", 0.55, 0.8), ("gas", 0.75, 0.2)):
        ax.text(x, y, word)
    ax.plot([tx, 0.9], [ty, 0.75], "o")
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="Temperature", ylabel="Pressure")


def _micrograph(ax: Axes, rng: Rng) -> None:
    y, x = np.mgrid[0:120, 0:160]
    field = rng.normal(0, 0.08, x.shape)
    for _ in range(int(rng.integers(15, 60))):
        cx, cy, r = rng.uniform(0, 160), rng.uniform(0, 120), rng.uniform(4, 11)
        field += 1 / (1 + np.exp((np.hypot(x - cx, y - cy) - r) * 1.5)) * rng.uniform(0.4, 1)
    ax.imshow(field, cmap=str(rng.choice(["gray", "Greens_r", "gray_r", "pink"])), aspect="auto")
    ax.axis("off")


def _galaxy_field(ax: Axes, rng: Rng) -> None:
    y, x = np.mgrid[0:120, 0:160]
    field = rng.exponential(0.02, x.shape)
    for _ in range(int(rng.integers(20, 60))):
        cx, cy, r = rng.uniform(0, 160), rng.uniform(0, 120), rng.exponential(1.6) + 0.5
        turn, flat = rng.uniform(0, 3), rng.uniform(0.3, 1)
        u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        v = (-(x - cx) * np.sin(turn) + (y - cy) * np.cos(turn)) / flat
        field += np.exp(-np.hypot(u, v) / r) * rng.uniform(0.3, 1.2)
    cmap = str(rng.choice(["gray", "afmhot", "bone"]))
    ax.imshow(np.sqrt(field), cmap=cmap, vmax=1, aspect="auto")
    ax.axis("off")


_PLAIN: dict[str, Callable[[Axes, Rng], None]] = {
    "line": _line,
    "bar": _bar,
    "scatter": _scatter,
    "histogram": _histogram,
    "box": _box,
    "violin": _violin,
    "pie": _pie,
    "error bars": _error_bars,
    "log axes": _log_axes,
    "network": _network,
    "tree": _tree,
    "event display": _event_display,
    "decay curve": _decay_curve,
    "resonance peak": _resonance_peak,
    "phase diagram": _phase_diagram,
    "micrograph": _micrograph,
    "galaxy field": _galaxy_field,
}
_MAPPED: dict[str, Callable[[Axes, Rng, str], None]] = {
    "heat map": _heat_map,
    "contour": _contour,
    "spectrogram": _spectrogram,
    "confusion matrix": _confusion_matrix,
}


def generate(rng: Rng, kind: str, unseen: bool = False) -> Figure:
    """Draw one figure of a tested kind in a random style sheet."""
    styles = UNSEEN_STYLES if unseen else STYLES
    names = figure_captions.topic(rng, kind)
    with plt.style.context(styles[int(rng.integers(len(styles)))]):
        size = float(rng.uniform(3, 5)), float(rng.uniform(2.5, 3.8))
        figure, ax = plt.subplots(figsize=size, dpi=55)
        if kind in _PLAIN:
            if rng.random() < 0.7:
                ax.set(xlabel=names[0], ylabel=names[1])
            _PLAIN[kind](ax, rng)
        else:
            _MAPPED[kind](ax, rng, _colour_map(ax, unseen, rng))
        if rng.random() < 0.5:
            ax.set_title(names[2])
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", bbox_inches="tight" if rng.random() < 0.5 else None)
        plt.close(figure)
    with Image.open(buffer) as drawn:
        image = drawn.convert("RGB")
    said = figure_captions.caption(rng, kind, "", names, dark=False)
    return Figure(image, kind, " ".join(said.split()).rstrip(" ,:"))


def shard(seed: int, count: int, unseen: bool) -> list[Figure]:
    """Draw ``count`` figures, the kinds in turn."""
    rng = np.random.default_rng((seed, unseen))
    return [generate(rng, TESTED[i % len(TESTED)], unseen) for i in range(count)]


def draw_shard(folder: Path, name: str, index: int, count: int, seed: int) -> None:
    """Draw one shard of figures, unless it is there; see ``figures.draw_shard``."""
    out = folder / f"{name}_{index:03d}.npz"
    if not out.exists():
        write_shard(out, shard(seed + index, count, name == "unseenmpl"))


def tasks(folder: Path, count: int) -> list[tuple[Path, str, int, int, int]]:
    """Return the arguments of ``draw_shard`` for figures to train on and those to choose by."""
    shards = [(folder, "mpl", index, _SHARD, 1100) for index in range(count // _SHARD)]
    return [(folder, "unseenmpl", 0, _SHARD, 12), *shards]
