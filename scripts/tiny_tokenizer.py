"""Train the tokenizer of `tiny` on a grammar of instructions, and write the file that ships with the package.

Run `python scripts/tiny_tokenizer.py` to write `rlvla_core/policy/data/tiny_tokenizer.json` again. Training is
deterministic; a test compares the shipped file with a fresh one. Words that are not in the grammar still encode: as
letters, and unknown letters as bytes.
"""

import json

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from tokenizers import Regex as Pattern

from rlvla_core.policy.tokenizer import SPACE, TINY_TOKENIZER_FILE

PHRASES = ("In: What action should the robot take to", "?\nOut:")
"""The prompt's fixed parts are one token each: otherwise they would be half of the text positions."""

SPECIAL = ("<unk>", "<s>", "</s>")
BYTES = tuple(f"<0x{value:02X}>" for value in range(256))
ACTION_BINS = 256
TEXT_TOKENS = 700
"""Upper bound of learned text tokens; training stops earlier when every word of the grammar is one token."""

TEMPLATES = (
    "put {object} on {place}",
    "place the {object} on the {place}",
    "set {object} on {place}",
    "move the {object} to the {place}",
    "take the {object} and put it on the {place}",
    "pick up {object} and set it down on {place}",
    "please put the {object} on the {place}",
    "put {object} onto {place}.",
    "place the {object} onto the {place} surface",
    "make sure {object} is on {place}.",
    "on the {place}, put the {object}",
    "put the {object} where the {place} is",
    "move the {object} from the table to the {place}",
    "move {object} so it’s on {place}.",
    "can you put {object} on {place}?",
    "{object} on the {place}, please.",
    "the {object} should be placed on the {place}.",
    "lay the {object} down on the {place}.",
    "could you place {object} over {place}",
    "position the {object} atop the {place}",
    "arrange for the {object} to be resting on {place}.",
    "grasp the {object}, then lift it and drop it on the {place}",
    "reach the {object} with the gripper",
    "push the {object} to the {place}",
)
"""Sentences that ask for one task. The first is the one that training in the simulator uses."""

OBJECTS = (
    "carrot, kitchen shovel, bread, plastic bottle, can, zucchini, ketchup bottle, watering can, pipe, toy bear, "
    "fast food cup, plant, banana, hamburger, golf ball, sauce, travel cup, pepper, potato, baguette, champagne "
    "glass, kitchen spoon, onion, cup, apple, pear, lemon, orange, tomato, egg, mug, bowl, jar, box, block, cube, "
    "sphere, ball, cylinder, cone, ring, star, spoon, fork, knife, hammer, screwdriver, wrench, brush, sponge, "
    "soap, candle, pencil, marker, book, toy car, duck, mushroom, eggplant, cucumber, corn, strawberry, cheese, "
    "cookie, donut, cake, bottle, battery, die, key, nut, bolt, dumbbell, pyramid, capsule, shape, object, "
    "target, stick, tube, tin, pot, lamp, tower, spatula, water bottle, soda can, paper cup, cactus, barbecue "
    "sauce, travel mug, bell pepper, tin can, champagne flute, wooden spoon, puck, pointer, disc"
)
PLACES = (
    "plate, cloth, carpet, newspaper, sheet metal, drawing tablet, tomato slice, pizza, flat bowl, gramophone "
    "disk, frying pan, mouse pad, cutting board, chess board, manhole cover, envelope, notepad, tray, towel, mat, "
    "coaster, napkin, basket, pan, lid, tile, board, disk, paper, bin, table, goal, region, saucer, dish, rug, "
    "plank, leaf, metal sheet, tablet, shallow bowl, record, notebook"
)
ADJECTIVES = (
    "red, green, blue, yellow, orange, purple, pink, brown, black, white, grey, cyan, small, large, big, little, "
    "round, square, wooden, metal, plastic, striped, left, right, front, back, near, far"
)


def sentences() -> list[str]:
    """Instructions that the tokenizer is trained on, in a fixed order: each template with each object or place."""
    objects, places, adjectives = (words.split(", ") for words in (OBJECTS, PLACES, ADJECTIVES))
    lines = [template.format(object=item, place="plate") for template in TEMPLATES for item in objects]
    lines += [template.format(object="object", place=place) for template in TEMPLATES for place in places]
    lines += [f"put {adjective} object on {adjective} plate" for adjective in adjectives for _ in range(4)]
    return lines


def _pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    """A splitter of text at spaces (kept as a leading ▁) that also sets punctuation and line ends apart."""
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always", split=True),
            pre_tokenizers.Split(Pattern("[:?.,!\\n]"), behavior="isolated"),
        ]
    )


def build_tiny_tokenizer() -> Tokenizer:
    """Train a byte-fallback BPE. Ids in order: specials, 256 bytes, text tokens, phrases, 256 action tokens."""
    learner = Tokenizer(models.BPE(unk_token=SPECIAL[0]))
    learner.pre_tokenizer = _pre_tokenizer()
    printable = [chr(code) for code in range(33, 127)]
    trainer = trainers.BpeTrainer(
        vocab_size=TEXT_TOKENS,
        min_frequency=3,
        initial_alphabet=[SPACE, *printable],
        special_tokens=[SPECIAL[0]],
        show_progress=False,
    )
    learner.train_from_iterator(sentences(), trainer)
    learned = json.loads(learner.to_str())["model"]
    text = [token for token in sorted(learned["vocab"], key=learned["vocab"].get) if token not in (SPECIAL[0], "\n")]
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *BYTES, *text])}
    merges = [tuple(pair) for pair in learned["merges"]]

    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, unk_token=SPECIAL[0], byte_fallback=True, fuse_unk=True)
    )
    tokenizer.pre_tokenizer = _pre_tokenizer()
    bos = SPECIAL[1]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, vocabulary[bos])]
    )
    tokenizer.add_tokens([AddedToken(phrase, normalized=False) for phrase in PHRASES])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    actions = [AddedToken(f"<action_{index}>", special=True, normalized=False) for index in range(ACTION_BINS)]
    tokenizer.add_special_tokens(actions)
    return tokenizer


if __name__ == "__main__":
    text = json.dumps(json.loads(build_tiny_tokenizer().to_str()), ensure_ascii=False, separators=(",", ":"))
    TINY_TOKENIZER_FILE.write_text(text + "\n", encoding="utf-8")
    print(f"wrote {TINY_TOKENIZER_FILE.name}, {len(text)} characters")
