"""Explaining away on asia: how one observation changes what another one says, and how the plan sees it coming.

Run with `python examples/explaining_away.py`.
"""

from pathlib import Path

import tractable as tr

net = tr.load(Path(tr.__file__).parent / "examples" / "asia.bif")

print("before anything is seen:", tr.is_separated(net.graph, "smoke", "tub"))
print("short of breath:        ", tr.is_separated(net.graph, "smoke", "tub", given="dysp"))
print()

story = {"dysp": "yes", "asia": "yes", "xray": "yes", "bronc": "yes"}
seen = {}
for variable, state in [(None, None), *story.items()]:
    if variable:
        seen[variable] = state
    posterior = tr.infer(net, seen)
    p = {disease: posterior.marginals[disease]["yes"] for disease in ("tub", "lung", "bronc")}
    shown = "  ".join(f"{disease} {value:.3f}" for disease, value in p.items())
    print(f"{', '.join(seen) or 'nothing':26s} {shown}   log P {posterior.log_partition.value:8.4f}")
