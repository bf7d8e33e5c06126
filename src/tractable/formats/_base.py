"""What every reader and writer shares: bytes in and out, gzip, numbers, and errors that name the file and the line."""

from __future__ import annotations

import errno
import os
import re
import stat
import warnings
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from math import inf

import numpy as np

from tractable.formats._parts import part_of
from tractable.models._base import ModelError, nearest

MAX_BYTES = 2**31
"""No file is read beyond this size, compressed or not."""

FREE_EXPANSION = 2**26
"""A compressed file may always expand to this size; beyond it, to `EXPANSION` times its own."""

EXPANSION = 200

States = Mapping[str, Sequence[str]]
"""The names of the states of each variable."""

_PIECE = 2**14
"""Compressed bytes expanded at a time: at most a thousandfold of this is allocated before the limit is checked."""

_CHUNK = 2**20
"""Characters turned into numbers at a time."""


class FormatError(ModelError):
    """A file that cannot be read or written; the message is ``FILE:LINE: cause; remedy``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/net.bif").write_text("network {\\n}\\nvariable rain { type discrete [2] { no, yes; } }")
    ...     try:
    ...         _ = tr.load(f"{folder}/net.bif")
    ...     except tr.FormatError as error:
    ...         print(str(error).removeprefix(folder))
    /net.bif:3: expected '}' after the type of 'rain', found ';'
    """


class FormatWarning(UserWarning):
    """A file that is read in another way than it says; the message is ``FILE:LINE: cause``.

    Examples
    --------
    >>> import tempfile, warnings
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True, action="always") as said:
    ...     _ = Path(f"{folder}/pair.uai").write_text("BAYES 1 2 1 1 0 2 0.5 0.25")
    ...     net = tr.load(f"{folder}/pair.uai")
    ...     print(said[0].category.__name__, str(said[0].message).removeprefix(folder))
    FormatWarning /pair.uai:1: a row of the table of variable 0 sums to 0.75, not to 1: read as MARKOV, not as BAYES
    >>> print(f"{tr.infer(net).marginals['0']['0']:.4f}")
    0.6667
    """


class NoFileError(FormatError, FileNotFoundError):
    """A file or folder that is not there."""

    __str__ = ModelError.__str__


class FolderError(FormatError, IsADirectoryError):
    """A folder where a file is expected."""

    __str__ = ModelError.__str__


class NotAllowedError(FormatError, PermissionError):
    """A file that may not be read or written."""

    __str__ = ModelError.__str__


_FAILURES: dict[int | None, type[FormatError]] = {errno.ENOENT: NoFileError, errno.EISDIR: FolderError}
_FAILURES |= dict.fromkeys((errno.EACCES, errno.EPERM), NotAllowedError)


def failure(path: str, cause: object, line: int | None = None, number: int | None = None) -> FormatError:
    """The error of one line that says where and what; with the `number` of an error of the system it is that too."""
    place = path if line is None else f"{path}:{line}"
    text = " ".join(str(cause).splitlines())
    text = text if len(text) <= 500 else text[:499] + "…"
    error = _FAILURES.get(number, FormatError)(f"{place}: {text}".encode(errors="backslashreplace").decode())
    if isinstance(error, OSError):
        error.errno, error.filename = number, path
    return error


def shown(word: str) -> str:
    """The word in quotes, shortened for a message."""
    return repr(word if len(word) <= 60 else word[:59] + "…")


def repeated(names: Iterable[str]) -> str | None:
    """The first name that occurs for the second time, if any."""
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), None)


@dataclass(frozen=True)
class Source:
    """The content of a file, the path for the messages, and whether rows of tables are to be divided by their sums."""

    path: str
    data: bytes
    normalize: bool = False

    @property
    def stem(self) -> str:
        """The name of the file without folder and extensions."""
        name = os.path.basename(self.path)
        return os.path.splitext(name[:-3] if is_gzip(name) else name)[0]

    def error(self, cause: object, line: int | None = None) -> FormatError:
        """An error about this file."""
        return failure(self.path, cause, line)

    def warn(self, cause: object, line: int | None = None) -> None:
        """Say what is read in another way than the file has it."""
        warnings.warn(str(self.error(cause, line)), FormatWarning, stacklevel=2)

    def text(self) -> str:
        """The content as text, UTF-8 unless a byte-order mark says UTF-16, and without the mark."""
        encoding = "utf-16" if self.data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
        try:
            return self.data.decode(encoding)
        except UnicodeDecodeError as error:
            line, name = 1 + self.data.count(b"\n", 0, error.start), encoding[:6].upper()
            byte = f"byte {self.data[error.start]:#x}"
            raise self.error(f"{byte} is not {name.rstrip('-')}; save the file as UTF-8", line) from None


def line_of_word(text: str, index: int) -> int:
    """The line of a word of a text, counted from 0; of the last word if there are not so many."""
    found = next(islice(re.finditer(r"\S+", text), index, None), None)
    return 1 + text.count("\n", 0, found.start() if found else len(text.rstrip()))


def amount(count: int) -> str:
    """A count for a message, however long."""
    return str(count) if count < 10**18 else f"2^{count.bit_length() - 1} or more"


# ---------------------------------------------------------------- numbers


class BadNumberError(ValueError):
    """A word that is not a finite number ≥ 0."""


class Numbers(dict):
    """Word -> float64, each distinct word converted and checked once: tables repeat themselves.

    >>> Numbers().array([".5", "1e-3"]).tolist()
    [0.5, 0.001]
    """

    def __missing__(self, word: str) -> float:
        try:
            value = float(word)
        except ValueError:
            raise BadNumberError(f"{shown(word)} is not a number") from None
        if "_" in word or not word.isascii():  # Python's own literals
            raise BadNumberError(f"{shown(word)} is not a number")
        if not 0 <= value < inf:
            raise BadNumberError(f"{shown(word)} is not a finite number ≥ 0")
        if len(self) < 2**16:
            self[word] = value
        return value

    def array(self, words: Iterable[str]) -> np.ndarray:
        """The words as a float64 array."""
        return np.fromiter(map(self.__getitem__, words), np.float64)

    def parse(self, text: str, start: int = 0) -> np.ndarray:
        """All numbers of a text, in memory in proportion to their count."""
        space = re.compile(r"\s")
        parts = []
        while start < len(text):
            found = space.search(text, start + _CHUNK)
            end = found.end() if found else len(text)
            parts.append(self.array(text[start:end].split()))
            start = end
        return np.concatenate(parts) if parts else np.empty(0)


def first_bad(words: Iterable[str]) -> tuple[int, str] | None:
    """Index and complaint of the first word that is not a number ≥ 0."""
    numbers = Numbers()
    for k, word in enumerate(words):
        try:
            numbers[word]
        except BadNumberError as error:
            return k, str(error)
    return None


def written(values: np.ndarray, separator: str = " ") -> str:
    """Numbers as the shortest decimals that read back as the same float64."""
    return separator.join(map(repr, values.ravel().tolist()))


# ---------------------------------------------------------------- files


def is_gzip(path: str) -> bool:
    """Whether the name says that the file is compressed."""
    return path.lower().endswith(".gz")


def extension(path: str | os.PathLike[str], known: Collection[str], listed: Collection[str] = ()) -> str:
    """The extension that says the format, lower case and without ``.gz``; an error if it is not a known one.

    The error lists these, or those of them that serve.
    """
    name = os.fspath(path)
    plain = name[:-3] if is_gzip(name) else name
    found = os.path.splitext(plain)[1].lower()
    if found not in known:
        what = f"the extension {found!r} is not known" if found else "the name has no extension"
        serve = sorted(listed or known)
        raise failure(name, f"{what}{nearest(found, serve)}; use one of {', '.join(serve)}, each also with .gz")
    return found


def read(path: str | os.PathLike[str], known: Collection[str]) -> tuple[Source, str]:
    """The content of a file, decompressed, and its extension (one of `known`)."""
    name = os.fspath(path)
    with readable(name):
        file_size(name)  # a file that is not there is a worse fault than its name
    kind = extension(name, known)
    return content(name), kind


def content(name: str) -> Source:
    """The content of a file, decompressed."""
    with readable(name):
        size = file_size(name)
        if size > MAX_BYTES:
            raise failure(name, f"is larger than {MAX_BYTES >> 20} MiB; split it")
        with open(name, "rb") as file:
            data = file.read(size)
    return Source(name, _gunzip(name, data) if is_gzip(name) else _plain(name, data))


@contextmanager
def readable(name: str) -> Iterator[None]:
    """What the system says against reading a file, as an error that names it."""
    try:
        yield
    except FormatError:
        raise
    except FileNotFoundError:
        folder, own = os.path.split(name)
        there = os.listdir(folder or ".") if os.path.isdir(folder or ".") else []
        raise failure(name, f"no such file{nearest(own, there)}", number=errno.ENOENT) from None
    except (OSError, ValueError) as error:
        cause = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        raise failure(name, cause, number=getattr(error, "errno", None)) from None


def file_size(name: str) -> int:
    """The size of what must be a file."""
    found = os.stat(name)
    if stat.S_ISDIR(found.st_mode):
        raise failure(name, "is a directory; name a file in it", number=errno.EISDIR)
    if not stat.S_ISREG(found.st_mode):
        raise failure(name, "is not a regular file; copy its content to one")
    return found.st_size


def _plain(name: str, data: bytes) -> bytes:
    if data.startswith(b"\x1f\x8b"):
        raise failure(name, f"is compressed; rename it to {os.path.basename(name)}.gz")
    return data


def _gunzip(name: str, data: bytes) -> bytes:
    limit = min(MAX_BYTES, max(FREE_EXPANSION, EXPANSION * len(data)))
    out, size, stream = [], 0, zlib.decompressobj(wbits=31)
    try:
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            while piece:
                if stream.eof:  # a gzip file may have several members
                    stream = zlib.decompressobj(wbits=31)
                out.append(stream.decompress(piece))
                size += len(out[-1])
                if size > limit:
                    raise failure(
                        name, f"expands to more than {limit >> 20} MiB; if you trust it, decompress it yourself"
                    )
                piece = stream.unused_data
    except zlib.error as error:
        raise failure(name, f"is not gzip data, or damaged ({error}); rename or fetch it again") from None
    if not stream.eof:
        raise failure(name, "the compressed data end early; fetch the file again")
    return b"".join(out)


def encoded(text: str) -> bytes:
    """A text as UTF-8; one that begins with a byte-order mark of its own keeps it."""
    return text.encode("utf-8-sig" if text.startswith("\ufeff") else "utf-8")


def write(path: str | os.PathLike[str], data: bytes) -> None:
    """Put data in a file, compressed if its name ends in ``.gz``: whole, or not at all.

    The file keeps the mode and, where the system lets it, the owner of the one it replaces; a link stays a link.
    """
    name = os.fspath(path)
    target = os.path.realpath(name)
    if is_gzip(name):
        packer = zlib.compressobj(wbits=31)  # writes no name and no time: same content, same bytes
        data = packer.compress(data) + packer.flush()
    try:
        _replace(target, data)
    except OSError as error:
        raise failure(name, f"cannot be written: {error.strerror}", number=error.errno) from None


def _replace(target: str, data: bytes) -> None:
    old = os.stat(target) if os.path.exists(target) else None
    if old and not stat.S_ISREG(old.st_mode) and not stat.S_ISDIR(old.st_mode):
        raise OSError(None, "it is not a regular file; choose another place")
    # nobody may read the part before it has the mode of what it replaces; a new file has that of the umask
    with part_of(target, 0o600 if old else 0o666) as (part, file):
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        if old:
            _take_over(part, old)


def _take_over(part: str, old: os.stat_result) -> None:
    """Owner and mode of the file that is replaced; a group that cannot be kept may do what all others may."""
    mode = stat.S_IMODE(old.st_mode)
    try:
        _own(part, old.st_uid, old.st_gid)
    except OSError:
        try:
            _own(part, -1, old.st_gid)
        except OSError:
            mode = mode & ~0o070 | (mode & 0o007) << 3
    with suppress(OSError):  # a file system without modes leaves the part to its owner
        os.chmod(part, mode)


def _own(path: str, user: int, group: int) -> None:
    if hasattr(os, "chown"):  # where there are owners
        os.chown(path, user, group)
