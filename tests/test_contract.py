"""One contract: every verb with every family answers, or says which models have it and what to use instead."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tractable as tr
from tractable import evaluate
from tractable.families import FAMILIES
from tractable.models.emissions import Statistics
from tractable.plan import Ask, Plan
from tractable.posterior.certificate import Certificate
from tractable.posterior.engines._protocol import Solved
from tractable.posterior.expected import Expected

BITS = np.array([[0, 1, 1, 0], [1, 0, 0, 1], [1, 1, 0, 0]] * 4)
REALS = BITS[:, :1] + 0.1 * np.arange(12)[:, None]
TABLE = {"a": ["0", "1"] * 6, "b": ["1", "0", "0"] * 4}


@dataclass(frozen=True)
class Given:
    """A model of a family, one case of evidence about it, and data."""

    model: Any
    case: Any
    data: Any
    hidden: str


def network() -> tr.BayesianNetwork:
    tables = {"a": [0.4, 0.6], "b": [[0.3, 0.7], [0.9, 0.1]]}
    return tr.BayesianNetwork({"a": "01", "b": "01"}, {"b": ["a"]}, tables)


def sparse() -> tr.SigmoidBeliefNetwork:
    return tr.SigmoidBeliefNetwork(weights=[[[1.0, 0.0], [0.0, -1.0]]], biases=[[0.1, 0.2], [0.3, -0.4]])


SWITCH = [[0.9, 0.1], [0.1, 0.9]]
COIN = tr.BernoulliEmissions([[0.9], [0.2]])
GIVEN = {
    "tables": Given(network(), {"a": "1"}, TABLE, "b"),
    "boltzmann": Given(tr.restricted(4, 2, key=0), [1, 0, 1, 0], BITS, "hidden"),
    "sigmoid_belief": Given(sparse(), [1, 0], BITS[:, :2], "hidden1"),
    "deep_belief": Given(tr.DeepBeliefNetwork([4, 3, 2]), [1, 0, 1, 0], BITS, "hidden1"),
    "helmholtz": Given(tr.HelmholtzMachine(tr.SigmoidBeliefNetwork([4, 3])), [1, 0, 1, 0], BITS, "hidden1"),
    "mixture": Given(tr.Mixture([0.4, 0.6], COIN), [1], BITS[:, :1], "component"),
    "hidden_markov": Given(
        tr.HiddenMarkovModel([0.5, 0.5], np.eye(2) * 0.8 + 0.1, COIN), [1, 1, 0], BITS[:, :1], "state"
    ),
    "factorial_hidden_markov": Given(tr.factorial_hidden_markov(REALS, [2, 2]), REALS[:5], REALS, "chain0"),
}
VERBS: dict[str, Callable[[Given], Any]] = {
    "plan": lambda g: tr.plan(g.model),
    "explain": lambda g: tr.explain(g.model),
    "condition": lambda g: tr.condition(g.model, g.case),
    "infer": lambda g: tr.infer(g.model, g.case).marginals[g.hidden],
    "log_evidence": lambda g: tr.log_evidence(g.model, g.case),
    "log_partition": lambda g: tr.log_partition(g.model, g.case),
    "most_probable": lambda g: tr.most_probable(g.model, g.case),
    "sample": lambda g: tr.sample(g.model, 3),
    "posterior.sample": lambda g: tr.infer(g.model, g.case).sample(3),
    "joint": lambda g: tr.infer(g.model, g.case).joint([g.hidden]),
    "targets": lambda g: tr.infer(g.model, g.case, targets=[g.hidden]).marginals[g.hidden],
    "impute": lambda g: tr.impute(g.model, g.data),
    "transform": lambda g: tr.transform(g.model, g.data),
    "reconstruct": lambda g: tr.reconstruct(g.model, g.data),
    "filtering": lambda g: tr.filtering(g.model, g.case),
    "forecast": lambda g: tr.forecast(g.model, g.case),
    "log_likelihood": lambda g: tr.log_likelihood(g.model, g.data),
    "bic": lambda g: tr.bic(g.model, g.data),
    "free_energy": lambda g: tr.free_energy(g.model, g.data),
    "pseudo_log_likelihood": lambda g: tr.pseudo_log_likelihood(g.model, g.data),
    "traces": lambda g: evaluate.traces(g.model, n_sweeps=8),
    "kl_divergence": lambda g: evaluate.kl_divergence(g.model, g.model),
    "fit": lambda g: tr.fit(g.model, g.data, epochs=1, progress=False),
}
SEQUENCES = {"hidden_markov", "factorial_hidden_markov"}
LACKING = {
    "joint": set(FAMILIES) - {"tables", "mixture"},
    "targets": set(FAMILIES) - {"tables"},
    "transform": {"tables"},
    "reconstruct": {"tables"},
    "filtering": set(FAMILIES) - SEQUENCES,
    "forecast": set(FAMILIES) - SEQUENCES,
    "free_energy": set(FAMILIES) - {"boltzmann"},
    "pseudo_log_likelihood": set(FAMILIES) - {"boltzmann"},
    "traces": set(FAMILIES) - {"boltzmann"},
    "kl_divergence": set(FAMILIES) - {"tables"},
}
"""verb -> families that have none; each of these cells says who has it and what to use instead."""


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("verb", VERBS)
def test_every_cell_answers_or_says_who_would(verb: str, family: str) -> None:
    given = GIVEN[family]
    assert given.model.family == family
    if family in LACKING.get(verb, ()):
        with pytest.raises(tr.UnsupportedError, match=f"has no {verb}: .* have one; use ") as caught:
            VERBS[verb](given)
        assert "\n" not in str(caught.value)
    else:
        assert VERBS[verb](given) is not None


@pytest.mark.parametrize("family", FAMILIES)
def test_only_networks_are_planned_for_targets(family: str) -> None:
    given = GIVEN[family]
    if family == "tables":
        assert tr.plan(given.model, targets=[given.hidden]).targets == (given.hidden,)
    else:
        with pytest.raises(tr.ModelError, match="has no targets: networks have them"):
            tr.plan(given.model, targets=[given.hidden])


@pytest.mark.parametrize("family", FAMILIES)
def test_posteriors_and_plans_pickle(family: str) -> None:
    given = GIVEN[family]
    post = tr.infer(given.model, given.case)
    again = pickle.loads(pickle.dumps(post))
    np.testing.assert_equal(again.log_partition.value, post.log_partition.value)
    np.testing.assert_equal(again.marginals[given.hidden], post.marginals[given.hidden])
    for name, drawn in post.sample(5, key=3).items():
        np.testing.assert_equal(again.sample(5, key=3)[name], drawn)
    assert again.plan.to_json() == post.plan.to_json()


@pytest.mark.parametrize("family", FAMILIES)
def test_no_option_of_another_family_is_swallowed(family: str) -> None:
    given = GIVEN[family]
    with pytest.raises(tr.ModelError, match="has no option 'chans'"):
        tr.log_likelihood(given.model, given.data, chans=3)
    if family not in ("boltzmann", "sigmoid_belief", "deep_belief", "helmholtz"):
        with pytest.raises(tr.ModelError, match="has no option 'n_sweeps'"):
            tr.impute(given.model, given.data, n_sweeps=5)
        with pytest.raises(tr.ModelError, match="has no option 'samples'"):
            tr.log_likelihood(given.model, given.data, samples=5)


WORDS = {
    "tables": ("Bayesian network", "Markov network"),
    "boltzmann": ("Boltzmann machine",),
    "sigmoid_belief": ("sigmoid belief network",),
    "deep_belief": ("deep belief network",),
    "helmholtz": ("Helmholtz machine",),
    "mixture": ("mixtures",),
    "hidden_markov": ("(?<!factorial )hidden Markov model",),
    "factorial_hidden_markov": ("factorial hidden Markov model",),
}
"""Family -> what its models are called."""

NORMALIZED_ALONE = {"bic", "aic", "fit", "kl_divergence"}
"""Verbs of Bayesian networks that Markov networks, whose tables are no parameters that can be learned, do not have."""

DOCUMENTED = {
    **{verb: getattr(tr, verb) for verb in (*VERBS, "aic") if hasattr(tr, verb)},
    "posterior.sample": tr.Posterior.sample,
    "joint": tr.Posterior.joint,
    "targets": tr.infer,
    "traces": evaluate.traces,
    "kl_divergence": evaluate.kl_divergence,
    "tr.posterior.log_partition": tr.posterior.log_partition,
}


@pytest.mark.parametrize("verb", DOCUMENTED)
def test_a_verb_names_all_families_that_it_answers_for(verb: str) -> None:
    assert set(WORDS) == set(FAMILIES) and set(VERBS) <= set(DOCUMENTED)
    doc = " ".join((DOCUMENTED[verb].__doc__ or "").split())
    words = [word for family in FAMILIES if family not in LACKING.get(verb, ()) for word in WORDS[family]]
    words = [word for word in words if not (word == "Markov network" and verb in NORMALIZED_ALONE)]
    words += ["Boltzmann machines \\(general, restricted, deep\\)"] if verb not in LACKING else []
    assert [word for word in words if not re.search(word, doc)] == []


# ---------------------------------------------------------------- a family from outside the library


@dataclass(frozen=True, eq=False)
class Die:
    """A die of two faces, loaded or fair, thrown once a row: a hidden variable, and a parameter to learn."""

    loaded: float
    family = "die"

    @property
    def engine(self) -> type[DieEngine]:
        return DieEngine

    def check(self, data: Any, name: str = "") -> np.ndarray:
        return np.asarray(data, int).reshape(-1)

    def maximized(self, statistics: Statistics, prior: Statistics | None = None) -> Die:
        return Die(float(statistics["loaded"] / statistics["rows"]))

    def vector(self) -> np.ndarray:
        return np.array([self.loaded])

    def joint(self, x: np.ndarray) -> np.ndarray:
        """p(z, x) of each row [n, 2]: fair, loaded."""
        return np.stack([(1 - self.loaded) * np.full(len(x), 0.5), self.loaded * np.where(x == 1, 0.9, 0.1)], axis=1)


@dataclass(frozen=True)
class Throws:
    model: Die
    rows: np.ndarray
    many: bool = True

    def draw(self, plan: Plan, n: int, key: Any) -> dict[str, np.ndarray]:
        p = self.model.joint(self.rows)[0]
        return {"loaded": np.random.default_rng(key).random(n) < p[1] / p.sum()}


@dataclass(frozen=True)
class DieAnswer:
    log_partition: Certificate
    found: Any


class DieEngine:
    """The engine of the family: what the verbs and the plan ask of it."""

    learner = tr.EM

    @staticmethod
    def plan_model(model: Die, observed: Any, ask: Ask) -> Plan:
        return Plan("by hand", 1.0, 4.0, 16.0, 1e-6, "one hidden variable", query=ask.query, n=ask.n, budget=ask.budget)

    @staticmethod
    def explained(model: Die, observed: Any, query: Any) -> list[tuple[Any, Any]]:
        return [(observed, "marginals")]

    @staticmethod
    def condition(model: Die, evidence: Any) -> Die:
        p = model.joint(model.check(evidence))[0]
        return Die(float(p[1] / p.sum()))

    @staticmethod
    def read(model: Die, evidence: Any) -> Throws:
        return Throws(model, model.check([] if evidence is None else evidence))

    @staticmethod
    def groups(asked: Throws, ask: Ask) -> list[tuple[slice, Throws]]:
        return [(slice(None), asked)]

    @staticmethod
    def plan(asked: Throws, ask: Ask) -> Plan:
        return DieEngine.plan_model(asked.model, None, ask)

    @staticmethod
    def solve(plan: Plan, asked: Throws, key: Any) -> DieAnswer:
        if plan.query == "sample":
            return DieAnswer(Certificate.exact(0.0), np.random.default_rng(key).random(plan.n) < 0.5)
        p = asked.model.joint(asked.rows)
        return DieAnswer(Certificate.exact(np.log(p.sum(1))), p / p.sum(1, keepdims=True))

    @staticmethod
    def posterior(asked: Throws, solved: list[Solved]) -> Any:
        from tractable.posterior import Marginals, Posterior

        (only,) = solved
        names = {"die": ("fair", "loaded")}
        marginals = Marginals(names, {"die": slice(None)}, only.answer.found)
        return Posterior(only.answer.log_partition, marginals, only.plan, asked)

    @staticmethod
    def log_partition(asked: Throws, solved: list[Solved]) -> Certificate:
        return solved[0].answer.log_partition

    @staticmethod
    def normalized(model: Die) -> bool:
        return True

    @staticmethod
    def sample(asked: Throws, solved: list[Solved]) -> np.ndarray:
        return solved[0].answer.found

    @staticmethod
    def expected_statistics(
        model: Die, x: np.ndarray, weights: Any = None, q: Any = "exact", before: Any = None
    ) -> Expected:
        p = model.joint(x)
        log_p = float(np.log(p.sum(1)).sum())
        expected = Statistics({"loaded": (p[:, 1] / p.sum(1)).sum(), "rows": np.array(float(len(x)))})
        return Expected(expected, log_p, log_p, 0.0)


THROWS = np.array([1, 1, 0, 1, 1, 1, 0, 1, 1, 1])


def test_a_family_from_outside_plans_infers_samples_and_learns() -> None:
    die = Die(0.25)
    assert tr.plan(die).method == "by hand"
    assert len(tr.explain(die)) == 1
    post = tr.infer(die, [1])
    assert post.marginals["die"]["loaded"][0] == pytest.approx(0.25 * 0.9 / (0.25 * 0.9 + 0.75 * 0.5))
    assert post.plan.method == "by hand"
    assert post.sample(4, key=1)["loaded"].shape == (4,)
    assert pickle.loads(pickle.dumps(post)).log_partition.value == post.log_partition.value
    assert tr.log_evidence(die, [1]).value[0] == pytest.approx(np.log(0.25 * 0.9 + 0.75 * 0.5))
    assert tr.sample(die, 6).shape == (6,)
    assert tr.condition(die, [1]).loaded == pytest.approx(0.375)
    assert tr.log_likelihood(die, THROWS).value == pytest.approx(np.log(die.joint(THROWS).sum(1)).mean())
    run = tr.fit(die, THROWS, tr.EM(prior=0, tolerance=0), epochs=200, progress=False)
    assert 0.5 + 0.4 * run.model.loaded == pytest.approx(0.8, abs=1e-3)  # as often as it was thrown
    assert run.history[-1].train.kind == "exact"


def test_what_a_family_from_outside_lacks_is_said() -> None:
    for verb in (lambda: tr.most_probable(Die(0.2), [1]), lambda: tr.transform(Die(0.2), [1])):
        with pytest.raises(tr.UnsupportedError, match="a Die has no"):
            verb()
    with pytest.raises(TypeError, match="expected a model, got a dict"):
        tr.infer({}, None)


@pytest.mark.parametrize("family", GIVEN)
def test_exact_is_a_method_of_every_family(family: str) -> None:
    given = GIVEN[family]
    asked = tr.infer(given.model, given.case, method="exact")
    assert asked.log_partition.kind == "exact"
    assert np.all(asked.log_partition.value == tr.infer(given.model, given.case).log_partition.value)


@pytest.mark.parametrize("method", ["exact", "enumeration"])
def test_what_is_asked_for_exactly_is_refused_where_it_is_too_expensive(method: str) -> None:
    """Not answered by chains, as it is where no method is asked for."""
    with pytest.raises(tr.BudgetError):
        tr.sample(tr.restricted(40, 40), 3, method=method)
    with pytest.raises(tr.BudgetError):
        tr.sample(tr.SigmoidBeliefNetwork([60, 60], key=0), 3, evidence=np.ones(60), method=method)
