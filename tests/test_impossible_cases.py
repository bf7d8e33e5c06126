"""A case of probability zero among others: NaN and −∞ for it, for the others what they have alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tractable as tr

NAN = np.nan


def coins() -> tr.HiddenMarkovModel:
    """State 1 never follows itself, and each state shows its own symbol; symbol 2 is never shown."""
    never = tr.CategoricalEmissions([[[0.7, 0.3, 0.0], [0.2, 0.8, 0.0]]])
    return tr.HiddenMarkovModel([0.6, 0.4], [[0.5, 0.5], [1.0, 0.0]], never)


def lamps() -> tr.FactorialHiddenMarkovModel:
    """Two chains that no row can be far from."""
    emissions = tr.AdditiveGaussianEmissions([[[0.0], [1.0]], [[0.0], [2.0]]], [[0.1]])
    return tr.FactorialHiddenMarkovModel(
        [[1.0, 0.0], [0.5, 0.5]], [[[0.0, 1.0], [1.0, 0.0]], [[0.5, 0.5]] * 2], emissions
    )


CHAINS = {
    "hidden Markov": (coins(), [[0, 1, NAN], [0, NAN, 2, 1], [1, 1]]),
    "factorial": (lamps(), [[[0.0], [3.0], [NAN]], [[NAN], [1e200]], [[0.0], [1.0]]]),
}


def parts(found: Any) -> list[Any]:
    """What was found of each of the sequences, as arrays."""
    if isinstance(found, tr.posterior.MostProbable):
        return list(zip(*found.assignment.values(), found.log_probability.value, strict=True))
    if isinstance(found, list):
        return [part if isinstance(part, tuple) else (part,) for part in found]
    return list(zip(*found.values(), strict=True))


VERBS: dict[str, Any] = {
    "infer": lambda model, x: tr.infer(model, x).marginals,
    "most_probable": tr.most_probable,
    "transform": tr.transform,
    "reconstruct": tr.reconstruct,
    "filtering": tr.filtering,
    "fixed lag": lambda model, x: tr.filtering(model, x, lag=1),
    "forecast": lambda model, x: [own[:2] for own in tr.forecast(model, x, 2)],
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("family", CHAINS)
def test_an_impossible_sequence_spoils_no_other(family: str, verb: str) -> None:
    model, x = CHAINS[family]
    found = parts(VERBS[verb](model, x))
    alone = parts(VERBS[verb](model, [x[0], x[2]]))
    for own, wanted in zip((found[0], found[2]), alone, strict=True):
        for a, b in zip(own, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13)
    gone = [np.asarray(array) for array in found[1]]
    assert all(((a == -1) if a.dtype.kind == "i" else ~np.isfinite(a)).all() for a in gone)


@pytest.mark.parametrize("family", CHAINS)
def test_what_is_said_of_impossible_sequences(family: str) -> None:
    model, x = CHAINS[family]
    for found in (
        tr.log_evidence(model, x),
        tr.log_likelihood(model, x).per_row,
        tr.most_probable(model, x).log_probability,
    ):
        assert np.isneginf(found.value).tolist() == [False, True, False]
        assert found.verdict is not None and found.verdict.startswith("impossible: sequence 1")
        assert found[0].verdict is None
    assert tr.log_likelihood(model, x).verdict == tr.log_evidence(model, x).verdict
    assert tr.infer(model, x).possible.tolist() == [True, False, True]
    filled = tr.impute(model, x)
    np.testing.assert_array_equal(filled[1], np.reshape(x[1], (-1, 1)))
    np.testing.assert_array_equal(filled[0], tr.impute(model, [x[0], x[2]])[0])
    drawn = tr.infer(model, x).sample(3)
    assert all((paths[1] == -1).all() and (paths[0] >= 0).all() for paths in drawn.values())
    with pytest.raises(tr.ImpossibleEvidenceError, match="sequence 1 has probability zero"):
        tr.fit(model, x, tr.EM(prior=0), progress=False)


def test_the_verdict_names_the_row() -> None:
    assert tr.log_evidence(*CHAINS["hidden Markov"]).verdict == "impossible: sequence 1 from row 2 on"


@pytest.mark.parametrize("family", CHAINS)
def test_an_impossible_sequence_alone_is_an_error(family: str) -> None:
    model, x = CHAINS[family]
    for verb in (tr.most_probable, tr.impute, tr.filtering, tr.forecast, lambda m, one: tr.sample(m, 1, evidence=one)):
        with pytest.raises(tr.ImpossibleEvidenceError, match="the sequence has probability zero"):
            verb(model, np.array(x[1]))
    with pytest.raises(tr.ImpossibleEvidenceError):
        _ = tr.infer(model, np.array(x[1])).marginals


def test_names_of_an_impossible_sequence_stay_unknown() -> None:
    days = [{"sky": ["sun", "rain", None]}, {"sky": ["sun", "snow", None]}, {"sky": ["rain", None]}]
    given = coins().replaced(columns=tr.Columns(["sky"], {"sky": ["sun", "rain", "snow"]}))
    filled = tr.impute(given, days)
    assert [list(part["sky"]) for part in filled] == [["sun", "rain", "sun"], ["sun", "snow", None], ["rain", "sun"]]
    assert list(tr.reconstruct(given, days)[1]["sky"]) == [None] * 3
    assert list(tr.forecast(given, days)[1].means["sky"]) == [None]


def mixed() -> tr.Mixture:
    sides = tr.CategoricalEmissions([[[0.5, 0.5, 0.0], [0.9, 0.1, 0.0]], [[0.5, 0.5], [0.2, 0.8]]])
    return tr.Mixture([0.5, 0.5], sides)


def test_an_impossible_row_of_a_mixture_spoils_no_other() -> None:
    model, x = mixed(), np.array([[0, NAN], [2, NAN], [1, 1.0]])
    post = tr.infer(model, x)
    for r in (
        post.marginals.array("component"),
        post.joint(["component"]),
        tr.transform(model, x),
        tr.reconstruct(model, x),
    ):
        assert np.isnan(r).all(1).tolist() == [False, True, False]
    np.testing.assert_array_equal(tr.transform(model, x)[[0, 2]], tr.transform(model, x[[0, 2]]))
    assert (
        tr.log_evidence(model, x).verdict == "impossible: row 1" == tr.most_probable(model, x).log_probability.verdict
    )
    assert np.isnan(tr.impute(model, x)).tolist() == [[False, False], [False, True], [False, False]]


@pytest.mark.parametrize("posterior", ["exact", "hard"])
def test_what_has_no_weight_may_be_impossible(posterior: str) -> None:
    x, learner = np.array([[0, 0], [2, 1], [1, 1], [0, 1.0]]), tr.GeneralizedEM(posterior=posterior, prior=0)
    found = tr.fit(mixed(), x, learner, weights=[1, 0, 2, 1], epochs=5, progress=False)
    without = tr.fit(mixed(), x[[0, 2, 3]], learner, weights=[1, 2, 1], epochs=5, progress=False)
    np.testing.assert_allclose(found.model.vector(), without.model.vector(), rtol=1e-12)


@pytest.mark.parametrize("kind", [tr.BayesianNetwork, tr.MarkovNetwork])
def test_an_impossible_case_of_a_network_is_named(kind: Any) -> None:
    states, tables = {"a": "01", "b": "01"}, {"a": [0.4, 0.6], "b": [[1, 0], [0.5, 0.5]]}
    factors: list[Any] = [("a", tables["a"]), ("ab", tables["b"])]
    net = (
        tr.BayesianNetwork(states, {"b": ["a"]}, tables)
        if kind is tr.BayesianNetwork
        else tr.MarkovNetwork(states, factors)
    )
    x = {"a": ["0", "0", None], "b": ["0", "1", "1"]}
    assert tr.log_evidence(net, x).verdict == tr.log_likelihood(net, x).verdict == "impossible: row 1"
    assert (
        tr.infer(net, x).log_partition.verdict
        == tr.most_probable(net, x).log_probability.verdict
        == "impossible: row 1"
    )
    assert np.isnan(tr.infer(net, x).marginals.array("a")).any(1).tolist() == [False, True, False]


def test_a_verdict_names_a_few_of_many() -> None:
    found = tr.Certificate.of_cases(np.full(9, -np.inf))
    assert found.verdict == "impossible: row 0, row 1, row 2, row 3, row 4 and 4 more"
    assert tr.Certificate.of_cases(-np.inf).verdict is None is tr.Certificate.of_cases(np.zeros(3)).verdict


@pytest.mark.parametrize("learner", [tr.IncrementalEM(n_blocks=2, prior=0), tr.OnlineEM(batch_size=2, prior=0)])
def test_blocks_name_rows_by_their_numbers_among_all(learner: Any) -> None:
    x = np.array([[0, 0], [1, 1], [0, 1], [1, 0], [0, 0], [2, 1.0]])
    with pytest.raises(tr.ModelError, match="row 5 has probability zero"):
        tr.fit(mixed(), x, learner, progress=False)
    with pytest.raises(tr.ModelError, match="sequence 5 has probability zero"):
        tr.fit(coins(), [row[:1] for row in x], learner, progress=False)
