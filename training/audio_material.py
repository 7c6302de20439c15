"""The sound tower's material: labelled clips, and the words for their labels."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE_HZ = 16_000
Samples = NDArray[np.float32]

# Phrases for the sounds of a label, beside the label itself.
PHRASES: dict[str, tuple[str, ...]] = {
    "dog bark": (
        "a dog barking",
        "a dog barks",
        "dogs barking loudly",
        "the bark of a dog",
        "barking",
    ),
    "rain": ("rain falling", "heavy rain", "raindrops falling on the ground", "a rain shower"),
    "sea waves": (
        "ocean waves",
        "waves crashing on the beach",
        "the sea",
        "surf rolling onto a shore",
    ),
    "baby cry": ("a baby crying", "an infant cries", "a crying baby", "a baby wails"),
    "clock tick": (
        "a clock ticking",
        "the tick tock of a clock",
        "a ticking clock",
        "a watch ticks",
    ),
    "person sneeze": ("a person sneezing", "someone sneezes", "a sneeze", "a man sneezes"),
    "helicopter": ("a helicopter flying", "helicopter rotor blades", "a helicopter overhead"),
    "chainsaw": ("a chainsaw cutting wood", "a chain saw running", "a chainsaw engine revs"),
    "rooster": ("a rooster crowing", "a cock crows", "cock-a-doodle-doo of a rooster"),
    "fire crackling": (
        "a crackling fire",
        "a fire burning",
        "crackling flames",
        "wood burns and crackles",
    ),
    "air conditioner": (
        "an air conditioner humming",
        "the hum of an air conditioning unit",
        "a fan and air conditioner running",
        "ventilation noise",
    ),
    "car horn": (
        "a car honking its horn",
        "a car horn blares",
        "honking",
        "vehicles honk in traffic",
    ),
    "children playing": (
        "children playing outside",
        "kids shouting and laughing",
        "a playground",
        "children's voices at play",
    ),
    "drilling": ("a drill", "an electric drill", "drilling into a wall", "a power tool drilling"),
    "engine idling": (
        "an idling engine",
        "a car engine running",
        "a motor idles",
        "a truck idling",
    ),
    "gun shot": ("gunshots", "a gun being fired", "gunfire", "a shot from a gun"),
    "jackhammer": (
        "a jackhammer breaking concrete",
        "a pneumatic hammer",
        "jackhammer at road works",
    ),
    "siren": ("a police siren", "an ambulance siren wailing", "a siren of an emergency vehicle"),
    "street music": (
        "music in the street",
        "street musicians playing",
        "a band plays music outside",
        "people playing instruments on the street",
    ),
    "bird": ("birds singing", "a bird chirping", "birdsong", "a bird tweets"),
    "cat": ("a cat meowing", "a cat meows", "the meow of a cat"),
    "chicken": ("a chicken clucking", "hens cluck", "clucking chickens"),
    "cow": ("a cow mooing", "a cow moos", "cattle lowing"),
    "dog": ("a dog barking", "a dog barks", "a dog"),
    "donkey": ("a donkey braying", "the bray of a donkey"),
    "frog": ("a frog croaking", "frogs croak", "the croak of a frog"),
    "lion": ("a lion roaring", "the roar of a lion"),
    "monkey": ("a monkey screeching", "monkeys chattering", "a monkey calls"),
    "sheep": ("a sheep bleating", "sheep baa", "the bleat of a sheep"),
    "airplane": ("an airplane flying", "the cabin of an airplane", "jet engine noise of a plane"),
    "ambulance siren": ("an ambulance siren", "a siren wailing"),
    "beehive": ("bees buzzing", "a swarm of bees", "the buzz of a beehive"),
    "birds": ("birds singing", "birdsong in a forest", "birds chirping"),
    "boiling water": ("water boiling", "a boiling pot", "bubbling hot water"),
    "bubbles": ("bubbles in water", "bubbling water"),
    "busy street": ("traffic and people on a busy street", "a busy city street"),
    "cafe": ("people talking in a cafe", "the chatter of a coffee shop"),
    "campfire": ("a crackling campfire", "fire crackling", "burning wood crackles"),
    "cat purring": ("a cat purring", "a cat purrs"),
    "ceiling fan": ("a fan turning", "a ceiling fan whirring"),
    "clock": ("a clock ticking", "a ticking clock"),
    "construction site": ("a construction site", "machines and hammering at a construction site"),
    "cows": ("cows mooing", "cattle in a field"),
    "crickets": ("crickets chirping", "insects chirping at night"),
    "crowd": ("a crowd of people talking", "a noisy crowd"),
    "crowded bar": ("people talking in a crowded bar", "a noisy bar"),
    "crows": ("crows cawing", "a crow caws"),
    "dog barking": ("a dog barking", "a dog barks"),
    "dryer": ("a tumble dryer running", "a clothes dryer"),
    "droplets": ("water dripping", "drops of water falling"),
    "fireworks": ("fireworks exploding", "fireworks bang and crackle"),
    "heavy rain": ("heavy rain falling", "a downpour of rain"),
    "highway": ("traffic on a highway", "cars passing at high speed"),
    "horse gallop": ("a horse galloping", "horse hooves"),
    "howling wind": ("wind howling", "strong wind"),
    "inside a train": ("the inside of a moving train", "riding in a train"),
    "jungle": ("birds and insects in a jungle", "jungle animals"),
    "keyboard": ("typing on a keyboard", "computer keyboard clicks"),
    "light rain": ("light rain falling", "gentle rain"),
    "morse code": ("beeps of morse code", "a morse code message"),
    "night village": ("a village at night with insects and distant dogs", "night insects"),
    "office": ("people working in an office", "office noise"),
    "owl": ("an owl hooting", "an owl hoots"),
    "rain on car roof": ("rain falling on the roof of a car",),
    "rain on leaves": ("rain falling on leaves",),
    "rain on tent": ("rain falling on a tent",),
    "rain on umbrella": ("rain falling on an umbrella",),
    "rain on window": ("rain hitting a window",),
    "river": ("a river flowing", "water flowing in a stream"),
    "road": ("cars passing on a road", "traffic noise"),
    "seagulls": ("seagulls calling", "gulls cry by the sea"),
    "singing bowl": ("a singing bowl ringing", "a long ringing tone of a singing bowl"),
    "submarine": ("the inside of a submarine", "sonar pings under water"),
    "subway station": ("a train arrives at a subway station", "an underground station"),
    "thunder": ("thunder rumbling", "a thunderstorm"),
    "traffic": ("traffic noise", "cars and trucks in traffic"),
    "train": ("a train passing", "a train rolling on the rails"),
    "tuning radio": ("tuning an old radio", "radio static and voices"),
    "typewriter": ("typing on a typewriter", "typewriter keys"),
    "underwater": ("muffled sounds under water", "being under water"),
    "vinyl effect": ("the crackle of a vinyl record", "record player crackle"),
    "walk in snow": ("footsteps in snow", "walking in the snow"),
    "walk on gravel": ("footsteps on gravel", "walking on gravel"),
    "walk on leaves": ("footsteps in dry leaves", "walking on leaves"),
    "washing machine": ("a washing machine running", "a washing machine spins"),
    "waterfall": ("a waterfall", "water rushing down a waterfall"),
    "waves": ("ocean waves", "waves rolling onto a beach"),
    "whale": ("a whale singing", "whale song under water"),
    "wind": ("wind blowing", "the wind"),
    "wind chimes": ("wind chimes ringing", "chimes tinkling in the wind"),
    "wind in trees": ("wind rustling the leaves of trees", "wind in trees"),
    "windshield wipers": ("windshield wipers moving", "car wipers in the rain"),
    "wolf": ("a wolf howling", "wolves howl"),
    "woodpecker": ("a woodpecker pecking a tree", "a woodpecker drums"),
}
_TEMPLATES = ("{}", "{}", "the sound of {}", "a recording of {}", "{} can be heard", "audio of {}")


@dataclass(frozen=True)
class Clip:
    """One labelled recording; `part` is train or test, `collection` its folder."""

    path: Path
    label: str
    collection: str
    part: str


def captions_of(label: str) -> list[str]:
    """Return every phrase for a label, each in the templates."""
    phrases = (label.lower(), *PHRASES.get(label.lower(), ()))
    return sorted({template.format(p) for p in phrases for template in _TEMPLATES})


def read_clips(data: Path) -> list[Clip]:
    """Return all labelled clips; those of ESC-10 fold 4 and UrbanSound8K fold 2 are `test`."""
    clips = []
    for collection in ("esc10", "urbansound8k_part", "animal_sounds", "ambient_sounds"):
        folder = data / collection
        with (folder / "labels.csv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                held_out = (collection, row.get("fold")) in {
                    ("esc10", "4"),
                    ("urbansound8k_part", "fold2"),
                }
                clips.append(
                    Clip(
                        folder / row["clip"],
                        row["label"],
                        collection,
                        "test" if held_out else "train",
                    )
                )
    return clips


def recording_of(clip: Clip) -> str:
    """Return what recording a clip was cut from: its slices must not stand on both sides."""
    parts = clip.path.stem.split("-")
    if clip.collection == "urbansound8k_part":
        return parts[0]
    if clip.collection == "esc10":
        return parts[1]
    if clip.collection == "ambient_sounds":
        return clip.label
    return clip.path.stem


def decode(path: Path) -> Samples:
    """Return the samples of a file, mono float32 at 16 kHz."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(1)
    if rate == RATE_HZ:
        return mono
    import soxr

    return soxr.resample(mono, rate, RATE_HZ)
