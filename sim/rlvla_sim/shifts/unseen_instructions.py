"""Other words for the same task."""

from rlvla_sim.shifts.shift import Change, Shift

TEMPLATES = (
    "Place the {object} on the {receptacle}",
    "set {object} on {receptacle}",
    "move the {object} to the {receptacle}",
    "Take the {object} and put it on the {receptacle}",
    "pick up {object} and set it down on {receptacle}",
    "please put the {object} on the {receptacle}",
    "Put {object} onto {receptacle}.",
    "place the {object} onto the {receptacle} surface",
    "Make sure {object} is on {receptacle}.",
    "on the {receptacle}, put the {object}",
    "put the {object} where the {receptacle} is",
    "Move the {object} from the table to the {receptacle}",
    "Move {object} so it’s on {receptacle}.",
    "Can you put {object} on {receptacle}?",
    "{object} on the {receptacle}, please.",
    "the {object} should be placed on the {receptacle}.",
)
"""Number 1 .. 16 of the paper's list, spelling and all; number 0 is the one of training."""

SHIFTS = (
    Shift(
        name="unseen-instructions",
        number=9,
        axis="semantics",
        summary="16 sentences that training never used",
        change=Change(templates=TEMPLATES),
    ),
)
