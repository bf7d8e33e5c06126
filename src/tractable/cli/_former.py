"""Options as they were spelled before: taken for one release, shown nowhere."""

from __future__ import annotations

from copy import copy
from typing import Any

from tractable.cli._help import GroupedHelp

_KEPT = {"--checkpoint-every": "checkpoint_seconds"}
_EM = {"--starts": "n_init", "--iterations": "epochs"} | _KEPT
_STEPS = {"--batch": "batch_size", "--average": "averaging"} | _KEPT
_MACHINE = {"--states": "categories"} | _STEPS
_SIGMOID = {"--layers": "hidden"} | _STEPS
FORMER = {
    "explain": {"--observe": "observed"},
    "sample": {"--given": "evidence_file"},
    **dict.fromkeys(("mixture", "hmm", "network"), _EM),
    **dict.fromkeys(("rbm", "dbm", "boltzmann"), _MACHINE),
    **dict.fromkeys(("sbn", "helmholtz"), _SIGMOID),
    "dbn": _STEPS,
}
"""Command → former spelling → the parameter that it is now."""


class Renamed(GroupedHelp):
    """A command some of whose options had other names: the parser knows these too, help and completion do not."""

    def make_parser(self, ctx: Any) -> Any:
        """The parser of this command."""
        parser, options = super().make_parser(ctx), {option.name: option for option in self.params}
        for spelling, name in FORMER[self.name or ""].items():
            former = copy(options[name])
            former.opts = [spelling]
            former.add_to_parser(parser, ctx)
        return parser
