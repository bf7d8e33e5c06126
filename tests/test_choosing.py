"""Several numbers of components or states: which one is chosen, by what, and what stands when it is ended."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import tractable as tr
from tractable.cli._run import run
from tractable.learning.choosing import Candidate

RNG = np.random.default_rng(0)
GEYSER = np.concatenate([RNG.normal([2, 54], [0.3, 6], (90, 2)), RNG.normal([4.3, 80], [0.4, 6], (160, 2))])
"""Short waits after short eruptions and long ones after long, as of Old Faithful."""


@pytest.fixture(scope="module")
def chosen() -> tr.learning.Choice:
    return tr.choose(partial(tr.mixture, emissions="gaussian"), GEYSER, range(1, 5), tr.EM(n_init=2, prior=0))


def test_bic_finds_both_groups(chosen):
    assert chosen.best.number == chosen.model.n_components == 2 and chosen.by == "bic"
    assert [own.number for own in chosen.candidates] == [1, 2, 3, 4]
    likelihoods = [own.log_likelihood.value for own in chosen.candidates]
    assert likelihoods == sorted(likelihoods)
    assert chosen.best.run is chosen.run and not chosen.interrupted


def test_bic_is_that_of_sklearn_for_the_same_parameters(chosen):
    peer = pytest.importorskip("sklearn.mixture")
    for own in chosen.candidates:
        model = own.run.model
        theirs = peer.GaussianMixture(own.number)
        theirs.weights_, theirs.means_ = model.weights, model.emissions.means
        theirs.covariances_ = model.emissions.covariances
        theirs.precisions_cholesky_ = np.stack([np.linalg.cholesky(np.linalg.inv(c)) for c in theirs.covariances_])
        assert own.bic.value == pytest.approx(theirs.bic(GEYSER), rel=1e-10)
        assert own.log_likelihood.value == pytest.approx(theirs.score(GEYSER) * len(GEYSER), rel=1e-10)


def test_wine_is_as_sklearn_has_it():
    """Columns that are independent within a group, in units of their deviation: the least BIC has the same number."""
    data = pytest.importorskip("sklearn.datasets")
    x = data.load_wine().data
    found = tr.choose(partial(tr.mixture, emissions="diagonal"), x / x.std(0), [3, 4, 5], tr.EM(n_init=2))
    bics = {own.number: own.bic.value for own in found.candidates}
    assert found.best.number == 4  # as GaussianMixture(covariance_type="diag", n_init=20), 5476.5
    assert bics[4] < 5490 and bics[3] - bics[4] > 40


def sequences() -> tr.Sequences:
    rng, a = np.random.default_rng(1), np.array([[0.9, 0.1], [0.2, 0.8]])
    z = [0]
    for _ in range(599):
        z.append(int(rng.choice(2, p=a[z[-1]])))
    rows = np.array([0.0, 4.0])[z] + rng.normal(size=600)
    return tr.Sequences(rows.reshape(-1, 1), [60] * 10)


def test_states_by_bic_and_by_held_out_sequences():
    begin, data = partial(tr.hidden_markov, emissions="diagonal"), sequences()
    found = tr.choose(begin, data, [1, 2, 3], tr.EM(prior=0))
    assert found.best.number == 2
    hmm = pytest.importorskip("hmmlearn.hmm")
    model = found.model
    theirs = hmm.GaussianHMM(2, "diag")
    theirs.n_features, theirs.startprob_, theirs.transmat_ = 1, model.first, model.transition
    theirs.means_, theirs.covars_ = model.emissions.means, model.emissions.variances
    assert found.best.bic.value == pytest.approx(theirs.bic(data.rows, data.sizes), rel=1e-9)
    held = tr.choose(begin, data, [1, 2], tr.EM(prior=0), by="held_out", held_out=0.3)
    assert held.best.number == 2 and held.best.held_out.value > held.candidates[0].held_out.value
    assert held.best.run is not held.run  # the model that is returned has learned from all of them
    whole = tr.log_likelihood(tr.fit(begin(data, 2), data, tr.EM(prior=0), progress=False).model, data)
    assert tr.log_likelihood(held.model, data).value == pytest.approx(whole.value, rel=1e-9)


def test_held_out_rows_are_not_learned_from():
    """The likelihood of the part that was learned from, and of the other, against fits to that part alone."""
    begin = partial(tr.mixture, emissions="diagonal")
    found = tr.choose(begin, GEYSER, [1], tr.EM(prior=0), by="held_out", held_out=0.4, key=3)
    out = tr.models.keys.generator(3).permutation(250)[:100]
    kept = np.setdiff1d(np.arange(250), out)
    mean, deviation = GEYSER[kept].mean(0), GEYSER[kept].std(0)
    log_p = -0.5 * (((GEYSER - mean) / deviation) ** 2 + np.log(2 * np.pi * deviation**2)).sum(1)
    (only,) = found.candidates
    assert only.held_out.value == pytest.approx(log_p[out].mean(), rel=1e-9)
    assert only.log_likelihood.value == pytest.approx(log_p[kept].sum(), rel=1e-9)
    assert only.bic.value == pytest.approx(-2 * log_p[kept].sum() + 4 * np.log(150), rel=1e-9)


def test_validation_rows_and_weights():
    some, others = GEYSER[::2], GEYSER[1::2]
    begin = partial(tr.mixture, emissions="diagonal")
    found = tr.choose(begin, some, [1, 2], by="held_out", validation=others)
    assert found.best.held_out.value == pytest.approx(tr.log_likelihood(found.model, others).value, rel=1e-12)
    twice = tr.choose(begin, some, [2], weights=np.full(len(some), 2.0))
    again = tr.bic(twice.model, np.repeat(some, 2, axis=0)).value
    assert twice.best.bic.value == pytest.approx(again, rel=1e-9)


def test_an_interrupt_returns_what_stands():
    def interrupt(record):
        if interrupt.fits == 1:
            raise KeyboardInterrupt
        interrupt.fits += record.iteration == 0

    interrupt.fits = 0
    with pytest.raises(KeyboardInterrupt):  # in the first fit nothing stands
        interrupt.fits = 1
        tr.choose(tr.mixture, GEYSER, [2, 3], callback=interrupt)

    seen = []

    def late(record):
        seen.append(record)
        if len(seen) > 1 and record.iteration == 0:
            raise KeyboardInterrupt

    found = tr.choose(tr.mixture, GEYSER, [1, 2, 3], callback=late)
    assert found.interrupted and [own.number for own in found.candidates] == [1] and found.model.n_components == 1
    assert "interrupted" in repr(found)


def test_a_fit_that_fails_spoils_no_other():
    def begin(rows, n):
        if n == 2 and begin.calls:
            raise tr.ModelError("two are too many")
        begin.calls += 1
        return tr.mixture(rows, n, "diagonal")

    begin.calls = 0
    found = tr.choose(begin, GEYSER, [1, 2, 3])
    assert [own.error for own in found.candidates] == ["", "two are too many", ""] and found.best.number == 3
    assert "two are too many" in str(found) and "two are too many" in found._repr_html_()
    with pytest.raises(tr.ModelError, match="unknown option"):
        tr.choose(tr.mixture, GEYSER, [1, 2], steps_=3)


def test_a_component_that_hardly_varies_is_named():
    """Three codes read as numbers: a component for one of them has a density without limit."""
    rng = np.random.default_rng(3)
    codes, high = rng.integers(1, 4, 120).astype(float), rng.random(120) < 0.5
    rows = {"size": rng.normal(10 * high, 1), "code": np.where(high, 1.0, codes)}
    found = tr.choose(partial(tr.mixture, emissions="diagonal"), rows, [1, 2])
    first, second = found.candidates
    assert not first.note and "hardly varies in code: its density has no limit" in second.note
    assert second.note in found.rows()[1][""] and second.to_json()["note"] == second.note


@pytest.mark.parametrize(
    ("numbers", "options", "told"),
    [
        ([], {}, "no numbers"),
        ([0, 1], {}, "at least one, got 0"),
        ([2.5], {}, r"got 2\.5"),
        ([True], {}, "got True"),
        ("ab", {}, "got 'a'"),
        (3, {}, "several whole numbers"),
        ([9], {}, "9 components or states need as many rows, and there are 8"),
        ([1], {"by": "aic"}, "bic, held_out"),
        ([1], {"by": "held_out", "held_out": 1.0}, "between 0 and 1"),
        ([1], {"by": "held_out", "held_out": float("nan")}, "between 0 and 1"),
        ([1], {"learner": tr.PersistentCD()}, "give EM"),
    ],
)
def test_what_makes_no_sense_is_said(numbers, options, told):
    with pytest.raises(tr.ModelError, match=told):
        tr.choose(tr.mixture, GEYSER[:8], numbers, **options)
    with pytest.raises(tr.ModelError, match="one row"):
        tr.choose(tr.mixture, GEYSER[:1], [1])
    with pytest.raises(tr.ModelError, match="one sequence"):
        tr.choose(tr.hidden_markov, GEYSER, [1], by="held_out")


def test_records_and_the_picture(chosen):
    pytest.importorskip("matplotlib")
    assert json.loads(json.dumps(chosen.to_json()))["chosen"] == 2
    fig = tr.plots.choice(chosen)
    assert fig.axes[0].lines[0].get_ydata().tolist() == [own.bic.value for own in chosen.candidates]
    assert (
        fig.axes[0].lines[1].get_xdata() == [2] and "← chosen" in str(chosen) and "script" not in chosen._repr_html_()
    )
    assert Candidate(1, error="no").loss("bic") == float("inf") == Candidate(1).loss("held_out")


# ---------------------------------------------------------------- the command line


def geyser(tmp_path: Path) -> str:
    tr.write_data(path := str(tmp_path / "geyser.csv"), {"eruptions": GEYSER[:, 0], "waiting": GEYSER[:, 1]})
    return path


def test_the_command_chooses_writes_and_draws(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    data, model, plot = geyser(tmp_path), str(tmp_path / "m.safetensors"), tmp_path / "bic.svg"
    fit = ["fit", "mixture", data, "--choose", "1-2,3", "--plot", str(plot), "-o", model]
    assert run(fit) == 0
    told = capsys.readouterr().out
    assert "← chosen" in told and f"wrote {model}: Mixture(2 components" in told
    assert plot.read_bytes()[:5] == b"<?xml" and not list(tmp_path.glob("*.checkpoint*"))
    assert run([*fit, "--force", "--json", "--choose-by", "held-out", "--held-out", "0.3"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["choice"]["by"] == "held_out" and len(found["choice"]["candidates"]) == 3
    assert found["choice"]["chosen"] == tr.load(model).n_components
    hmm = ["fit", "hmm", data, "--choose", "1,2", "--emissions", "diagonal", "-o", str(tmp_path / "h.safetensors")]
    assert run([*hmm, "--validation", data, "--choose-by", "held-out", "-q"]) == 0


def test_what_was_interrupted_is_written_and_goes_on(tmp_path, capsys, monkeypatch):
    """The first fits are taken from where they were kept, and the end is that of a command that nothing interrupted."""
    from tractable.learning import choosing

    data, fits = geyser(tmp_path), []
    own = choosing.fit

    def fit(model, *args, **options):
        fits.append(model.n_components)
        if len(fits) == 3:
            raise KeyboardInterrupt
        return own(model, *args, **options)

    def command(name: str, *more: str) -> list[str]:
        return ["fit", "mixture", data, "--choose", "1-4", "-o", str(tmp_path / f"{name}.safetensors"), *more]

    monkeypatch.setattr(choosing, "fit", fit)
    assert run(command("a")) == 130
    assert "2 of 4 numbers fitted" in capsys.readouterr().err and tr.load(str(tmp_path / "a.safetensors"))
    assert len(list(tmp_path.glob("a.safetensors.checkpoint.*"))) == 2
    assert run(command("a")) == 2 and "is there already" in capsys.readouterr().err
    assert run(command("a", "--resume")) == run(command("b")) == 0
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert not list(tmp_path.glob("*.checkpoint*"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--choose", "0-3"], "begin with 1"),
        (["--choose", "5-2"], "take 2-5"),
        (["--choose", ""], "such as 1-8 or 2,3,5"),
        (["--choose", "1-x"], "such as 1-8 or 2,3,5"),
        (["--choose", "1-9999"], "1,000 numbers"),
        (["--choose", "1-300"], "there are 250"),
        ([], "give --components N, or --choose"),
        (["--choose", "1-2", "--components", "2"], "one of the two"),
        (["--components", "2", "--choose-by", "bic"], "give --choose 1-8 too"),
        (["--choose", "1-2", "--held-out", "0.2"], "--held-out is for"),
        (["--choose", "1-2", "--choose-by", "held-out", "--held-out", "1.5"], "between 0 and 1"),
    ],
)
def test_bad_numbers_are_one_line(options, told, tmp_path, capsys):
    assert run(["fit", "mixture", geyser(tmp_path), *options, "-o", str(tmp_path / "m.safetensors")]) == 2
    err = capsys.readouterr().err
    assert told in err and err.count("\n") == 1 and not (tmp_path / "m.safetensors").exists()
