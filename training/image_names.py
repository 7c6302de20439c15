"""Plain words for the 1,000 classes of ImageNet.

``phrases`` returns a class's synonyms and more general words for it ("beagle": "a dog").
Classes stand in the order of ImageNet's challenge, which keeps related animals together, so that
ranges of numbers name most of them; things are found by a word of their name.
"""

_RANGES: tuple[tuple[int, int, str], ...] = (
    (0, 1, "fish"),
    (2, 4, "shark, fish"),
    (5, 6, "ray, fish"),
    (7, 8, "chicken, bird"),
    (9, 24, "bird"),
    (25, 29, "salamander"),
    (30, 32, "frog"),
    (33, 37, "turtle"),
    (38, 48, "lizard"),
    (49, 50, "crocodile"),
    (51, 51, "dinosaur"),
    (52, 68, "snake"),
    (70, 70, "spider"),
    (72, 77, "spider"),
    (78, 79, "insect"),
    (80, 96, "bird"),
    (97, 98, "duck, bird"),
    (99, 99, "bird"),
    (100, 100, "swan, bird"),
    (101, 101, "elephant"),
    (104, 104, "kangaroo"),
    (105, 105, "bear"),
    (110, 111, "worm"),
    (112, 112, "shell"),
    (118, 121, "crab"),
    (122, 124, "lobster"),
    (125, 125, "crab"),
    (127, 128, "stork, bird"),
    (129, 130, "bird"),
    (131, 132, "heron, bird"),
    (133, 144, "bird"),
    (145, 145, "penguin, bird"),
    (146, 146, "bird"),
    (147, 148, "whale"),
    (149, 149, "manatee"),
    (150, 150, "seal"),
    (151, 268, "dog"),
    (269, 271, "wolf"),
    (272, 275, "wild dog"),
    (277, 280, "fox"),
    (281, 285, "cat"),
    (286, 293, "big cat"),
    (294, 297, "bear"),
    (300, 307, "beetle, insect"),
    (308, 308, "insect"),
    (309, 309, "bee, insect"),
    (310, 320, "insect"),
    (321, 326, "butterfly, insect"),
    (330, 332, "rabbit"),
    (335, 335, "squirrel"),
    (339, 339, "horse"),
    (340, 340, "animal with stripes"),
    (341, 343, "pig"),
    (345, 347, "cow, cattle"),
    (348, 350, "sheep, goat"),
    (351, 353, "antelope, deer"),
    (354, 354, "camel"),
    (356, 359, "weasel, ferret"),
    (364, 364, "sloth"),
    (365, 369, "ape, monkey"),
    (370, 382, "monkey"),
    (383, 384, "lemur"),
    (385, 386, "elephant"),
    (387, 388, "panda"),
    (389, 397, "fish"),
    (924, 924, "food"),
    (925, 926, "soup, food"),
    (927, 929, "dessert, food"),
    (930, 932, "bread, food"),
    (933, 935, "food"),
    (936, 946, "vegetable"),
    (947, 947, "mushroom"),
    (948, 957, "fruit"),
    (959, 965, "food"),
    (966, 969, "drink"),
    (970, 970, "mountain"),
    (973, 973, "reef under water"),
    (975, 978, "beach, water"),
    (979, 980, "mountain"),
    (985, 986, "flower"),
    (991, 997, "mushroom"),
)

_WORDS: tuple[tuple[str, str], ...] = (
    ("boat", "airship canoe catamaran fireboat gondola lifeboat speedboat trimaran yawl schooner"),
    ("ship", "aircraft_carrier container_ship liner wreck pirate schooner submarine"),
    (
        "car",
        "ambulance beach_wagon cab convertible jeep limousine minivan Model_T racer sports_car",
    ),
    (
        "truck",
        "fire_engine garbage_truck moving_van pickup tow_truck trailer_truck snowplow police_van",
    ),
    ("bus", "minibus school_bus trolleybus"),
    (
        "train",
        "bullet_train electric_locomotive freight_car passenger_car steam_locomotive streetcar",
    ),
    ("airplane", "airliner warplane wing"),
    ("bicycle", "bicycle-built-for-two mountain_bike tricycle unicycle"),
    ("motorcycle", "moped motor_scooter"),
    ("guitar", "acoustic_guitar electric_guitar banjo"),
    ("piano", "grand_piano upright"),
    (
        "musical instrument",
        "accordion acoustic_guitar banjo bassoon cello cornet drum electric_guitar flute "
        "French_horn gong grand_piano harmonica harp maraca marimba oboe ocarina organ panpipe "
        "sax steel_drum trombone upright violin chime",
    ),
    (
        "building",
        "barn castle church palace monastery mosque library prison cinema restaurant greenhouse "
        "boathouse planetarium stupa lumbermill bakery barbershop bookshop butcher_shop "
        "grocery_store shoe_shop tobacco_shop toyshop confectionery yurt dome",
    ),
    (
        "shop",
        "bakery barbershop bookshop butcher_shop grocery_store shoe_shop tobacco_shop toyshop",
    ),
    ("bridge", "steel_arch_bridge suspension_bridge viaduct"),
    (
        "furniture",
        "bookcase chiffonier china_cabinet desk dining_table entertainment_center four-poster "
        "medicine_chest rocking_chair folding_chair studio_couch wardrobe cradle crib bassinet",
    ),
    ("chair", "barber_chair folding_chair rocking_chair throne park_bench"),
    ("bed", "four-poster studio_couch cradle crib bassinet"),
    ("table", "desk dining_table pool_table"),
    ("clock", "analog_clock digital_clock wall_clock sundial hourglass stopwatch digital_watch"),
    ("ball", "baseball basketball golf_ball ping-pong_ball rugby_ball soccer_ball tennis_ball"),
    ("telephone", "cellular_telephone dial_telephone pay-phone"),
    ("computer", "desktop_computer laptop notebook hand-held_computer monitor"),
    (
        "hat",
        "bearskin bonnet cowboy_hat mortarboard sombrero bathing_cap shower_cap",
    ),
    ("helmet", "crash_helmet football_helmet pickelhaube"),
    ("shoes", "clog cowboy_boot Loafer running_shoe sandal"),
    (
        "clothes",
        "abaya academic_gown cardigan cloak fur_coat gown jersey kimono lab_coat miniskirt "
        "overskirt pajama poncho sarong suit sweatshirt trench_coat jean",
    ),
    ("dress", "gown hoopskirt overskirt"),
    ("coat", "fur_coat lab_coat trench_coat"),
    ("swimsuit", "bikini maillot swimming_trunks"),
    ("glasses", "sunglass sunglasses"),
    ("bag", "backpack mailbag plastic_bag purse sleeping_bag"),
    ("bottle", "beer_bottle pill_bottle pop_bottle water_bottle wine_bottle whiskey_jug"),
    ("cup", "coffee_mug cup beer_glass goblet espresso"),
    ("pot", "caldron coffeepot Crock_Pot Dutch_oven teapot wok frying_pan"),
    ("bowl", "mixing_bowl soup_bowl"),
    (
        "tool",
        "can_opener chain_saw cleaver corkscrew hammer hatchet plane power_drill screwdriver "
        "shovel plow spatula",
    ),
    ("gun, weapon", "assault_rifle cannon revolver rifle"),
    ("machine", "dishwasher washer sewing_machine vending_machine cash_machine slot printer"),
    ("tower", "beacon water_tower obelisk totem_pole"),
    ("fence", "chainlink_fence picket_fence worm_fence stone_wall"),
    ("lamp", "table_lamp lampshade spotlight torch candle"),
    ("camera", "Polaroid_camera reflex_camera"),
    ("toy", "teddy jigsaw_puzzle pinwheel"),
    ("spacecraft", "space_shuttle missile projectile"),
    ("tractor, farm machine", "harvester thresher tractor"),
    ("tent", "mountain_tent"),
    ("person", "ballplayer groom scuba_diver"),
    ("wedding", "groom"),
)


def synonyms(name: str) -> list[str]:
    """Return the English names in a list of synonyms such as ImageNet's, the usual one first."""
    parts = [part.strip() for part in name.replace("_", " ").split(",")]
    return [p for p in parts if p and not _latin(p)]


def _latin(name: str) -> bool:
    """Return whether a name looks like that of a species in Latin ("Turdus migratorius")."""
    words = name.split()
    endings = ("us", "is", "a", "um", "ii", "ens", "ax", "x", "es", "ur", "os", "lo", "eo", "ea")
    return (
        len(words) in (2, 3)
        and words[0][0].isupper()
        and all(w.islower() for w in words[1:])
        and words[0].endswith(endings)
        and words[1].endswith((*endings, "i", "or", "ae", "n", "s"))
        and words[1] not in ("wolf", "fox", "dogs", "terriers")
    )


def general(index: int, name: str) -> list[str]:
    """Return the more general words for class ``index``, whose usual name is ``name``."""
    found = [w for low, high, words in _RANGES if low <= index <= high for w in words.split(", ")]
    key = name.replace(" ", "_")
    for words, members in _WORDS:
        if key in members.split():
            found += words.split(", ")
    return list(dict.fromkeys(word for word in found if word != name))


def article(name: str) -> str:
    """Return the name with "a" or "an" before it."""
    return f"{'an' if name[0].lower() in 'aeio' else 'a'} {name}"


def phrases(index: int, names: str) -> list[str]:
    """Return what may be said of class ``index``: bare, with an article, as a photo, in general."""
    known = synonyms(names)
    usual, wider = known[0], general(index, known[0])
    said = [usual, article(usual), f"a photo of {article(usual)}", *known[1:4]]
    return list(dict.fromkeys([*said, *(phrase for w in wider for phrase in (w, article(w)))]))
