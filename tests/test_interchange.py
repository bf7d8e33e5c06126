"""Networks of pgmpy, pyAgrum and networkx, in and out: the same numbers, the same names, the same marginals."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import networkx as nx
import numpy as np
import pytest
from models_at_random import same
from sweep import seeds

import tractable as tr

AWKWARD = ["yes", "a state", "1", "1.5", "", "x|y", "ä", "True", "{z}", 'say "no"', "a,b", "[0;1[", "NA"]
NAMES = ["smoke", "a name", "2", "ü", "x->y", "A", "a.b", "p(x)", "x,y", "c'", "for", "e-5"]


def random_network(seed: int) -> tr.BayesianNetwork:
    """A few variables of one to four states, with awkward names; parents in any order."""
    rng = np.random.default_rng(seed)
    names = [str(v) for v in rng.permutation(NAMES)[: rng.integers(1, 8)]]
    states = {v: [str(s) for s in rng.permutation(AWKWARD)[: rng.integers(1, 5)]] for v in names}
    order = [str(v) for v in rng.permutation(names)]
    parents = {v: [str(p) for p in rng.permutation(order[:i])[: rng.integers(0, 4)]] for i, v in enumerate(order)}
    tables = {v: rng.dirichlet(np.ones(len(states[v])), [len(states[p]) for p in parents[v]]) for v in names}
    return tr.BayesianNetwork(states, parents, tables, name="a network")


def random_field(seed: int) -> tr.MarkovNetwork:
    """Factors over up to three variables; some scopes twice, in another order, some empty, some variables in none."""
    rng = np.random.default_rng(seed)
    names = [str(v) for v in rng.permutation(NAMES)[: rng.integers(1, 7)]]
    states = {v: [str(s) for s in rng.permutation(AWKWARD)[: rng.integers(1, 4)]] for v in names}
    scopes = [[str(v) for v in rng.permutation(names)[: rng.integers(0, 4)]] for _ in range(rng.integers(0, 6))]
    scopes += [scope[::-1] for scope in scopes[:2]]
    return tr.MarkovNetwork(states, [(s, rng.gamma(1.0, size=[len(states[v]) for v in s])) for s in scopes])


Marginals = Mapping[str, Mapping[str, float]]


def pgmpy_marginals(peer: Any) -> Marginals:
    engine = pytest.importorskip("pgmpy.inference").VariableElimination(peer)
    found = {v: engine.query([v], show_progress=False) for v in peer.nodes}
    return {str(v): dict(zip(map(str, f.state_names[v]), f.values.tolist(), strict=True)) for v, f in found.items()}


def pyagrum_marginals(peer: Any) -> Marginals:
    gum = pytest.importorskip("pyagrum")
    engine = (gum.LazyPropagation if isinstance(peer, gum.BayesNet) else gum.ShaferShenoyMRFInference)(peer)
    engine.makeInference()
    found = {peer.variable(n): engine.posterior(n).toarray().ravel().tolist() for n in peer.nodes()}
    return {v.name(): dict(zip(v.labels(), p, strict=True)) for v, p in found.items()}


def agree(ours: Any, theirs: Marginals) -> None:
    found = tr.infer(ours).marginals
    assert set(ours.states) == set(theirs)
    for v, states in ours.states.items():
        assert set(states) == set(theirs[v])
        for s in states:
            assert abs(found[v][s] - theirs[v][s]) < 1e-9


@pytest.fixture
def pgmpy() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield pytest.importorskip("pgmpy.models")


@pytest.fixture
def gum() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield pytest.importorskip("pyagrum")


@pytest.mark.verify
@pytest.mark.parametrize("seed", seeds(40))
def test_networks_go_to_pgmpy_and_come_back(seed: int, pgmpy: Any) -> None:
    net = random_network(seed)
    peer = tr.to_pgmpy(net)
    assert peer.check_model()
    agree(net, pgmpy_marginals(peer))
    back = tr.from_pgmpy(peer)
    assert same(back.replace(name=net.name), net)


@pytest.mark.verify
@pytest.mark.parametrize("seed", seeds(40))
def test_fields_go_to_pgmpy_and_come_back(seed: int, pgmpy: Any) -> None:
    field = random_field(seed)
    peer = tr.to_pgmpy(field)
    assert peer.check_model()
    assert peer.get_partition_function() == pytest.approx(np.exp(tr.log_partition(field).value), rel=1e-9)
    back = tr.from_pgmpy(peer)
    assert tr.log_partition(back).value == pytest.approx(tr.log_partition(field).value, abs=1e-9)
    agree(field, {v: dict(m) for v, m in tr.infer(back).marginals.items()})


@pytest.mark.verify
@pytest.mark.parametrize("seed", seeds(40))
def test_networks_go_to_pyagrum_and_come_back(seed: int, gum: Any) -> None:
    net = random_network(seed)
    peer = tr.to_pyagrum(net)
    agree(net, pyagrum_marginals(peer))
    assert same(tr.from_pyagrum(peer), net)


@pytest.mark.verify
@pytest.mark.parametrize("seed", seeds(40))
def test_fields_go_to_pyagrum_and_come_back(seed: int, gum: Any) -> None:
    field = random_field(seed)
    peer = tr.to_pyagrum(field)
    agree(field, pyagrum_marginals(peer))
    back = tr.from_pyagrum(peer)
    assert tr.log_partition(back).value == pytest.approx(tr.log_partition(field).value, abs=1e-9)


@pytest.mark.verify
@pytest.mark.parametrize("seed", seeds(40))
def test_networks_and_fields_go_to_networkx_and_come_back(seed: int) -> None:
    for net in (random_network(seed), random_field(seed)):
        peer = pickle.loads(pickle.dumps(tr.to_networkx(net)))
        assert same(tr.from_networkx(peer), net)


# ---------------------------------------------------------------- as other libraries have them


def cpd(variables: list[Any], values: Any, **more: Any) -> Any:
    """What a TabularCPD of pgmpy holds: the child's axis first."""
    return SimpleNamespace(variables=variables, values=np.asarray(values, float), **more)


def peer(*cpds: Any, nodes: list[Any] | None = None) -> Any:
    """What a network of pgmpy of any version has."""
    found = {c.variables[0]: c for c in cpds}
    return SimpleNamespace(nodes=nodes or list(found), get_cpds=found.get)


def test_pgmpy_numbers_states_and_orders_them_as_each_table_likes() -> None:
    a = cpd(["a"], [0.2, 0.3, 0.5], state_names={"a": [0, 1, 2]})
    b = cpd([7], [0.25, 0.75], state_names={7: ["x y", True]})
    names = {"c": [0.5, "z"], "a": [2, 0, 1], 7: [True, "x y"]}
    c = cpd(["c", "a", 7], np.arange(12).reshape(2, 3, 2) / [[[11]]], state_names=names)
    c.values[1] = 1 - c.values[0]
    net = tr.from_pgmpy(peer(a, c, b))
    assert net.states == {"a": ("0", "1", "2"), "c": ("0.5", "z"), "7": ("x y", "True")}
    assert net.parents["c"] == ("a", "7")
    assert net.tables["c"][2, 1].tolist() == c.values[:, 0, 0].tolist()  # a = 2, 7 = True
    assert net.tables["c"][0, 0].tolist() == c.values[:, 1, 1].tolist()  # a = 0, 7 = x y
    assert tr.infer(net, {"a": 2, "7": True}).marginals["c"]["z"] == pytest.approx(c.values[1, 0, 0])


def test_states_without_names_are_numbered() -> None:
    assert tr.from_pgmpy(peer(cpd(["a"], [0.2, 0.8]))).states == {"a": ("0", "1")}


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (peer(nodes=["a"]), "variable 'a' has no CPD"),
        (peer(SimpleNamespace(variables=["a"], std=1.0)), "has a SimpleNamespace: only tables"),
        (peer(cpd(["a"], [0.5, 0.4])), "sums to 0.9, not to 1; normalize=True"),
        (peer(cpd([1], [1.0]), cpd(["1"], [1.0])), "two variables have the name '1' as text"),
        (peer(cpd(["a"], [0.5, 0.5], state_names={"a": [1, "1"]})), "the state '1' twice"),
        (
            peer(cpd(["a"], [1.0], state_names={"a": ["x"]}), cpd(["b", "a"], [[1.0]], state_names={"a": ["y"]})),
            "the table of 'b': 'a' has the states y here, but x in its own table",
        ),
        (type("DynamicBayesianNetwork", (), {})(), "unroll it"),
    ],
)
def test_what_pgmpy_holds_and_no_network_is_said_in_a_line(made: Any, words: str) -> None:
    with pytest.raises(tr.ModelError) as error:
        tr.from_pgmpy(made)
    assert words in str(error.value)


def test_rows_that_pgmpy_lets_be_off_are_normalized_where_asked() -> None:
    assert tr.from_pgmpy(peer(cpd(["a"], [0.5, 0.49])), normalize=True).tables["a"].sum() == 1


def test_variables_of_pyagrum_of_every_type(gum: Any) -> None:
    net = gum.BayesNet("types")
    for variable in (
        gum.RangeVariable("range", "", 3, 5),
        gum.IntegerVariable("integer", "", [1, 5, 9]),
        gum.DiscretizedVariable("cut", "", [1, 2, 3.5]),
        gum.NumericalDiscreteVariable("number", "", [1.5, 2]),
    ):
        net.add(variable)
    net.addArc("range", "cut")
    net.addArc("integer", "cut")
    net.generateCPTs()
    ours = tr.from_pyagrum(net)
    assert ours.name == "types" and ours.states["range"] == ("3", "4", "5") and ours.states["number"] == ("1.5", "2")
    agree(ours, pyagrum_marginals(net))
    with pytest.raises(
        TypeError, match="expected a BayesNet or a MarkovRandomField of pyAgrum, got a pyagrum Influence"
    ):
        tr.from_pyagrum(gum.InfluenceDiagram())
    for states in ({"": ["x"]}, {"a": ["x\0y", "z"]}):
        with pytest.raises(tr.ModelError, match="pyAgrum"):
            tr.to_pyagrum(tr.MarkovNetwork(states, []))


def test_files_of_pyagrum_have_the_parents_in_the_opposite_order(gum: Any, tmp_path: Path) -> None:
    net = tr.bayesian_network(None, "a[2], b[2], c[2] -> d[3]")
    gum.saveBN(tr.to_pyagrum(net), str(tmp_path / "theirs.uai"))
    theirs = tr.load(tmp_path / "theirs.uai")
    np.testing.assert_allclose(theirs.tables["3"].transpose(2, 1, 0, 3), net.tables["d"], atol=1e-6)
    assert np.abs(theirs.tables["3"] - net.tables["d"]).max() > 0.1
    gum.saveBN(tr.to_pyagrum(net), str(tmp_path / "theirs.bif"))
    np.testing.assert_allclose(tr.load(tmp_path / "theirs.bif").tables["d"], net.tables["d"], atol=1e-6)


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (nx.DiGraph([("a", "b")]), None),
        (nx.Graph([("a", "b")]), "its edges have no direction"),
        ("half", "1 of its 2 nodes have none"),
        ("parents", "node 'b' says that its parents are ('c',), its arcs come from ('a',)"),
        ("names", "node 'a': give it its states beside a table that has names"),
    ],
)
def test_nodes_of_networkx_hold_tables(graph: Any, words: str | None) -> None:
    made = graph if not isinstance(graph, str) else nx.DiGraph([("a", "b")])
    made.nodes["a"]["table"] = [0.25, 0.75] if graph != "names" else {"x": 0.25, "y": 0.75}
    if graph != "half":
        made.nodes["b"]["table"] = [[0.5, 0.5], [0.2, 0.8]]
    if graph == "parents":
        made.nodes["b"]["parents"] = ("c",)
    if words is None:
        assert tr.infer(tr.from_networkx(made)).marginals["b"]["1"] == pytest.approx(0.25 * 0.5 + 0.75 * 0.8)
        return
    with pytest.raises(tr.ModelError) as error:
        tr.from_networkx(made)
    assert words in str(error.value)


def test_a_graph_alone_is_a_graph() -> None:
    assert isinstance(tr.from_networkx(nx.DiGraph([(1, 2)])), tr.Graph)
    graph = tr.Graph({"a": 2, "b": 3}, "a->b")
    assert tr.from_networkx(tr.to_networkx(graph)) == graph
    assert tr.from_networkx(tr.to_networkx(tr.Mixture([1.0], tr.BernoulliEmissions([[0.5]])))).variables


# ---------------------------------------------------------------- handed to a verb

VERBS: dict[str, Callable[[Any], Any]] = {
    "infer": lambda m: tr.infer(m, {}),
    "plan": tr.plan,
    "explain": tr.explain,
    "condition": lambda m: tr.condition(m, {}),
    "log_evidence": lambda m: tr.log_evidence(m, {}),
    "log_partition": tr.log_partition,
    "most_probable": lambda m: tr.most_probable(m, {}),
    "sample": lambda m: tr.sample(m, 2),
    "impute": lambda m: tr.impute(m, {"a": ["x"]}),
    "transform": lambda m: tr.transform(m, {"a": ["x"]}),
    "filtering": lambda m: tr.filtering(m, [[0]]),
    "forecast": lambda m: tr.forecast(m, [[0]]),
    "fit": lambda m: tr.fit(m, {"a": ["x"]}),
    "fit by EM": lambda m: tr.fit(m, {"a": ["x"]}, tr.EM()),
    "log_likelihood": lambda m: tr.log_likelihood(m, {"a": ["x"]}),
    "aic": lambda m: tr.aic(m, {"a": ["x"]}),
    "bic": lambda m: tr.bic(m, {"a": ["x"]}),
    "to_pgmpy": tr.to_pgmpy,
    "to_pyagrum": tr.to_pyagrum,
    "to_networkx": tr.to_networkx,
}


def of_package(module: str, name: str, base: type = object) -> Any:
    return type(name, (base,), {"__module__": module})()


FOREIGN = {
    "a pgmpy DiscreteBayesianNetwork: convert it with tr.from_pgmpy(model)": of_package(
        "pgmpy.models.DiscreteBayesianNetwork", "DiscreteBayesianNetwork", nx.DiGraph
    ),
    "a pyagrum BayesNet: convert it with tr.from_pyagrum(model)": of_package("pyAgrum.pyAgrum", "BayesNet"),
    "a networkx DiGraph: tr.from_networkx(graph) has its structure": nx.DiGraph([("a", "b")]),
    "a hmmlearn GaussianHMM: build tr.HiddenMarkovModel(model.startprob_, ": of_package("hmmlearn.hmm", "GaussianHMM"),
    "a sklearn GaussianMixture: build tr.Mixture(model.weights_, ": of_package("sklearn.mixture._x", "GaussianMixture"),
    "a sklearn BernoulliRBM: build tr.restricted(couplings=": of_package("sklearn.neural_network", "BernoulliRBM"),
    "a pomegranate DenseHMM: build ": of_package("pomegranate.hmm", "DenseHMM"),
    "a EMRun: its model is its attribute 'model'": tr.fit(
        tr.bayesian_network({"a": ["x", "y"]}, "a"), {"a": ["x", "y"]}, tr.EM()
    ),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("words", FOREIGN)
def test_a_verb_says_which_call_converts_what_it_got(words: str, verb: str) -> None:
    with pytest.raises(TypeError) as error:
        VERBS[verb](FOREIGN[words])
    assert f"expected a model, got {words}" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("call", [tr.from_pgmpy, tr.from_pyagrum, tr.from_networkx])
def test_a_model_of_the_wrong_library_is_told_its_call(call: Callable[[Any], Any]) -> None:
    for words, model in FOREIGN.items():
        if call.__name__ not in words and "networkx" not in words and "pgmpy" not in words:
            with pytest.raises(TypeError) as error:
                call(model)
            assert words in str(error.value)


def test_parameters_of_peers_make_the_models_that_the_messages_name() -> None:
    mixture = pytest.importorskip("sklearn.mixture")
    x = np.random.default_rng(0).normal(size=(60, 2))
    theirs = mixture.GaussianMixture(2, random_state=0).fit(x)
    ours = tr.Mixture(theirs.weights_, tr.GaussianEmissions(theirs.means_, theirs.covariances_))
    assert tr.log_likelihood(ours, x).value == pytest.approx(theirs.score(x), abs=1e-9)
    hmm = pytest.importorskip("hmmlearn.hmm")
    chain = hmm.GaussianHMM(2, random_state=0).fit(x)
    model = tr.HiddenMarkovModel(chain.startprob_, chain.transmat_, tr.GaussianEmissions(chain.means_, chain.covars_))
    assert tr.log_evidence(model, x).value == pytest.approx(chain.score(x), abs=1e-8)


@pytest.mark.parametrize(("call", "package"), [(tr.to_pgmpy, "pgmpy"), (tr.to_pyagrum, "pyagrum")])
def test_a_library_that_is_not_there_is_asked_for(
    call: Callable[[Any], Any], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tractable.models.interchange import _base

    def absent(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])

    monkeypatch.setattr(_base.importlib, "import_module", absent)
    with pytest.raises(ModuleNotFoundError, match=f"{call.__name__} needs {package}: pip install {package}"):
        call(tr.MarkovNetwork({"a": 2}, []))
