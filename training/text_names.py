"""Everyday names and the kind of thing each is: words that people type as queries."""

from __future__ import annotations

NAMES: dict[str, str] = {
    "bird": (
        "swan, duck, goose, chicken, rooster, hen, turkey, crow, raven, owl, eagle, hawk, "
        "falcon, seagull, pigeon, dove, sparrow, robin, parrot, peacock, penguin, ostrich, "
        "flamingo, stork, heron, woodpecker, cuckoo, nightingale, canary, magpie, swallow, "
        "pelican, vulture, hummingbird, quail"
    ),
    "animal": (
        "dog, cat, horse, pony, donkey, cow, bull, calf, sheep, lamb, goat, pig, rabbit, "
        "hare, mouse, rat, squirrel, fox, wolf, bear, lion, tiger, leopard, cheetah, "
        "elephant, giraffe, zebra, monkey, gorilla, chimpanzee, camel, deer, moose, kangaroo, "
        "koala, panda, hedgehog, beaver, otter, bat, skunk, raccoon, puppy, kitten, hamster, "
        "hippopotamus, rhinoceros, buffalo, coyote, llama"
    ),
    "sea animal": (
        "whale, dolphin, seal, walrus, shark, octopus, crab, lobster, jellyfish, starfish, "
        "salmon, goldfish, shrimp, sea lion, orca, seahorse, squid, eel, trout, tuna"
    ),
    "reptile": (
        "snake, lizard, turtle, tortoise, crocodile, alligator, iguana, chameleon, dinosaur"
    ),
    "amphibian": ("frog, toad, newt, salamander"),
    "insect": (
        "bee, wasp, fly, mosquito, ant, butterfly, moth, beetle, cricket, grasshopper, "
        "cicada, dragonfly, ladybug, bumblebee, cockroach, spider, termite"
    ),
    "vehicle": (
        "car, truck, bus, van, taxi, motorcycle, scooter, bicycle, tram, train, locomotive, "
        "subway, ambulance, fire engine, police car, tractor, bulldozer, excavator, ship, "
        "boat, sailboat, ferry, canoe, kayak, submarine, airplane, jet, helicopter, rocket, "
        "hot air balloon, spaceship, skateboard, lorry, limousine, race car, motorboat, "
        "glider, drone, wagon, carriage, snowmobile"
    ),
    "weather": (
        "rain, thunder, lightning, thunderstorm, storm, wind, snow, hail, fog, mist, "
        "sunshine, cloud, hurricane, tornado, blizzard, drizzle, rainbow, frost, breeze, "
        "gale, heat wave, drought"
    ),
    "musical instrument": (
        "violin, viola, cello, double bass, guitar, electric guitar, bass guitar, banjo, "
        "ukulele, mandolin, harp, sitar, piano, organ, keyboard, accordion, harmonica, flute, "
        "recorder, clarinet, oboe, bassoon, saxophone, trumpet, trombone, tuba, french horn, "
        "bagpipes, drum, snare drum, bass drum, drum kit, cymbal, gong, bell, tambourine, "
        "triangle, xylophone, marimba, vibraphone, maracas, bongo, didgeridoo, synthesizer, "
        "theremin, cowbell, lute"
    ),
    "tool": (
        "hammer, saw, chainsaw, drill, screwdriver, wrench, axe, shovel, rake, lawn mower, "
        "knife, scissors, jackhammer, sander, pliers, ladder, vacuum cleaner, sewing machine, "
        "broom, chisel"
    ),
    "household object": (
        "clock, alarm clock, telephone, doorbell, kettle, toaster, blender, microwave, "
        "refrigerator, washing machine, dishwasher, hair dryer, toothbrush, television, "
        "radio, computer, printer, typewriter, camera, lamp, chair, table, sofa, bed, door, "
        "window, fan, air conditioner, toilet, bathtub, shower, sink, tap, mirror, umbrella, "
        "candle, book, pen, cup, bottle, plate, spoon"
    ),
    "sound": (
        "siren, alarm, explosion, gunshot, fireworks, applause, laughter, crying, sneeze, "
        "cough, snoring, whistle, footsteps, knock, heartbeat, whisper, scream, shout, "
        "speech, singing, choir, engine, horn, beep, ringtone, static, white noise, echo, "
        "buzz, hum, click, crackle, splash, creak, hiccup, burp, yawn, clapping, cheering, "
        "humming, howl, bark, meow, roar, moo, croak, chirp"
    ),
    "music": (
        "rock, jazz, blues, classical music, opera, hip hop, techno, reggae, folk song, "
        "lullaby, anthem, waltz, symphony, disco, heavy metal, country music, gospel, "
        "orchestra, brass band"
    ),
    "food": (
        "apple, banana, orange, strawberry, grape, lemon, pear, cherry, watermelon, "
        "pineapple, tomato, potato, carrot, onion, cabbage, mushroom, corn, bread, cheese, "
        "egg, pizza, hamburger, sandwich, soup, pasta, rice, cake, cookie, chocolate, ice "
        "cream, coffee, tea, milk, beer, wine"
    ),
    "clothing": (
        "hat, cap, helmet, shirt, jacket, coat, dress, skirt, trousers, jeans, shorts, shoe, "
        "boot, sock, glove, scarf, tie, glasses, sunglasses, swimsuit, uniform, apron"
    ),
    "place": (
        "beach, sea, lake, river, waterfall, mountain, hill, forest, desert, cave, island, "
        "field, garden, park, street, road, bridge, city, village, house, castle, church, "
        "school, hospital, restaurant, kitchen, bathroom, bedroom, office, factory, farm, "
        "airport, station, stadium, market, library, museum, playground, swimming pool, "
        "harbour, jungle, volcano, glacier, zoo, cafe"
    ),
    "person": (
        "man, woman, boy, girl, baby, child, old man, crowd, doctor, nurse, teacher, student, "
        "policeman, firefighter, soldier, farmer, cook, waiter, musician, singer, dancer, "
        "painter, worker, football player, cyclist, skier, surfer, swimmer, runner, climber, "
        "bride, clown, astronaut"
    ),
    "plant": (
        "tree, flower, grass, leaf, rose, tulip, sunflower, oak, palm tree, cactus, bush, seaweed"
    ),
    "sport": (
        "football, soccer, baseball, basketball, tennis, volleyball, hockey, golf, swimming, "
        "skiing, snowboarding, surfing, cycling, boxing, wrestling, climbing, running, "
        "bowling, cricket"
    ),
    "science": (
        "atom, electron, proton, neutron, muon, quark, photon, molecule, cell, bacteria, "
        "virus, gene, protein, neuron, planet, star, galaxy, black hole, comet, asteroid, "
        "telescope, microscope, magnet, laser, earthquake, fossil, heart, brain, lung, "
        "kidney, bone, muscle, blood"
    ),
    "plot": (
        "line chart, bar chart, scatter plot, histogram, pie chart, box plot, heat map, map, "
        "diagram, table, flow chart, contour plot, network graph"
    ),
}

TEMPLATES = (
    "{}",
    "{}s",
    "a {}",
    "the {}",
    "a photo of a {}",
    "a picture of a {}",
    "the sound of a {}",
    "{} sound",
    "sound of {}",
    "recording of a {}",
    "{} noise",
    "a {} in the distance",
    "a close up of a {}",
    "two {}s",
    "what does a {} sound like",
    "what does a {} look like",
    "pictures of {}s",
    "where is the {}",
    "a man with a {}",
    "someone near a {}",
)


def names() -> list[tuple[str, str]]:
    """Return every (name, kind)."""
    return [(name.strip(), kind) for kind, listed in NAMES.items() for name in listed.split(",")]


def phrases() -> list[str]:
    """Return the names in templates, and sentences that say what kind of thing each is."""
    said = [template.format(name) for name, _ in names() for template in TEMPLATES]
    for name, kind in names():
        said += [
            f"a {name} is a kind of {kind}",
            f"{name}, {kind}",
            f"a {kind} such as a {name}",
            f"a {kind} called {name}",
        ]
    return said + list(NAMES)
