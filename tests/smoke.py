"""The installed package on its own, run by `make smoke` with each Python there is: it needs no test tool and no source.

Numbers are those of enumeration, worked out here. Machines are tried where jax is there.
"""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
import sysconfig
import tempfile
from importlib.util import find_spec
from pathlib import Path

import brute_force
import numpy as np
from chains_oracle import enumerate_paths

import tractable as tr

ASIA = Path(tr.__file__).parent / "examples" / "asia.bif"
EVIDENCE = {"asia": "yes", "dysp": "yes"}


def query() -> None:
    """log P of evidence, and posteriors, against the sum over all joint states."""
    net = tr.load(ASIA)
    post = tr.infer(net, EVIDENCE)
    assert post.log_partition.kind == "exact"
    assert math.isclose(post.log_partition.value, brute_force.log_partition(net, EVIDENCE), rel_tol=1e-12)
    for name, expected in brute_force.marginals(net, EVIDENCE).items():
        assert np.allclose(list(post.marginals[name].values()), expected, rtol=1e-12)


def learned_network() -> None:
    """EM on cells that are missing climbs, and on complete rows gives the frequencies."""
    net = tr.load(ASIA)
    table = tr.sample(net, 500, key=0)
    share = [np.mean(table["smoke"] == state) for state in net.states["smoke"]]
    fitted = tr.fit(net, table, tr.EM(prior=0), epochs=2, progress=False).model
    assert np.allclose(fitted.tables["smoke"], share, rtol=1e-9)
    gaps = table | {"smoke": np.where(np.arange(500) % 3, None, table["smoke"])}
    climb = [epoch.train.value for epoch in tr.fit(net, gaps, tr.EM(prior=0), epochs=5, progress=False).history]
    assert all(b > a - 1e-12 for a, b in itertools.pairwise(climb)) and climb[-1] > climb[0]


def mixture() -> None:
    """Two clusters far apart are found."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 2)) + 8.0 * (np.arange(200) % 2)[:, None]
    model = tr.fit(tr.mixture(rows, 2, "gaussian"), rows, progress=False).model
    found = tr.transform(model, rows)
    assert abs(np.corrcoef(found[:, 0], np.arange(200) % 2)[0, 1]) > 0.99


def hidden_markov() -> None:
    """The likelihood of a short sequence, against the sum over all paths."""
    x = np.array([0, 2, 1, 1, 0, 2, 2])[:, None]
    model = tr.fit(tr.hidden_markov([x], 2, "categorical", key=1), [x], epochs=3, progress=False).model
    truth = enumerate_paths(model.first, model.transition, model.log_likelihoods(x))
    assert truth and math.isclose(tr.log_likelihood(model, [x]).value, truth.log_p, rel_tol=1e-9)


def machine() -> None:
    """log Z of a machine, against the sum over all states; one that learns."""
    w = np.random.default_rng(0).normal(size=(4, 3))
    states = np.array(list(itertools.product([0, 1], repeat=4)))
    truth = np.logaddexp.reduce(np.logaddexp(0, states @ w).sum(axis=1))
    assert math.isclose(tr.log_partition(tr.restricted(couplings=w)).value, truth, rel_tol=1e-6)
    rows = np.tile(np.eye(4, dtype=np.uint8), (20, 1))
    run = tr.fit(tr.restricted(4, 3, key=0), rows, tr.PersistentCD(batch_size=20), epochs=20, progress=False, key=0)
    assert tr.log_likelihood(run.model, rows).value > tr.log_likelihood(tr.restricted(4, 3, key=0), rows).value


def command() -> None:
    """A query and a fit from the shell."""
    scripts = Path(sysconfig.get_path("scripts"))
    program = next(str(scripts / name) for name in ("tractable", "tractable.exe") if (scripts / name).exists())
    argv = ["query", str(ASIA), "--evidence", "asia=yes", "--json"]
    done = subprocess.run([program, *argv], stdout=subprocess.PIPE, text=True, check=True)
    assert math.isclose(json.loads(done.stdout)["log_evidence"]["value"], math.log(0.01), rel_tol=1e-9)
    with tempfile.TemporaryDirectory() as folder:
        tr.write_data(f"{folder}/x.csv", np.random.default_rng(0).normal(size=(50, 2)))
        argv = ["--components", "2", "--emissions", "gaussian", "-o", f"{folder}/m.safetensors"]
        subprocess.run([program, "fit", "mixture", f"{folder}/x.csv", *argv], stdout=subprocess.DEVNULL, check=True)
        assert tr.load(f"{folder}/m.safetensors").n_components == 2


def main() -> None:
    parts = [query, learned_network, mixture, hidden_markov, command]
    parts += [machine] if find_spec("jax") else []
    for part in parts:
        part()
    print(f"Python {sys.version.split()[0]}: {', '.join(part.__name__.replace('_', ' ') for part in parts)}")


if __name__ == "__main__":
    main()
