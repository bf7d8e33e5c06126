"""Networks, mixtures, chains, EM, their estimators and commands where jax is not there: the same numbers, bit for bit.

What needs jax, or another extra, says so in one line with the command that installs it.
"""

from __future__ import annotations

import ast
import contextlib
import io
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from test_circles import at_run_time, module_of, source_of, sources
from test_rooms import TRAINED

import tractable as tr
from tractable.extras import EXTRAS, is_there
from tractable.families import FAMILIES

FIXTURES = Path(__file__).parent / "fixtures" / "0.1.0"
JAX = tuple(package for package, extra in EXTRAS.items() if extra == "machines")

HIDE = """
    import sys
    class Hidden:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in {packages}:
                raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
    sys.meta_path.insert(0, Hidden())
"""


def without(packages: tuple[str, ...], code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A program in a process of its own, in which some packages cannot be found."""
    program = dedent(HIDE.format(packages=packages)) + dedent(code)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=folder)


def printed(code: str, folder: Path) -> str:
    """What a program prints without jax; that is not much to ask, so it also has to print the same with it."""
    hidden = without(JAX, code, folder)
    assert not hidden.returncode, hidden.stderr
    out = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out):
        exec(dedent(code), {})
    assert hidden.stdout == out.getvalue()
    return hidden.stdout


NETWORKS = f"""
    import numpy as np, tractable as tr
    net = tr.load({str(Path(tr.__file__).parent / "examples" / "asia.bif")!r})
    post = tr.infer(net, {{"asia": "yes", "dysp": "yes"}})
    print(tr.explain(net), repr(post), post.sample(3, key=5))
    print(tr.infer(net, {{"xray": ["yes", "no"]}}).marginals["lung"])
    print(tr.most_probable(net, {{"xray": "yes"}}).assignment)
    rows = tr.sample(net, 200, key=1)
    table = {{name: column for name, column in rows.items() if name != "either"}}
    table["smoke"][:20] = [None] * 20
    for learner in (tr.EM(n_init=2, start="random"), tr.IncrementalEM(n_blocks=3), tr.OnlineEM(batch_size=50)):
        run = tr.fit(net, table, learner, epochs=4, key=7, checkpoint="em.checkpoint", progress=True)
        again = tr.fit(net, table, learner, epochs=6, key=7, checkpoint="em.checkpoint", resume=True)
        print(run.history[-1].train, again.history[-1].train, again.model.tables["either"].tolist())
    tr.save(again.model, "net.safetensors")
    print(tr.load("net.safetensors").tables["dysp"].tolist(), tr.bic(net, table), tr.impute(net, table)["either"][:5])
    from tractable import evaluate
    print(evaluate.kl_divergence(net, again.model), tr.is_separated(net.graph, "asia", "smoke").reason)
"""

MIXTURES = """
    import numpy as np, tractable as tr
    from tractable import evaluate, plots
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 1, (60, 2)), rng.normal(4, 1, (60, 2))])
    rows[3, 1] = np.nan
    start = tr.mixture(rows, 2, "gaussian", key=3)
    learners = (tr.EM(n_init=3), tr.GeneralizedEM(posterior="hard"), tr.IncrementalEM(), tr.OnlineEM(batch_size=40))
    for learner in learners:
        run = tr.fit(start, rows, learner, epochs=5, key=2, validation=rows[::2], checkpoint="mixture.checkpoint")
        print(run.history[-1].train, run.history[-1].validation, run.model.free.means.tolist())
    model = run.model
    print(tr.log_likelihood(model, rows), tr.aic(model, rows), tr.sample(model, 3, key=4))
    print(tr.transform(model, rows)[:3], tr.impute(model, rows)[3])
    print(tr.infer(model, rows[:2]).log_partition, tr.plan(model).method)
    print(plots.em_curves(run.history).axes[0].get_ylabel(), evaluate.diagnose(rng.normal(size=(4, 50, 2))).verdict)
    print(tr.log_likelihood(tr.mixture(rows > 1, 2, "bernoulli"), rows > 1))
    print(repr(tr.emissions_for("poisson", [[1], [2]], 1)))
"""

CHAINS = """
    import numpy as np, tractable as tr
    rng = np.random.default_rng(1)
    seqs = [np.repeat([0.0, 5.0, 0.0], n)[:, None] + rng.normal(size=(3 * n, 1)) for n in (5, 7, 9)]
    run = tr.fit(tr.hidden_markov(seqs, 2, "diagonal", key=1), seqs, tr.EM(n_init=2), epochs=6, key=1, checkpoint="c")
    hmm = run.model
    print(run.history[-1].train, tr.most_probable(hmm, seqs[0]), tr.sample(hmm, 4, key=3).ravel().tolist())
    print(tr.filtering(hmm, seqs[0], lag=1)[0], tr.forecast(hmm, seqs[0], 2).means.ravel())
    print(tr.log_likelihood(hmm, seqs), tr.OnlineFilter(hmm).update([0.1]).update([4.0]).belief)
    print(tr.left_right(seqs, 2, "diagonal").transition)
    start = tr.factorial_hidden_markov(seqs, [2, 2], key=2)
    for learner in (tr.EM(), tr.GeneralizedEM(posterior="structured"), tr.GeneralizedEM(posterior="mean_field")):
        run = tr.fit(start, seqs, learner, epochs=4)
        print(run.history[-1].train, run.history[-1].elbo, run.history[-1].kl, run.model.emissions.offset)
    print(tr.infer(run.model, seqs[0]).log_partition)
    print(tr.most_probable(run.model, seqs[0]), tr.sample(run.model, 2, key=1))
    tr.save(run.model, "factorial.safetensors")
    print(tr.load("factorial.safetensors"), tr.log_likelihood(tr.load("factorial.safetensors"), seqs))
"""

ESTIMATORS = """
    import numpy as np
    from tractable import estimators
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 1, (60, 2)), rng.normal(4, 1, (60, 2))])
    for one in (estimators.GaussianMixture(2, random_state=0), estimators.BernoulliMixture(2, random_state=0)):
        one.fit(rows if "Gaussian" in repr(one) else rows > 1)
        print(one.score(rows > 1), one.predict((rows > 1)[:3]), one.sample(2), one.bic(rows > 1))
    mixed = estimators.MixedMixture(2, kinds={"gaussian": [0], "diagonal": [1]}, random_state=1).fit(rows)
    chain = estimators.HiddenMarkovModel(2, random_state=0).fit(rows, lengths=[50, 70])
    tree = estimators.BayesianNetworkClassifier("tree").fit(rows > 2, rows[:, 0] + rows[:, 1] > 4)
    print(mixed.score(rows), chain.predict(rows[:6]), chain.score(rows), tree.predict_proba((rows > 2)[:4]))
"""


@pytest.mark.parametrize("road", ["NETWORKS", "MIXTURES", "CHAINS", "ESTIMATORS"])
def test_all_of_it_runs_and_gives_the_same_numbers(road: str, tmp_path: Path) -> None:
    printed(globals()[road], tmp_path)


COMMANDS = """
    import json, sys, numpy as np
    from tractable.cli import main
    rng = np.random.default_rng(0)
    np.savetxt("rows.csv", np.concatenate([rng.normal(0, 1, (30, 2)), rng.normal(4, 1, (30, 2))]).round(4), "%g", ",")
    np.savetxt("gaps.csv", np.array([[0.5, np.nan], [np.nan, 4.5]]), "%g", ",")
    open("days.csv", "w").write("asia,smoke,dysp\\n" + "no,yes,yes\\nno,no,no\\nyes,,no\\n" * 5)
    asia = {asia!r}
    for line in {lines!r}:
        sys.argv = ["tractable", *line.replace("ASIA", asia).split()]
        try:
            main()
        except SystemExit as end:
            assert not end.code, (line, end.code)
""".format(
    asia=str(Path(tr.__file__).parent / "examples" / "asia.bif"),
    lines=[
        "explain ASIA",
        "query ASIA --evidence asia=yes,dysp=yes --map",
        "query ASIA --evidence-file days.csv --target lung --json",
        "separated ASIA asia smoke",
        "convert ASIA asia.safetensors",
        "fit network ASIA days.csv -o net.safetensors --n-init 2 --epochs 5 --plot curve.png",
        "score net.safetensors days.csv",
        "sample net.safetensors -n 5 -o drawn.csv",
        "impute net.safetensors days.csv -o whole.csv",
        "fit mixture rows.csv -o mixture.safetensors --components 2 --emissions gaussian --epochs 5",
        "explain mixture.safetensors",
        "score mixture.safetensors rows.csv --json",
        "sample mixture.safetensors -n 5 -o drawn.npy",
        "impute mixture.safetensors gaps.csv -o whole.npy",
        "transform mixture.safetensors rows.csv -o means.npy",
        "fit hmm rows.csv -o chain.safetensors --states 2 --epochs 5",
        "decode chain.safetensors rows.csv -o states.npy",
        "decode chain.safetensors rows.csv --posterior",
        "score chain.safetensors rows.csv",
        "explain chain.safetensors --observed 60",
        "--help",
        "fit rbm --help",
    ],
)


def test_the_commands_run(tmp_path: Path) -> None:
    done = without(JAX, COMMANDS, tmp_path)
    assert not done.returncode, done.stderr
    assert all((tmp_path / name).stat().st_size for name in ("curve.png", "drawn.csv", "drawn.npy", "means.npy"))
    states = np.load(tmp_path / "states.npy").ravel()
    assert np.bincount(states[:30]).max() > 25 and states[:30].mean().round() != states[30:].mean().round()
    assert not np.isnan(np.load(tmp_path / "whole.npy")).any()


def test_what_can_be_had_is_listed_and_the_rest_says_what_it_needs(tmp_path: Path) -> None:
    code = """
        import rlcompleter, tractable as tr
        from tractable import estimators, evaluate, learning, models
        listed = dir(tr)
        for room in (tr, models, learning, evaluate, estimators):
            for name in room.__all__:
                try:
                    getattr(room, name)
                    assert room is not tr or name in listed, name
                except ModuleNotFoundError as error:
                    assert name not in listed or room is not tr, name
                    units = name in ("Bernoulli", "Categorical", "Gaussian", "Mixed", "Spin", "units", "units_for")
                    needing = "tractable.models.units" if units else name
                    assert str(error) == f'{needing} needs jax: pip install "tractable[machines]"', error
                    print(name)
        found = rlcompleter.Completer({"tr": tr}).attr_matches("tr.i")
        assert {"tr.impute", "tr.infer", "tr.is_separated"} <= {name.split("(")[0] for name in found}, found
    """
    done = without(JAX, code, tmp_path)
    assert not done.returncode, done.stderr
    needing = {*done.stdout.split()}
    assert needing > {"restricted", "PersistentCD", "GradientMStep", "RestrictedBoltzmannMachine", "traces"}
    assert needing.isdisjoint(
        {"EM", "fit", "load", "log_likelihood", "diagnose", "GaussianMixture", "HiddenMarkovModel"}
    )


MACHINES = 'needs jax: pip install "tractable[machines]"'


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        (JAX, "tr.restricted(2, 3)", f"restricted {MACHINES}"),
        (JAX, "from tractable import deep", f"deep {MACHINES}"),
        (JAX, "from tractable.models.units import Units", f"tractable.models.units {MACHINES}"),
        (JAX, "tr.load(RBM)", f"RBM: a boltzmann model {MACHINES}"),
        (JAX, "from tractable.estimators import SigmoidBeliefNetwork", f"SigmoidBeliefNetwork {MACHINES}"),
        (("optax",), "tr.GradientMStep()", 'GradientMStep needs optax: pip install "tractable[machines]"'),
        (("sklearn",), "from tractable.estimators import GaussianMixture", "GaussianMixture needs scikit-learn"),
        (
            ("matplotlib",),
            "plots.filters([[1.0]], (1, 1))",
            'a figure needs matplotlib: pip install "tractable[plots]"',
        ),
        (
            ("pyarrow", "polars"),
            "open('x.parquet', 'wb').write(b'PAR1'); tr.read_data('x.parquet')",
            'x.parquet needs pyarrow: pip install "tractable[parquet]"',
        ),
    ],
)
def test_a_missing_extra_is_one_line(packages: tuple[str, ...], code: str, said: str, tmp_path: Path) -> None:
    path = str(FIXTURES / "restricted_spin.safetensors")
    code = f"RBM = {path!r}\nimport tractable as tr\nfrom tractable import plots\n{code}"
    done = without(packages, code, tmp_path)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode and last.startswith(f"ModuleNotFoundError: {said.replace('RBM', path)}")
    assert 'pip install "tractable[' in last and "During handling" not in done.stderr


@pytest.mark.parametrize(
    ("packages", "line", "said"),
    [
        (JAX, "fit rbm rows.csv --hidden 2 -o m.safetensors", f"this command {MACHINES}"),
        (JAX, "fit sbn rows.csv --hidden 2 -o m.safetensors", MACHINES),
        (JAX, "sample RBM -o rows.npy", f"RBM: a boltzmann model {MACHINES}"),
        (JAX, "explain DBN", f"DBN: a deep_belief model {MACHINES}"),
        (JAX, "diagnose RBM", MACHINES),
        (
            ("matplotlib",),
            "fit mixture rows.csv -o m.safetensors --components 1 --plot c.png",
            "a figure needs matplotlib",
        ),
        (("pyarrow", "polars"), "fit mixture x.parquet -o m.safetensors --components 1", "x.parquet needs pyarrow"),
    ],
)
def test_a_command_says_it_in_one_line(packages: tuple[str, ...], line: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("0,1\n1,0\n")
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    names = {"RBM": FIXTURES / "restricted_spin.safetensors", "DBN": FIXTURES / "deep_belief.safetensors"}
    for name, path in names.items():
        line, said = line.replace(name, str(path)), said.replace(name, str(path))
    code = f"sys.argv = ['tractable', *{line.split()!r}]\nfrom tractable.cli import main\nmain()"
    done = without(packages, code, tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("tractable: ") and done.stderr.count("\n") == 1
    assert said in done.stderr and 'pip install "tractable[' in done.stderr


def test_a_verb_that_a_network_lacks_is_refused_as_ever(tmp_path: Path) -> None:
    code = f"import tractable as tr\ntr.reconstruct(tr.load({str(FIXTURES / 'bayesian.safetensors')!r}), None)"
    last = without(JAX, code, tmp_path).stderr.strip().splitlines()[-1]
    assert "a BayesianNetwork has no reconstruct: models of the families mixture, " in last
    assert last.endswith("have one; use impute(model, data)")


def test_every_file_of_these_families_is_read(tmp_path: Path) -> None:
    kinds = ("bayesian", "chain", "factorial", "markov", "mixture")
    paths = [str(path) for path in sorted(FIXTURES.glob("*.safetensors")) if path.name.startswith(kinds)]
    done = without(JAX, f"import tractable as tr\nprint(len([tr.load(path) for path in {paths}]))", tmp_path)
    assert len(paths) > 10 and done.stdout.strip() == str(len(paths)), done.stderr


# ---------------------------------------------------------------- what is imported when a module is


LIGHT = ("tables", "mixture", "hidden_markov", "factorial_hidden_markov")
"""The families that need no jax."""


@cache
def imported_at_once(name: str) -> frozenset[str]:
    """What a module imports while it is itself imported: all full names, of ours those of the modules."""
    package, code = sources()[name]
    found = set()
    for node in _at_import(code):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{source_of(node, package)}.{alias.name}" for alias in node.names}
    ours = {module_of(full) for full in found if full.partition(".")[0] == "tractable"}
    above = {name.rpartition(".")[0]} & {*sources()}
    return frozenset({full for full in found if full.partition(".")[0] != "tractable"} | (ours - {"", name}) | above)


def _at_import(node: ast.AST) -> Iterator[ast.AST]:
    late = {id(part) for f in ast.walk(node) if isinstance(f, ast.FunctionDef | ast.Lambda) for part in ast.walk(f)}
    return (part for part in at_run_time(node) if id(part) not in late)


def reached(name: str) -> set[str]:
    """All that is imported where a module is."""
    found, todo = set(), [name]
    while todo:
        if (one := todo.pop()) not in found:
            found.add(one)
            todo += imported_at_once(one) if one in sources() else ()
    return found


def roads() -> list[str]:
    """The modules that serve these families, and all that stand beside families, but for what is known to need jax."""
    served = set()
    for family in LIGHT:
        row = FAMILIES[family]._asdict()
        rooms = {column: "learning" if column in ("learner", "starts") else column for column in row}
        served |= {f"tractable.{rooms[column]}.{leaf.partition(':')[0]}" for column, leaf in row.items() if leaf}
    aside = tuple(f"tractable.cli.{name}" for name in ("_fitting", "_traces", "_unit_blocks", "_unit_queries"))
    beside = ("tractable.cli", "tractable.plots", "tractable.formats.data", "tractable.learning.em.generalized")
    served |= {name for name in sources() if name.startswith(beside) and name not in aside}
    return sorted(served | {f"tractable.estimators.{name}" for name in ("mixtures", "hidden_markov", "networks")})


@pytest.mark.parametrize("name", roads())
def test_no_module_on_these_roads_imports_jax(name: str) -> None:
    found = {full for full in reached(name) if full.partition(".")[0] in JAX}
    assert not found, {module: imported_at_once(module) & found for module in reached(name) & {*sources()}}


def test_an_import_on_the_way_is_seen() -> None:
    assert "jax" in reached("tractable.models.units.spin") and "jax" in reached("tractable.models.as_tables")
    assert {"numpy"} < reached("tractable.learning.em.exact") and len(roads()) > 40


def test_the_list_of_who_may_import_jax_is_of_those_who_do() -> None:
    direct = {n for n, (_, code) in sources().items() if {*JAX} & {f.partition(".")[0] for f in _names_in(code)}}
    shown = {name.removeprefix("tractable.").replace(".", "/") for name in direct}
    assert not [place for place in TRAINED if not any(name.startswith(place) for name in shown)]


def _names_in(code: ast.AST) -> Iterator[str]:
    for node in ast.walk(code):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_extras_are_known_by_their_packages() -> None:
    assert is_there("numpy") and is_there("jax") and not is_there("no_such_package")
