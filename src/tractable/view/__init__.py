"""Models in a browser: a widget, a page on the loopback address, a file. Calls verbs, computes nothing."""

from __future__ import annotations

from typing import Any

from tractable.extras import import_module
from tractable.view.sessions import session


def view(model: Any, data: Any = None) -> Any:
    """A model as a page in a notebook: click a state to observe it, and see all beliefs.

    Of Bayesian and Markov networks, mixtures, hidden Markov models and machines. What a click would cost is said before
    it is made; where exact answers would take long, intervals that narrow are offered. The numbers are those of
    `infer`, `most_probable`, `is_separated` and `plan`. The same page without a notebook: ``tractable view net.bif``.

    Parameters
    ----------
    model : a model, or a run of `fit`, whose curves are shown too.
    data : rows that a mixture, or sequences that a hidden Markov model is shown with; other models take none.

    Returns
    -------
    Explorer : a widget (of anywidget, the extra ``view``), which a notebook shows.

    Raises
    ------
    ModuleNotFoundError : without the extra ``view``. TypeError : what is no model. UnsupportedError : a family without
        a page. ModelError : data of a model that is shown by itself.

    Examples
    --------
    >>> net = tr.BayesianNetwork({"a": "01", "b": "01"}, {"b": ["a"]}, {"a": [0.4, 0.6], "b": [[0.9, 0.1], [0.2, 0.8]]})
    >>> tr.view(net).description["variables"][1]
    {'name': 'b', 'states': ['0', '1'], 'parents': [0]}
    """
    own = session(model, data)
    return import_module("tractable.view.widget", "a view in a notebook").Explorer(own)
