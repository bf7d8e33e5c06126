"""Files <-> models, by extension: BIF, UAI, XMLBIF, safetensors; Hugin's NET and GeNIe's XDSL are read.

Evidence is UAI ``.evid`` and CSV; each also with ``.gz``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar, overload

from tractable._lazy import attach
from tractable.formats._asked import ColumnNames, as_columns
from tractable.formats._base import FormatError, FormatWarning, Source, failure
from tractable.formats._base import extension as _extension
from tractable.formats._base import read as _read
from tractable.formats._base import write as _write
from tractable.formats._pipes import is_pipe, name_of, put, source_of
from tractable.models import ModelError

if TYPE_CHECKING:
    from tractable.formats.data import column_names, read_columns, read_data, write_data
    from tractable.formats.sequences import read_sequences
    from tractable.models import BayesianNetwork, MarkovNetwork
    from tractable.models.units import Units

__all__ = [
    "FormatError",
    "FormatWarning",
    "column_names",
    "load",
    "read_columns",
    "read_data",
    "read_evidence",
    "read_sequences",
    "save",
    "write_data",
    "write_evidence",
]

# A leaf is imported when its extension turns up: reading one format costs the import of no other.
_MODELS = {
    ".bif": "bif",
    ".uai": "uai",
    ".xml": "xmlbif",
    ".xmlbif": "xmlbif",
    ".bifxml": "xmlbif",
    ".net": "hugin",
    ".xdsl": "xdsl",
    ".safetensors": "tensors",
}
_READ_ONLY = (".net", ".xdsl")
_EVIDENCE = {".evid": "evidence_uai", ".csv": "evidence_csv"}
_TABLES = (".parquet", ".npy", ".npy.gz", ".npz", ".data", ".data.gz")


M = TypeVar("M")


@overload
def load(
    path: str | os.PathLike[str], kind: type[M], *, units: Iterable[type[Units]] = ..., normalize: bool = ...
) -> M: ...
@overload
def load(
    path: str | os.PathLike[str], kind: None = ..., *, units: Iterable[type[Units]] = ..., normalize: bool = ...
) -> Any: ...


def load(
    path: str | os.PathLike[str], kind: Any = None, *, units: Iterable[type[Units]] = (), normalize: bool = False
) -> Any:
    """Read a model of any family; the extension says the format.

    ``.bif``, ``.uai`` (``BAYES`` and ``MARKOV``; variables and states are named by their index), ``.xml``, ``.xmlbif``
    or ``.bifxml``, ``.safetensors``; Hugin's ``.net``, GeNIe's ``.xdsl`` where all nodes are chance nodes with tables;
    each also with ``.gz``. Files of every earlier version of the library are read.

    Parameters
    ----------
    kind : the class of the model that is expected, such as `BayesianNetwork`; a file that holds another is refused.
    units : kinds of units from outside the library that a machine in the file may have: subclasses of `Units`, found
        by their names. A file cannot name anything else, and nothing is imported for it.
    normalize : divide rows of conditional tables in a text format by their sums, as rounding by hand needs it; without
        it a row further than 1e-3 from one is an error, in a ``BAYES`` file a warning: that is read as ``MARKOV``.

    Raises
    ------
    FormatError : a file that cannot be read; the message names the file, the line and the cause. A file of a later
        version of the library; the message names the version that reads it. Of a file that is not there the error is a
        FileNotFoundError too; likewise IsADirectoryError and PermissionError.

    Examples
    --------
    >>> import tempfile
    >>> net = tr.BayesianNetwork({"rain": ["no", "yes"]}, {}, {"rain": [0.8, 0.2]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tr.save(net, f"{folder}/rain.bif.gz")
    ...     tr.load(f"{folder}/rain.bif.gz").tables["rain"].tolist()
    [0.8, 0.2]
    """
    source, extension = _read(path, _MODELS)
    source = replace(source, normalize=normalize)
    if not source.data or source.data.isspace():
        raise source.error("the file is empty")
    try:
        leaf = _leaf(_MODELS[extension])
        found = leaf.read(source, units) if extension == ".safetensors" else leaf.read(source)
    except MemoryError:
        raise source.error("the model needs more memory than there is") from None
    except ModuleNotFoundError as error:  # of an extra
        raise ModuleNotFoundError(f"{source.path}: {error}", name=error.name) from None
    if kind is not None and not isinstance(found, kind):
        raise source.error(f"holds a {type(found).__name__}, not a {kind.__name__}")
    return found


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a model; the extension says the format, as in `load`.

    Numbers are written so that they read back bit for bit. ``.safetensors`` holds all of a model, the text formats a
    network without `ties` and `fixed`; ``.uai`` has no names. The file is replaced whole or not at all. Units of a kind
    of your own are saved by the name of their class and its fields: arrays, numbers, text, tuples of these.

    Raises
    ------
    FormatError : a model that the format cannot hold, or that `load` would not give back as it is; a place that cannot
        be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> pair = tr.MarkovNetwork({"a": "01", "b": "01"}, [(("a", "b"), [[1.0, 2.0], [3.0, 4.0]])])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tr.save(pair, f"{folder}/pair.uai")
    ...     print(Path(f"{folder}/pair.uai").read_text())
    MARKOV
    2
    2 2
    1
    2 0 1
    <BLANKLINE>
    4
    1.0 2.0
    3.0 4.0
    <BLANKLINE>
    """
    _write(path, as_bytes(model, path))


def as_bytes(model: Any, path: str | os.PathLike[str]) -> bytes:
    """What `save` would write, uncompressed: to find out that it would refuse a model before that is learned."""
    leaf = _leaf(_MODELS[_extension(path, _MODELS, _MODELS.keys() - {*_READ_ONLY})])
    return _to_bytes(path, leaf.write, model)


def read_evidence(
    path: str | os.PathLike[str],
    model: BayesianNetwork | MarkovNetwork,
    *,
    columns: ColumnNames | None = None,
    ignore: ColumnNames = (),
) -> list[dict[str, str]]:
    """Read evidence: one dict of variable to state name for each case.

    ``.evid`` is UAI evidence, by index; ``.csv`` has a header of variable names and one case per row, states by name
    (a number names the state that reads as it), nothing, ``NA`` or ``?`` for what is unobserved. Each also with
    ``.gz``. ``-`` is the standard input, of CSV. ``.parquet`` has such columns, ``.npy`` and ``.npz`` all variables.

    Parameters
    ----------
    columns, ignore : names of columns, or their numbers from 0: only these, or all but those.

    Raises
    ------
    FormatError : a file that cannot be read, an unknown variable or state, two columns of one name.

    Examples
    --------
    >>> import tempfile
    >>> net = tr.BayesianNetwork({"rain": ["no", "yes"]}, {}, {"rain": [0.8, 0.2]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tr.formats.write_evidence([{"rain": "yes"}, {}], f"{folder}/days.csv", net)
    ...     tr.read_evidence(f"{folder}/days.csv", net)
    [{'rain': 'yes'}, {}]
    """
    name = name_of(path)
    if name.lower().endswith(_TABLES) or ".npz:" in name.lower():
        from tractable.formats.evidence_tables import read  # brings what reads tables

        return read(name, dict(model.states), columns, ignore)
    text: Any = path  # a pipe, or what was read of one
    at_once = isinstance(path, Source) or is_pipe(name)
    source, kind = (source_of(text), ".csv") if at_once else _read(path, _EVIDENCE)
    if kind == ".csv":
        return _leaf("evidence_csv").read(source, model.states, as_columns(columns), as_columns(ignore) or [])
    if columns is not None or as_columns(ignore):
        raise source.error("has no columns to choose from: it is UAI evidence; leave out columns and ignore")
    return _leaf(_EVIDENCE[kind]).read(source, model.states)


def write_evidence(
    cases: Sequence[Mapping[str, str]], path: str | os.PathLike[str], model: BayesianNetwork | MarkovNetwork
) -> None:
    """Write evidence, one dict of variable to state name for each case; the extension says the format.

    Raises
    ------
    FormatError : an unknown variable or state, or a place that cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> pair = tr.MarkovNetwork({"a": "01", "b": "01"}, [(("a", "b"), [[1.0, 2.0], [3.0, 4.0]])])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tr.formats.write_evidence([{"b": "1"}], f"{folder}/pair.evid", pair)
    ...     print(Path(f"{folder}/pair.evid").read_text())
    1 1 1
    <BLANKLINE>
    """
    name = os.fspath(path)
    leaf = _leaf("evidence_csv" if is_pipe(name) else _EVIDENCE[_extension(path, _EVIDENCE)])
    put(name, _to_bytes(path, leaf.write, cases, model.states))


def _leaf(name: str) -> Any:
    return import_module(f"{__name__}.{name}")


def _to_bytes(path: str | os.PathLike[str], writer: Any, *content: object) -> bytes:
    try:
        return writer(*content)
    except (ModelError, UnicodeEncodeError) as error:
        raise failure(os.fspath(path), error) from None


# What a command on a network does not need is loaded when first used.
_LEAVES = {"data": ("column_names", "read_columns", "read_data", "write_data"), "sequences": ("read_sequences",)}
if not TYPE_CHECKING:  # a type checker knows the names, and that there are no others
    __getattr__, __dir__ = attach(__name__, _LEAVES)
