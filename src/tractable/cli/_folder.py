"""What can be done with the files of a folder: each is looked at by its name and its first bytes, none is loaded."""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import shlex
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

FILES, ENTRIES, SNIFF, NAMES = 10, 2000, 1 << 16, 5
"""So many files are named, so many entries of the folder and bytes of a file are looked at, names of columns told."""

HEADER = 1 << 20
"""The longest header of tensors that is read."""

_BIF = re.compile(
    r"variable\s+(\"[^\"]*\"|[^\s{\"]+)\s*\{\s*type\s+discrete\s*\[\s*\d+\s*\]\s*\{\s*(\"[^\"]*\"|[^,}\s\"]+)"
)
_WORD = re.compile(r"[\w.+-]+")
_DELIMITERS = (",", ";", "\t", "|")


class SeenFile(NamedTuple):
    """A file: what it is, and what could be done with it."""

    name: str
    what: str
    command: str
    family: str = ""
    names: tuple[str, ...] = ()
    """Variables or columns."""


def suggestions(folder: str = ".") -> list[str]:
    """Lines that say what is in a folder, and which commands would run."""
    seen, more = _seen(folder)
    if not seen:
        return ["Nothing in this folder is a model or a table that it reads. A network to begin with:", *_example()]
    lines = ["In this folder:"]
    for one in _matched(seen):
        lines += [f"  {one.name}: {one.what}", f"      tractable {one.command}"]
    if more:
        lines.append(f"  … and {more:,} {'file' if more == 1 else 'files'} more")
    return lines


def _example() -> list[str]:
    path = os.path.join(os.path.dirname(os.path.dirname(__file__)), "examples", "asia.bif")
    return [f"      tractable query {shlex.quote(path)} --evidence dysp=yes"]


def _seen(folder: str) -> tuple[list[SeenFile], int]:
    """The first files that it reads, models before tables, and how many more have such names."""
    try:
        with os.scandir(folder) as found:
            entries = [entry.name for entry in islice(found, ENTRIES) if entry.name.isprintable() and _is_file(entry)]
    except OSError:
        return [], 0
    known = sorted((rank, name) for name in entries if (rank := _rank(name)) is not None)
    out: list[SeenFile] = []
    for at, (_, name) in enumerate(known):
        if len(out) == FILES:
            return out, len(known) - at
        with suppress(OSError, EOFError, zlib.error, ValueError, RecursionError, KeyError, TypeError, AttributeError):
            if (one := KINDS[_kind(name)](os.path.join(folder, name), name)) is not None:
                out.append(one)
    return out, 0


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is a plain file, whose opening waits for nobody."""
    try:
        return entry.is_file()
    except OSError:
        return False


def _kind(name: str) -> str:
    return os.path.splitext(name.lower().removesuffix(".gz"))[1]


def _rank(name: str) -> int | None:
    """Where a file stands: models first."""
    kind = _kind(name)
    if kind not in KINDS or name.startswith("."):
        return None
    return int(KINDS[kind] in (_table, _array))


def _start(path: str, n: int = SNIFF) -> bytes:
    """The first bytes of a file, of what is in it where it is compressed."""
    opened = gzip.open if path.lower().endswith(".gz") else open
    with opened(path, "rb") as file:
        return file.read(n)


def _quoted(name: str) -> str:
    """A name as an argument."""
    return shlex.quote(name if not name.startswith("-") else f"./{name}")


# ---------------------------------------------------------------- what files are


def _bif(path: str, name: str) -> SeenFile | None:
    text = _start(path).decode("utf-8", errors="replace")
    found = _BIF.findall(text)
    if not found:
        return None
    names = tuple(v.strip('"') for v, _ in found)
    return SeenFile(
        name, "a network of tables", _query(name, found[0][0].strip('"'), found[0][1].strip('"')), "tables", names
    )


def _query(name: str, variable: str, state: str) -> str:
    """A question about a network, observing what has a plain name."""
    plain = all(_WORD.fullmatch(own) and not own.startswith("-") for own in (variable, state))
    return f"query {_quoted(name)}" + (f" --evidence {variable}={state}" if plain else "")


def _marked(*marks: bytes) -> Callable[[str, str], SeenFile | None]:
    """The network in a file that has one of these marks."""

    def seen(path: str, name: str) -> SeenFile | None:
        start = _start(path)
        found = any(mark in start[:4096].upper() for mark in marks)
        return SeenFile(name, "a network of tables", f"explain {_quoted(name)}", "tables") if found else None

    return seen


WHAT = {
    "mixture": "a mixture",
    "hidden_markov": "a hidden Markov model",
    "factorial_hidden_markov": "a factorial hidden Markov model",
    "boltzmann": "a Boltzmann machine",
    "sigmoid_belief": "a sigmoid belief network",
    "deep_belief": "a deep belief network",
    "helmholtz": "a Helmholtz machine",
}


def _tensors(path: str, name: str) -> SeenFile | None:
    size = int.from_bytes(_start(path, 8), "little")
    if not 2 <= size <= HEADER:
        return None
    about = json.loads(json.loads(_start(path, 8 + size)[8:])["__metadata__"]["tractable"])
    kind = about["kind"]
    if kind in ("bayesian", "markov"):
        first = about["variables"][0]
        names = tuple(str(v["name"]) for v in about["variables"])
        return SeenFile(
            name, "a network of tables", _query(name, str(first["name"]), str(first["states"][0])), "tables", names
        )
    columns = (about.get("columns") or {}).get("names", ()) if kind in WHAT else ()
    named = tuple(map(str, columns))
    return SeenFile(name, WHAT[kind], f"show {_quoted(name)}", kind, named)


def _table(path: str, name: str) -> SeenFile | None:
    data = _start(path)
    if b"\0" in data:
        return None
    lines = data.decode("utf-8-sig", errors="replace").splitlines()
    if len(lines) < 2:
        return None
    delimiter = max(_DELIMITERS, key=lines[0].count)
    header = next(csv.reader(lines[:1], delimiter=delimiter))
    names = tuple(cell.strip() for cell in header)
    columns = "1 column" if len(names) == 1 else f"{len(names):,} columns"
    told = f"a table of {columns}: {', '.join(_shown(own) for own in names[:NAMES])}"
    return SeenFile(name, told + (", …" if len(names) > NAMES else ""), _fit(name), "", names)


def _shown(name: str) -> str:
    """A name from a file, as a terminal may have it."""
    return (name if name.isprintable() else name.encode("unicode_escape").decode())[:40]


def _array(path: str, name: str) -> SeenFile | None:
    start = _start(path, 8)
    marks = {".npy": b"\x93NUMPY", ".npz": b"PK\x03\x04", ".parquet": b"PAR1"}
    return SeenFile(name, "a table", _fit(name)) if start.startswith(marks[_kind(name)]) else None


def _fit(name: str) -> str:
    """A mixture learns from any table."""
    stem = name[: -len(_kind(name))] if not name.lower().endswith(".gz") else name[: -len(_kind(name)) - 3]
    return f"fit mixture {_quoted(name)} --components 3 -o {_quoted(f'{stem}.mixture.safetensors')}"


KINDS: dict[str, Callable[[str, str], SeenFile | None]] = {
    ".bif": _bif,
    ".uai": _marked(b"BAYES", b"MARKOV"),
    ".xml": _marked(b"<BIF"),
    ".xmlbif": _marked(b"<BIF"),
    ".net": _marked(b"NODE", b"NET"),
    ".xdsl": _marked(b"<SMILE"),
    ".safetensors": _tensors,
    ".csv": _table,
    ".npy": _array,
    ".npz": _array,
    ".parquet": _array,
}

# ---------------------------------------------------------------- models and tables that go together

WITH_TABLE = {
    "tables": "query {model} --evidence-file {table}",
    "mixture": "score {model} {table}",
    "hidden_markov": "decode {model} {table}",
    "factorial_hidden_markov": "filter {model} {table}",
    "boltzmann": "score {model} {table}",
}


def _matched(seen: Sequence[SeenFile]) -> Iterator[SeenFile]:
    """The files, models and tables with the same columns together."""
    models = [one for one in seen if one.family in WITH_TABLE and one.names]
    for one in seen:
        other = next((model for model in models if not one.family and _together(model, one)), None)
        yield one if other is None else one._replace(command=_of_both(other, one))


def _of_both(model: SeenFile, table: SeenFile) -> str:
    """What to do with a model and a table, whose other columns are left out."""
    command = WITH_TABLE[model.family].format(model=_quoted(model.name), table=_quoted(table.name))
    left = [name for name in table.names if name not in model.names and _WORD.fullmatch(name)]
    return command + (f" --ignore {','.join(left)}" if left else "")


def _together(model: SeenFile, table: SeenFile) -> bool:
    """Whether a table has the columns of a model, of a network at least one variable and nothing besides."""
    if not table.names:
        return False
    if model.family == "tables":
        return {*table.names} <= {*model.names}
    return {*model.names} <= {*table.names}


def show() -> None:
    """Print what can be done here."""
    told: Any = [
        "tractable: inference and learning in models with hidden variables, priced before it runs and certified.",
        "",
        *suggestions(),
        "",
        "tractable --help lists the commands; tractable COMMAND --help says what each takes, with examples.",
    ]
    print("\n".join(told))
