"""What is said of a generated figure: many names for a kind, many topics, many sentences."""

import numpy as np

NAMES: dict[str, tuple[str, ...]] = {
    "line": ("line chart", "line graph", "line plot"),
    "bar": ("bar chart", "bar graph", "bar plot"),
    "scatter": ("scatter plot", "scatter chart", "scatter diagram"),
    "histogram": ("histogram", "histogram of a distribution", "frequency histogram"),
    "heat map": ("heat map", "heatmap", "colour map of a matrix"),
    "box": ("box plot", "box and whisker plot", "boxplot"),
    "violin": ("violin plot", "violin chart", "violin plot of distributions"),
    "pie": ("pie chart", "pie diagram", "pie graph"),
    "contour": ("contour plot", "contour map", "plot of contour lines"),
    "error bars": (
        "plot with error bars",
        "points with error bars",
        "graph of measurements with error bars",
    ),
    "log axes": ("plot with logarithmic axes", "log-log plot", "graph on a logarithmic scale"),
    "spectrogram": ("spectrogram", "spectrogram of a sound", "time-frequency spectrogram"),
    "network": ("network graph", "network diagram", "graph of nodes and edges"),
    "tree": ("tree diagram", "phylogenetic tree", "dendrogram", "hierarchical tree"),
    "confusion matrix": (
        "confusion matrix",
        "confusion matrix of a classifier",
        "matrix of true and predicted classes",
    ),
    "event display": (
        "event display",
        "particle collision event display",
        "display of a collision in a particle detector",
    ),
    "decay curve": ("decay curve", "exponential decay curve", "radioactive decay curve"),
    "resonance peak": ("resonance peak", "invariant mass peak", "plot of a resonance peak"),
    "phase diagram": (
        "phase diagram",
        "phase diagram of a substance",
        "pressure-temperature phase diagram",
    ),
    "micrograph": (
        "micrograph",
        "microscope image",
        "light micrograph",
        "fluorescence microscopy image",
    ),
    "galaxy field": (
        "field of galaxies",
        "telescope image of galaxies",
        "astronomical image of galaxies and stars",
    ),
    "shapes": ("",),
    "gel": ("gel electrophoresis", "electrophoresis gel with bands", "western blot bands"),
    "vector field": ("vector field", "field of arrows", "arrows of a vector field"),
    "molecule": ("ball and stick model of a molecule", "molecular structure", "molecule"),
    "flow chart": ("flow chart", "block diagram", "flow diagram"),
    "area": ("stacked area chart", "area chart", "filled area plot"),
    "emission lines": ("spectrum with spectral lines", "emission spectrum", "line spectrum"),
    "orbits": ("diagram of planets in orbit", "solar system diagram", "planetary orbits"),
    "table": ("table", "table of numbers", "data table"),
}
TESTED = tuple(NAMES)[: tuple(NAMES).index("shapes")]
"""The kinds that ``top-1`` is measured over."""

PROMPTS = {
    kind: f"a {names[0]}" if names[0][0] not in "aeio" else f"an {names[0]}"
    for kind, names in NAMES.items()
    if names[0]
}
"""One plain query a kind."""

_GENERAL = (
    ("time (s)", "voltage", "Voltage"),
    ("time (days)", "population", "Population growth"),
    ("year", "temperature", "Global temperature"),
    ("energy (GeV)", "events", "Event yield"),
    ("distance (m)", "force (N)", "Force"),
    ("wavelength (nm)", "intensity", "Intensity"),
    ("age", "height (cm)", "Growth"),
    ("epoch", "loss", "Training loss"),
    ("dose", "response", "Dose response"),
    ("mass (kg)", "speed (m/s)", "Speed"),
    ("pT (GeV)", "efficiency", "Trigger efficiency"),
    ("depth (m)", "pressure", "Pressure"),
    ("income", "life expectancy", "Life expectancy"),
    ("country", "output", "Production"),
    ("month", "rainfall (mm)", "Rainfall"),
    ("concentration", "absorbance", "Absorbance"),
    ("frequency (Hz)", "amplitude", "Amplitude"),
    ("category", "count", "Counts"),
    ("angle", "cross section", "Cross section"),
    ("redshift", "luminosity", "Luminosity"),
    ("position", "charge", "Charge"),
    ("gene", "expression", "Gene expression"),
    ("price", "sales", "Sales"),
    ("load", "latency (ms)", "Latency"),
    ("run", "luminosity", "Luminosity"),
    ("group", "score", "Test scores"),
)
_SPECIAL: dict[str, tuple[tuple[str, str, str], ...]] = {
    "decay curve": (
        ("time (us)", "counts", "Muon decay"),
        ("time (us)", "muons", "Muon lifetime"),
        ("time (days)", "activity", "Radioactive decay"),
        ("time", "nuclei", "Half-life"),
        ("time (ns)", "fluorescence", "Fluorescence lifetime"),
        ("time (ms)", "voltage", "Capacitor discharge"),
    ),
    "resonance peak": (
        ("dimuon mass (GeV)", "events / GeV", "Z boson"),
        ("mass (GeV)", "events", "Higgs boson"),
        ("invariant mass", "candidates", "J/psi"),
        ("frequency", "amplitude", "Resonance"),
        ("energy (MeV)", "cross section", "Breit-Wigner"),
        ("diphoton mass", "events", "H to γγ"),
    ),
}
_SHORT = ("{a}", "{name}", "{a} {detail}", "{name} {detail}")
_LONG = (
    "{a} of {y} against {x}",
    "{a} of {y} as a function of {x}",
    "{a} showing {y} versus {x}",
    "{a} {detail}, showing {y} and {x}",
    "{title}: {name} {detail}",
    "the figure shows {a} {detail}",
    "{a} of {title} {detail}",
    "{y} plotted against {x}, {a}",
    "{name} for {title}",
)
_TOPICLESS = {
    "network",
    "tree",
    "event display",
    "phase diagram",
    "micrograph",
    "galaxy field",
    "gel",
    "molecule",
    "flow chart",
    "emission lines",
    "orbits",
    "spectrogram",
    "confusion matrix",
    "table",
}
_FRAMES = (
    "{a} {detail}",
    "{a}",
    "{name} {detail}",
    "an image of {a}",
    "the figure shows {a} {detail}",
    "picture of {a} {detail}",
    "{a} {detail} {ground}",
)
_MUON_WORDS = {
    "decay curve": (
        "muon decay curve with an exponential fit",
        "counts falling exponentially",
        "measurement of the muon lifetime",
        "exponential decay over time",
        "radioactive decay of a sample and its half-life",
    ),
    "resonance peak": (
        "an invariant mass peak over background",
        "Z boson mass peak in dimuon events",
        "a narrow Breit-Wigner resonance",
        "a bump in the mass spectrum",
        "the Higgs boson signal peak over a falling background",
    ),
    "event display": (
        "event display with muon tracks and jets",
        "tracks and jets from a collision",
        "proton-proton collision recorded by the CMS detector",
        "particle tracks curving in a magnetic field",
    ),
    "tree": (
        "phylogenetic tree of species",
        "hierarchical clustering dendrogram",
        "evolutionary tree with branches",
        "decision tree",
    ),
    "micrograph": ("cells under a microscope", "bacteria seen under a microscope"),
    "galaxy field": (
        "deep field of distant galaxies",
        "a spiral galaxy among stars",
        "stars and galaxies in the night sky",
    ),
    "network": ("circles connected by lines", "a social network graph"),
    "gel": ("gel electrophoresis bands in lanes", "DNA fragments separated on a gel"),
    "spectrogram": ("frequency over time of a sound recording",),
    "phase diagram": ("solid, liquid and gas phases by temperature and pressure",),
}


def topic(rng: np.random.Generator, kind: str) -> tuple[str, str, str]:
    """Draw what stands at the axes and above the figure."""
    choices = _GENERAL
    if kind in _SPECIAL:
        choices = _SPECIAL[kind] if rng.random() < 0.8 else _GENERAL
    return choices[int(rng.integers(len(choices)))]


def article(name: str) -> str:
    """Put a or an before a name, nothing before a plural."""
    if (name.endswith("s") and not name.endswith("ss")) or name == "gel electrophoresis":
        return name
    return f"an {name}" if name[0] in "aeio" else f"a {name}"


def caption(
    rng: np.random.Generator, kind: str, detail: str, names: tuple[str, str, str], dark: bool
) -> str:
    """Write one caption of a figure."""
    if kind == "shapes":
        return str(rng.choice(["{}", "a picture of {}", "{}", "an image of {}"])).format(detail)
    if kind in _MUON_WORDS and rng.random() < 0.3:
        words = _MUON_WORDS[kind]
        return words[int(rng.integers(len(words)))]
    name = NAMES[kind][int(rng.integers(len(NAMES[kind])))]
    if kind in _TOPICLESS:
        frames: tuple[str, ...] = _FRAMES
    else:
        frames = _SHORT if rng.random() < 0.45 else _LONG
    frame = frames[int(rng.integers(len(frames)))]
    x, y, title = names
    ground = "on a dark background" if dark else "on a white background"
    words = frame.format(
        a=article(name),
        name=name,
        detail=detail,
        x=x.split(" (")[0],
        y=y.split(" (")[0],
        title=title,
        ground=ground,
    )
    return words.strip()
