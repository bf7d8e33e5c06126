"""Files of data: what is written comes back, real files give known numbers, a bad file gets one line that says why."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import random
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from functools import cache, partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from data import DATA, needs_data, real_files
from hostile import complaint, counted
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sweep import sweep
from test_fuzz_formats import DAMAGES, one_line

from tractable.formats import FormatError, column_names, read_data, write_data
from tractable.formats.data import npy, text

nan = float("nan")
refused = partial(complaint, read=read_data)
BINARY = np.random.default_rng(0).integers(0, 2, (20, 13), np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module", autouse=True)
def what_reads_is_loaded() -> None:
    """Imports are work that is not the file's."""
    with suppress(ImportError):
        import_module("pyarrow.parquet")
    import_module("tractable.formats.data.parquet")


@pytest.fixture(scope="module", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


def equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f" and b.dtype.kind == "f")


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def saved(array: object, **options: object) -> bytes:
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


def zipped(**arrays: object) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    big = array.astype(array.dtype.newbyteorder(">"))
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + big.tobytes()


# ---------------------------------------------------------------- round trips

NUMBERS = [np.bool_, np.uint8, np.int8, np.int16, np.int32, np.int64, np.float32, np.float64]
TABLES = st.sampled_from(NUMBERS).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6))
)


@sweep(60)
@given(table=TABLES, extension=st.sampled_from([".npy", ".npy.gz", ".npz"]))
def test_arrays_come_back_with_their_type(table: np.ndarray, extension: str, folder: Path) -> None:
    path = folder / f"table{extension}"
    write_data(path, table)
    back = read_data(path)
    assert back.dtype == table.dtype and equal(back, table)
    assert back.flags.writeable


@sweep(100)
@given(table=TABLES, extension=st.sampled_from([".csv", ".csv.gz", ".data"]))
def test_csv_comes_back_with_its_values(table: np.ndarray, extension: str, folder: Path) -> None:
    path = folder / f"table{extension}"
    write_data(path, table)
    assert equal(read_data(path).astype(np.float64), table.astype(np.float64))


@pytest.mark.parametrize("extension", [".npy", ".npy.gz", ".npz", ".csv", ".csv.gz", ".data", ".data.gz"])
def test_binary_data_stay_bytes(extension: str, tmp_path: Path) -> None:
    path = tmp_path / f"bits{extension}"
    write_data(path, BINARY)
    assert read_data(path).dtype == np.uint8
    assert equal(read_data(path), BINARY)
    first = path.read_bytes()
    write_data(path, BINARY)
    assert path.read_bytes() == first  # the same content gives the same bytes


def test_a_row_that_counts_is_not_taken_for_names_after_writing(tmp_path: Path) -> None:
    write_data(tmp_path / "ranks.csv", [[0, 1, 2], [2, 0, 1]])
    assert read_data(tmp_path / "ranks.csv").tolist() == [[0, 1, 2], [2, 0, 1]]


def test_infinity_is_a_number(tmp_path: Path) -> None:
    table = np.array([[np.inf, -np.inf], [0, 1]])
    write_data(tmp_path / "x.csv", table)
    assert equal(read_data(tmp_path / "x.csv"), table)


@pytest.mark.parametrize(
    ("array", "why"),
    [
        ([1, 2], r"expected rows and columns, found the shape \(2,\)"),
        (np.empty((0, 3)), r"found the shape \(0, 3\)"),
        (np.zeros((2, 2, 2)), "reshape it"),
        ([["a"]], "expected numbers, found <U1"),
        ([[1j]], "expected numbers, found complex128"),
        ([[None]], "expected numbers, found object"),
        ([[1], [2, 3]], "the data are no array"),
    ],
)
def test_what_is_no_table_is_not_written(array: object, why: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=why):
        write_data(tmp_path / "x.npy", array)
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "x.npy", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FormatError, match="cannot be written: No space left"):
        write_data(path, BINARY)
    assert [p.name for p in tmp_path.iterdir()] == ["x.npy"] and path.read_bytes() == b"old"


def test_idx_is_not_written(tmp_path: Path) -> None:
    for name in ("x.idx", "x-ubyte.gz"):
        with pytest.raises(FormatError, match=r"is read but not written; write one of \.csv"):
            write_data(tmp_path / name, BINARY)


# ---------------------------------------------------------------- which file


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    written(tmp_path / "train.csv", "0,1\n")
    with pytest.raises(FormatError, match=r"trian.csv: no such file; did you mean 'train.csv'\?"):
        read_data(tmp_path / "trian.csv")
    with pytest.raises(FormatError, match=r"x.npz: no such file"):
        read_data(f"{tmp_path}/x.npz:train")


def test_a_directory_and_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "x.csv").mkdir()
    with pytest.raises(FormatError, match="is a directory; name a file in it"):
        read_data(tmp_path / "x.csv")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.npy")
        with pytest.raises(FormatError, match="is not a regular file"):
            read_data(tmp_path / "pipe.npy")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("x.cvs", r"the extension '.cvs' is not known; did you mean '.csv'\?; use one of .csv, .data, (.idx, )?.npy"),
        ("x", "the name has no extension"),
        ("x.npz.gz", r"an \.npz file is compressed as it is; decompress it"),
        ("x.parquet.gz", r"an \.parquet file is compressed as it is"),
    ],
)
def test_a_wrong_extension(name: str, why: str, tmp_path: Path) -> None:
    written(tmp_path / name, "0,1\n")
    with pytest.raises(FormatError, match=why):
        read_data(tmp_path / name)
    with pytest.raises(FormatError, match=why):
        write_data(tmp_path / name, BINARY)


EXTENSIONS = [".csv", ".data", ".idx", ".npy", ".npz", ".parquet"]


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_an_empty_file(extension: str, tmp_path: Path) -> None:
    assert "empty" in refused(tmp_path / f"x{extension}", b"") or extension == ".npz"


@pytest.mark.parametrize("extension", [".csv", ".data", ".idx"])
def test_a_compressed_file_by_its_plain_name(extension: str, tmp_path: Path) -> None:
    assert f"is compressed; rename it to x{extension}.gz" in refused(
        tmp_path / f"x{extension}", gzip.compress(b"0,1\n")
    )


def test_a_key_for_a_file_without_names(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"has no array 'train': only an \.npz file"):
        read_data(written(tmp_path / "x.csv", "0,1\n"), key="train")


# ---------------------------------------------------------------- .npy


def test_more_axes_become_rows(tmp_path: Path) -> None:
    images = np.arange(24).reshape(2, 3, 4)
    for array in (images, np.asfortranarray(images)):
        path = written(tmp_path / "x.npy", saved(array))
        assert read_data(path).tolist() == images.reshape(2, 12).tolist()


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i8", "?", "<f2", "longdouble"])
@pytest.mark.parametrize("order", [np.ascontiguousarray, np.asfortranarray])
def test_a_large_file_is_mapped(order: Callable, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = order(BINARY.astype(dtype))
    path = written(tmp_path / "x.npy", saved(table))
    read = read_data(path)
    monkeypatch.setattr(npy, "MAPPED", 0)
    mapped = read_data(path)
    assert type(mapped) is type(read) is np.ndarray
    assert equal(mapped, table) and equal(read, table)
    assert mapped.dtype == read.dtype and mapped.dtype.isnative and mapped.dtype.itemsize <= 8
    assert read.flags.writeable and mapped.flags.writeable == (dtype in (">f8", "<f2", "longdouble"))


def test_a_mapped_file_takes_no_memory(tmp_path: Path) -> None:
    path = written(tmp_path / "x.npy", saved(np.zeros((70, 2**20), np.uint8)))
    with counted() as effort:
        table = read_data(path)
    assert table.shape == (70, 2**20) and effort.peak < 2**20


class Trap:
    """What a pickle may do when it is read."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("sprung",)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (saved(np.zeros(5)), "has one axis, of length 5; data have rows and columns: make it a column with reshape"),
        (saved(np.float64(3)), "is a single number; data have rows and columns"),
        (saved(np.zeros((0, 5))), "has no rows"),
        (saved(np.zeros((5, 0))), "has no columns"),
        (saved(np.zeros((5, 5), complex)), "holds complex128, not numbers"),
        (saved(np.array([["a"]])), "holds <U1, not numbers"),
        (saved(np.zeros((2, 2), "M8[s]")), "has a header that does not describe an array of numbers"),
        (saved(np.zeros((2, 2), [("a", "f8")])), "has a header that does not describe an array of numbers"),
        (saved(np.array([[Trap()]]), allow_pickle=True), r"holds Python objects \(a pickle\), which are never read"),
        (saved(np.zeros((2, 2), [("a", "O")]), allow_pickle=True), "holds Python objects"),
        (pickle.dumps(Trap()), "is a pickle, which is never read"),
        (b"0,1\n1,1\n", "is not in NumPy's format"),
        (b"\x93NUMPY", "has a header of an unknown kind"),
        (saved(BINARY)[:-1], "needs 260 bytes by its header, but there are 259; fetch the file again"),
        (saved(BINARY) + b"x", "needs 260 bytes by its header, but there are 261"),
        (saved(BINARY)[:100], "ends within its header"),
    ],
)
def test_bad_npy(content: bytes, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, data in [("x.npy", content), ("x.npy.gz", gzip.compress(content))]:
        message = refused(tmp_path / name, data)
        with pytest.raises(AssertionError, match=why):
            raise AssertionError(message)
    assert not (tmp_path / "sprung").exists()


def head(shape: str, kind: str = "|u1", version: int = 1, length: int | None = None) -> bytes:
    body = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    width = 2 if version == 1 else 4
    size = (len(body) if length is None else length).to_bytes(width, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + body


@pytest.mark.parametrize(
    "shape", ["(1000000, 1000000)", f"({10**30}, {10**4000})", f"({2**63}, 0)", "(0, 9)", "(-1, 2)"]
)
@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_header_that_claims_a_huge_array(shape: str, version: int, tmp_path: Path) -> None:
    content = head(shape, version=version) + bytes(100)
    assert refused(tmp_path / "x.npy", content)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("x.npy", content)
    assert refused(tmp_path / "x.npz", out.getvalue())


@pytest.mark.parametrize(
    "content",
    [
        head("(2, 2)", length=0),
        head("(2, 2)", version=2, length=2**32 - 1),
        head("(2, 2)", version=9),
        head("(2, 2)", kind="<z9"),
        head("(2, 2)", kind="<f3"),
        head("(2, 2)", kind="<u0"),
        head("(2, 2)", kind="f9999"),
        head(f"({'1,' * 99})") + b"x",
        head("(2, (2))") + bytes(4),
        head("(2, 2, __import__('os'))") + bytes(4),
        head("(2 2)") + bytes(22),
    ],
)
def test_a_strange_header(content: bytes, tmp_path: Path) -> None:
    assert refused(tmp_path / "x.npy", content)


# ---------------------------------------------------------------- .npz and packed bits


def test_one_of_several_arrays(tmp_path: Path) -> None:
    path = written(tmp_path / "x.npz", zipped(train=BINARY, test=BINARY[:3], y=np.arange(3)))
    assert equal(read_data(f"{path}:test"), BINARY[:3])
    assert equal(read_data(path, key="train"), BINARY)
    assert equal(read_data(f"{path}:train", key="train"), BINARY)
    for place, options, why in [
        (path, {}, "holds 3 arrays: train, test, y; choose one, as in FILE.npz:train"),
        (f"{path}:tset", {}, r"has no array 'tset'; did you mean 'test'\?; it holds train, test, y"),
        (f"{path}:y", {}, "the array 'y' has one axis, of length 3"),
        (f"{path}:train", {"key": "test"}, "the name asks for the array 'train', the key for 'test'"),
        (f"{path}:train:13", {"n_features": 14}, "the name asks for 13 columns, n_features for 14"),
        (f"{path}:train:14", {}, r"has 13 columns of uint8; expected 14 or 2 of packed bits \(uint8, some above 1\)"),
    ]:
        with pytest.raises(FormatError, match=f"x.npz: .*{why}"):
            read_data(place, **options)


@sweep(50)
@given(bits=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.integers(0, 1)))
def test_packed_bits_are_unpacked_where_the_file_says_how_many(bits: np.ndarray, folder: Path) -> None:
    packed, n = np.packbits(bits, axis=1), bits.shape[1]
    path = written(folder / "bits.npz", zipped(train=packed, n_features=n))
    if n > 1:  # the bit of a single column is the highest of a byte
        assert equal(read_data(path), bits)
        assert equal(read_data(path, n_features=n), bits)
    both = written(folder / "both.npz", zipped(train=bits, n_features=n))
    assert equal(read_data(both), bits)
    bare = written(folder / "bare.npz", zipped(train=packed))
    assert equal(read_data(bare), packed)  # nobody said that these are bits
    if n > 1 and packed.max() > 1:
        assert equal(read_data(f"{bare}::{n}"), bits)
        assert equal(read_data(written(folder / "bare.npy", saved(packed)), n_features=n), bits)


def test_bits_are_not_unpacked_by_mistake(tmp_path: Path) -> None:
    plain = written(tmp_path / "plain.npz", zipped(x=BINARY[:, :2]))
    with pytest.raises(FormatError, match="has 2 columns of uint8; expected 13 or 2 of packed bits"):
        read_data(plain, n_features=13)
    spoilt = written(tmp_path / "spoilt.npz", zipped(x=np.full((2, 2), 255, np.uint8), n_features=13))
    with pytest.raises(FormatError, match="has bits set beyond the 13 features"):
        read_data(spoilt)
    floats = written(tmp_path / "floats.npz", zipped(x=np.ones((2, 2)), n_features=13))
    assert read_data(floats).shape == (2, 2)
    with pytest.raises(FormatError, match="cannot have 0 columns"):
        read_data(floats, n_features=0)
    csv = written(tmp_path / "x.csv", "7,9\n")
    with pytest.raises(FormatError, match=r"has 2 columns of float64; expected 13$"):
        read_data(csv, n_features=13)


def bomb(n: int, present: int | None = None, **claims: int) -> bytes:
    """A zip whose entry promises `n` zero bytes and holds as many as are present; its directory may claim more."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", head(f"({n}, 1)") + bytes(n if present is None else present))
    data = bytearray(out.getvalue())
    at = data.rindex(b"PK\1\2")
    for name, value in claims.items():
        offset = {"method": 10, "packed": 20, "size": 24, "flags": 8}[name]
        data[at + offset : at + offset + (4 if offset > 12 else 2)] = value.to_bytes(4 if offset > 12 else 2, "little")
    return bytes(data)


def test_a_zip_bomb_is_refused_before_it_goes_off(tmp_path: Path) -> None:
    assert "expands to more than 64 MiB; if you trust it" in refused(tmp_path / "x.npz", bomb(2**27))
    assert "needs 67108864 bytes by its header" in refused(tmp_path / "x.npz", bomb(2**26, size=2**20))
    claimed = 2**25 + len(head(f"({2**25}, 1)"))
    lie = bomb(2**25, present=0, size=claimed)
    assert f"cannot come to {claimed} bytes when expanded" in refused(tmp_path / "x.npz", lie)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"no zip at all", "is not an .npz file, or damaged (File is not a zip file)"),
        (bomb(100, flags=1), "is not an .npz file, or damaged"),
        (bomb(100, method=99), "is not an .npz file, or damaged"),
        (zipped(x=BINARY)[:-30], "is not an .npz file, or damaged"),
        (zipped(x=np.array([[Trap()]])), "the array 'x' holds Python objects (a pickle), which are never read"),
        (zipped(), "holds no array"),
        (zipped(n_features=3), "holds no array"),
    ],
)
def test_bad_npz(content: bytes, why: str, tmp_path: Path) -> None:
    assert why in refused(tmp_path / "x.npz", content)


def test_a_changed_byte_in_a_zip_is_noticed(tmp_path: Path) -> None:
    out = io.BytesIO()
    np.savez(out, x=BINARY)
    content = bytearray(out.getvalue())
    content[content.index(BINARY.tobytes()) + 5] ^= 1
    assert "Bad CRC-32" in refused(tmp_path / "x.npz", bytes(content))


# ---------------------------------------------------------------- IDX


@pytest.mark.parametrize(
    ("kind", "dtype"), [(8, "u1"), (9, "i1"), (11, "i2"), (12, "i4"), (13, "f4"), (14, "f8")], ids=str
)
@pytest.mark.parametrize("name", ["a.idx", "a-images-idx3-ubyte", "a.idx3-ubyte", "A-UBYTE.gz", "a.idx.gz"])
def test_idx(name: str, kind: int, dtype: str, tmp_path: Path) -> None:
    images = np.arange(24, dtype=dtype).reshape(2, 3, 4)
    content = idx(images, kind)
    path = written(tmp_path / name, gzip.compress(content) if name.endswith(".gz") else content)
    table = read_data(path)
    assert table.dtype == np.dtype(dtype) and table.dtype.isnative and table.flags.writeable
    assert equal(table, images.reshape(2, 12))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (idx(BINARY)[:-1], "needs 272 bytes by its header, but has 271"),
        (idx(BINARY) + b"x", "needs 272 bytes by its header, but has 273"),
        (idx(BINARY[:, 0]), "has one axis, of length 20"),
        (idx(BINARY[:0]), "has no rows"),
        (b"\0\0\x08\0x", "is a single number"),
        (b"\0\0\x07\x02" + bytes(8), "is not an IDX file"),
        (b"\x01\0\x08\x02", "is not an IDX file"),
        (b"\0\0", "is not an IDX file"),
        (b"\0\0\x0e\xff" + b"\xff" * 1020, "needs 2^8162 or more bytes by its header"),
        (b"\0\0\x0e\x02" + b"\xff" * 8, "needs 2^66 or more bytes by its header"),
    ],
)
def test_bad_idx(content: bytes, why: str, tmp_path: Path) -> None:
    assert why in refused(tmp_path / "x.idx", content)


# ---------------------------------------------------------------- CSV


@pytest.mark.parametrize(
    ("content", "table", "names"),
    [
        ("0,1\n1,1\n", [[0, 1], [1, 1]], None),
        ("0,1\n1,1", [[0, 1], [1, 1]], None),
        ("0,1\r\n1,1\r\n", [[0, 1], [1, 1]], None),
        ("0,1\r1,1\r", [[0, 1], [1, 1]], None),
        ("\ufeffa,b\n0,1\n", [[0, 1]], ["a", "b"]),
        ("\ufeff0,1\n1,1\n", [[0, 1], [1, 1]], None),
        ("a,b\n\n0,1\n\n\n1,1\n", [[0, 1], [1, 1]], ["a", "b"]),
        ("\n0,1,2\n1,1,0\n", [[1, 1, 0]], ["0", "1", "2"]),
        ("0,1,2\r5,5,5\n1,1,0\n", [[5, 5, 5], [1, 1, 0]], ["0", "1", "2"]),
        ('"a, b","c\nd"\n0,"1"\n', [[0, 1]], ["a, b", "c\nd"]),
        (' 0, 1\n "1",\t1 \n', [[0, 1], [1, 1]], None),
        ("1,,3\n?,NA,NaN\nnan,na, \n4,5,6", [[1, nan, 3], [nan] * 3, [nan] * 3, [4, 5, 6]], None),
        ("a,b\n?,\n", [[nan, nan]], ["a", "b"]),
        ("?,\n1,2\n", [[nan, nan], [1, 2]], None),
        ("12345,-1\n1e3,.5\n+7,1.\n", [[12345, -1], [1000, 0.5], [7, 1]], None),
        ("123456789012,1\n", [[123456789012, 1]], None),
        ("True,FALSE\ntrue,false\n", [[1, 0], [1, 0]], None),
        ("-inf,Infinity\n", [[-np.inf, np.inf]], None),
        ("x\n1\n\n0\n", [[1], [0]], ["x"]),
        ('x\n1\n""\n', [[1], [nan]], ["x"]),
        ("1\n?\n", [[1], [nan]], None),
        (",a,b\n0,5,6\n1,7,8\n", [[5, 6], [7, 8]], ["a", "b"]),
        ('"","mpg","cyl"\n"Mazda RX4",21,6\n', [[21, 6]], ["mpg", "cyl"]),
        (",0,1,2\n0,1,1,0\n1,0,0,1\n", [[1, 1, 0], [0, 0, 1]], ["0", "1", "2"]),
        ("0,1,2\n0,1,1\n", [[0, 1, 1]], ["0", "1", "2"]),
        ("0,1\n0,1\n", [[0, 1], [0, 1]], None),
        ("year,1998,1999\n1,2,3\n", [[1, 2, 3]], ["year", "1998", "1999"]),
        ("a_b,c\n1,2\n", [[1, 2]], ["a_b", "c"]),
        ("NA,EU\n1,2\n", [[1, 2]], ["NA", "EU"]),
        ("a;b\n0;1\n", [[0, 1]], ["a", "b"]),
        ("a;b\n0,5;1,25\n;-,5\n", [[0.5, 1.25], [nan, -0.5]], ["a", "b"]),
        ("1,5;2,5\n3;4,5\n", [[1.5, 2.5], [3, 4.5]], None),
        ("sep=;\r\na;b\r\n1,5;2\r\n", [[1.5, 2]], ["a", "b"]),
        ("\ufeffa;b\r\n1,5;2\r\n", [[1.5, 2]], ["a", "b"]),
        ("x\n1,5\n2\n", [[1.5], [2]], ["x"]),
        ("a\tb, c\n1\t2\n", [[1, 2]], ["a", "b, c"]),
        ("a|b\n1|2.5\n", [[1, 2.5]], ["a", "b"]),
        ('"a" "b"\n"1" 1.5 2\n"2" 3 4\n', [[1.5, 2], [3, 4]], ["a", "b"]),
        ("a\tb\nr1\t1\t2\nr2\t3\t4\n", [[1, 2], [3, 4]], ["a", "b"]),
        ("1  2 3\n4 5   6\n", [[1, 2, 3], [4, 5, 6]], None),
        ("Unnamed: 0,a\n0,5\n", [[5]], ["a"]),
        ("land,1998,1999\n1,2,3\n", [[1, 2, 3]], ["land", "1998", "1999"]),
    ],
)
def test_csv(content: str, table: list, names: list[str] | None, tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", content)
    assert equal(read_data(path).astype(float), np.array(table, float))
    assert column_names(path) == names
    binary = all(x in (0, 1) for row in table for x in row)
    assert read_data(path).dtype == (np.uint8 if binary else np.float64)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("a,b\n0,1\n0\n", "x.csv:3: expected 2 cells as in the first row, found 1"),
        ("0,1\n0,1,1\n", "x.csv:2: expected 2 cells as in the first row, found 3"),
        ("0,1\n\n1,0\n1\n", "x.csv:4: expected 2 cells"),
        ("0,1,0\n0,x,1\n", "x.csv:2: column 2: 'x' is not a number; leave a missing cell empty"),
        ('a,"b\nc"\n0,1\n0,1x\n', "x.csv:4: column 2 ('b\\nc'): '1x' is not a number"),
        ("x,x\n1,2\n", "x.csv:1: two columns have the name 'x'; rename one of them"),
        ("0,l,0,1\n", "x.csv:1: column 2: 'l' is not a number"),
        (",a,b\nr1,0,oh\n", "x.csv:2: column 3 ('b'): 'oh' is not a number"),
        ("0,1_0\n5,5\n", "x.csv:1: column 2: '1_0' is not a number"),
        ("0.5,O.7\n5,5\n", "x.csv:1: column 2: 'O.7' is not a number"),
        ("5,5\n0,1_0\n", "x.csv:2: column 2: '1_0' is not a number"),
        ("5,5\n0,1e999\n", "x.csv:2: column 2: '1e999' is too large for a number of 64 bits"),
        ("a,b\n", "x.csv: has a header, but no rows"),
        ("\n \n", "x.csv: the file is empty"),
        ("\n\n", "x.csv: the file is empty"),
        ('0,"1\n', "x.csv:1: a quote opens here and does not end"),
        ('0,1\n"1"2,1\n', "x.csv:2: not CSV"),
        (b"0,1\n\xff,1\n", "x.csv:2: byte 0xff is not UTF-8"),
        ("0,1\n1,1\n".encode("utf-16")[:-1], "x.csv:"),
        ("0,1\n\0,1\n", "x.csv:2: holds a byte 0, as UTF-16 without its mark does"),
        ("0,1\n" + "9" * 200_000 + ",1\n", "x.csv:2: a cell is longer than 131072 characters"),
    ],
)
def test_bad_csv(content: str, why: str, tmp_path: Path) -> None:
    assert why in refused(tmp_path / "x.csv", content)


def test_data_files_have_no_header(tmp_path: Path) -> None:
    assert read_data(written(tmp_path / "x.data", "0,1,2\n1,1,1\n")).tolist() == [[0, 1, 2], [1, 1, 1]]
    assert column_names(tmp_path / "x.data") is None
    assert "x.data:1: column 1: 'a' is not a number" in refused(tmp_path / "x.data", "a,b\n0,1\n")


def test_a_bad_cell_far_down_is_found(tmp_path: Path) -> None:
    lines = ["0,1,1"] * 60_000
    lines[50_000] = "0,1,1x"
    assert "x.csv:50001: column 3: '1x' is not a number" in refused(tmp_path / "x.csv", "\n".join(lines))
    lines[50_000] = "0,1"
    assert "x.csv:50001: expected 3 cells as in the first row, found 2" in refused(tmp_path / "x.csv", "\n".join(lines))


CELL = st.one_of(
    st.integers(0, 1).map(str),
    st.integers(-(10**4), 10**12).map(str),
    st.floats(allow_nan=False).map(repr),
    st.sampled_from(
        ["", "?", "NA", "NaN", "nan", "00", "007", "-0", "True", '"1"', '""', " 1 ", "1NA", "?1", "x", "1_0"]
    ),
)


@sweep(150)
@given(
    cells=st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(CELL, min_size=n, max_size=n), min_size=1, max_size=5)),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
)
def test_the_fast_way_agrees_with_the_thorough_one(cells: list[list[str]], end: str, last: bool, folder: Path) -> None:
    path = written(folder / "x.csv", end.join(map(",".join, cells)) + end * last)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "_BYTES", 8)
        patch.setattr(text, "_CELLS", 3)
        fast = outcome(path)
        patch.setattr(text, "_fast", lambda *_: None)
        assert fast == outcome(path)


def outcome(path: Path) -> tuple[object, ...]:
    try:
        table = read_data(path)
    except FormatError as error:
        return (str(error),)
    return table.dtype, table.shape, table.tobytes()


def test_a_large_csv_is_read_soon_and_in_proportion(tmp_path: Path) -> None:
    table = np.random.default_rng(0).integers(0, 256, (5_000, 784), np.uint8)
    for path, values, itemsize in [("bytes.csv", table, 8), ("bits.csv", table & 1, 1)]:
        write_data(tmp_path / path, values)
        with counted() as effort:
            back = read_data(tmp_path / path)
        assert equal(back.astype(np.uint8), values) and back.itemsize == itemsize
        assert effort.calls < 10 * len(table)  # none for a cell
        assert effort.peak < 2.5 * back.nbytes + 2 * (tmp_path / path).stat().st_size + 2**27


def test_a_gzip_bomb(tmp_path: Path) -> None:
    for name in ("x.csv.gz", "x.npy.gz", "x.idx.gz"):
        with pytest.raises(FormatError, match="expands to more than 64 MiB"):
            read_data(written(tmp_path / name, gzip.compress(b"0,1\n" * 2**25)))


# ---------------------------------------------------------------- Parquet

BACKENDS = ["pyarrow", "polars"]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The library that reads; files are written by either."""
    from tractable.formats.data import parquet

    pytest.importorskip(request.param)
    monkeypatch.setattr(parquet, "_library", lambda _: getattr(parquet, f"_{request.param}"))
    return request.param


def parquet_file(path: Path, columns: dict[str, object]) -> Path:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    write_table(arrow.table(columns), path)
    return path


@pytest.mark.parametrize(
    ("columns", "dtype", "table"),
    [
        ({"a": [0, 1], "b": [0.5, None]}, np.float64, [[0, 0.5], [1, nan]]),
        ({"a": [True, False], "b": [True, True]}, np.bool_, [[1, 1], [0, 1]]),
        ({"a": [True, None], "b": [True, True]}, np.float64, [[1, 1], [nan, 1]]),
        ({"a": [1, None]}, np.float64, [[1], [nan]]),
        ({"a": np.array([1, 2], np.uint8), "b": [True, False]}, np.uint8, [[1, 1], [2, 0]]),
        ({"a": [Decimal("1.5"), Decimal("2.25")]}, np.float64, [[1.5], [2.25]]),
        ({"a": [Decimal("1.5"), None]}, np.float64, [[1.5], [nan]]),
        ({"a": np.array([1, 2], np.float32)}, np.float32, [[1], [2]]),
        ({"a": np.array([1, 2], np.int32), "b": np.array([1, 2], np.int64)}, np.int64, [[1, 1], [2, 2]]),
    ],
)
def test_parquet(columns: dict, dtype: type, table: list, backend: str, tmp_path: Path) -> None:
    path = parquet_file(tmp_path / "x.parquet", columns)
    back = read_data(path)
    assert back.dtype == dtype and back.flags.writeable
    assert equal(back.astype(float), np.array(table, float))
    assert column_names(path) == [*columns]


def test_bad_parquet(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    for columns, why in [
        (
            {"a": [1, 2], "kind": ["x", "y"]},
            "the column 'kind' holds String, not numbers or booleans; leave it out",
        ),
        ({"a": [[1], [2]]}, "the column 'a' holds List"),
        ({"a": np.array([], float)}, "the table has no rows"),
    ]:
        with pytest.raises(FormatError, match=f"x.parquet: .*{why}"):
            read_data(parquet_file(path, columns))
    whole = parquet_file(path, {"a": [1.0, 2.0]}).read_bytes()
    for content in (b"PAR1", whole[:-1], whole[:50], b"0,1\n", bytes(100)):
        assert "is not a Parquet file, or damaged" in refused(path, content)


def test_many_equal_cells_in_a_small_file(backend: str, tmp_path: Path) -> None:
    path = parquet_file(tmp_path / "x.parquet", {"a": np.zeros(10**7)})
    with pytest.raises(FormatError, match="expands to 10000000 cells, more than 64 MiB"):
        read_data(path)


def test_polars_reads_where_pyarrow_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from tractable.formats.data import parquet

    assert parquet._library("x.parquet") is parquet._pyarrow
    monkeypatch.setattr(parquet, "is_there", lambda package: package == "polars")
    assert parquet._library("x.parquet") is parquet._polars


# ---------------------------------------------------------------- real files


def independent_pixels(train: np.ndarray, test: np.ndarray) -> float:
    """Mean log-likelihood under independent columns, with one observation of each value added."""
    p = (train.sum(axis=0) + 1.0) / (len(train) + 2)
    return float((test @ np.log(p) + (1 - test.astype(float)) @ np.log1p(-p)).mean())


@needs_data
def test_mnist() -> None:
    assert DATA
    folder = DATA / "mnist"
    parts = {key: read_data(f"{folder}/binarized_mnist_fixed.npz:{key}:784") for key in ("train", "valid", "test")}
    assert {key: part.shape for key, part in parts.items()} == {
        "train": (50_000, 784),
        "valid": (10_000, 784),
        "test": (10_000, 784),
    }
    assert all(part.dtype == np.uint8 and part.max() == 1 for part in parts.values())
    assert independent_pixels(parts["train"], parts["test"]) == pytest.approx(-205.8, abs=0.1)
    images = read_data(folder / "train-images-idx3-ubyte.gz")
    assert images.shape == (60_000, 784) and images.dtype == np.uint8 and images.max() == 255
    assert images.mean() / 255 == pytest.approx(0.1307, abs=1e-4)  # the mean that everyone normalizes with
    with pytest.raises(FormatError, match="has one axis, of length 60000"):
        read_data(folder / "train-labels-idx1-ubyte.gz")


@pytest.mark.parametrize("path", real_files("uci/*.npz"), ids=lambda path: path.name)
def test_uci(path: Path) -> None:
    with np.load(path) as file:
        for key in ("train", "valid", "test"):
            n = int(file["n_features"])
            assert equal(read_data(path, key=key), np.unpackbits(file[key], axis=1)[:, :n])


@pytest.mark.parametrize("path", real_files("density/*.data.gz"), ids=lambda path: path.name)
def test_density(path: Path) -> None:
    table = read_data(path)
    content = gzip.decompress(path.read_bytes())
    assert table.dtype == np.uint8
    assert table.shape == (content.count(b"\n"), content.index(b"\n") // 2 + 1)
    assert table.sum() == content.count(b"1")


@needs_data
def test_mixtures() -> None:
    assert DATA
    folder = DATA / "mixtures"
    shapes = {"faithful": (272, 2), "galaxies": (82, 1), "geyser": (299, 2), "quakes": (1000, 5)}
    assert {name: read_data(folder / f"{name}.csv").shape for name in shapes} == shapes
    assert column_names(folder / "faithful.csv") == ["eruptions", "waiting"]
    assert read_data(folder / "faithful.csv").mean(axis=0) == pytest.approx([3.487783, 70.897059], abs=1e-6)
    with pytest.raises(FormatError, match=r"iris.csv:2: column 6 \('Species'\): 'setosa' is not a number"):
        read_data(folder / "iris.csv")


# ---------------------------------------------------------------- damage


@cache
def seeds(extension: str) -> tuple[bytes, ...]:
    """Good files of a few hundred bytes."""
    small = BINARY[:5, :6]
    floats = np.where(small, 0.25, nan)
    if extension == ".npy":
        return saved(small), saved(floats), saved(small.reshape(5, 3, 2)), saved(np.asfortranarray(floats))
    if extension == ".npz":
        return zipped(x=small), zipped(train=floats, test=floats), zipped(x=np.packbits(small, axis=1), n_features=6)
    if extension == ".idx":
        return idx(small), idx(small.reshape(5, 3, 2)), idx(floats, 14)
    if extension == ".parquet":
        return (_parquet_seed(),)
    return b"a,b,c\n0,1,1\n1,0,1\n", b"0.5,?,NA\n1,,2\n", b'"","x","y"\n"1",0.25,7\n"2",,1\n', b"0,1,1\r\n1,1,0\r\n"


def _parquet_seed() -> bytes:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    out = io.BytesIO()
    write_table(arrow.table({"a": [0.5, None], "b": [True, False]}), out)
    return out.getvalue()


def spoil(seed: int, extension: str) -> bytes:
    rng = random.Random(seed)
    data = rng.choice(seeds(extension))
    for _ in range(rng.randrange(1, 4)):
        data = rng.choice(DAMAGES)(rng, data)
    return data


def check(path: Path, data: bytes, **options: object) -> None:
    """The file is read, as a table of numbers, or refused in one line, soon and in little memory."""
    path.write_bytes(data)
    with counted() as effort:
        try:
            table = read_data(path, **options)
            assert table.ndim == 2 and table.size and table.dtype.kind in "buif" and table.dtype.isnative
        except FormatError as error:
            one_line(error, path)
    assert effort.little_for(len(data))
    assert effort.peak < 2**24 + 100 * len(data)


SEED = st.integers(0, 2**32)


@sweep(100)
@given(seed=SEED, extension=st.sampled_from([".csv", ".data"]))
def test_damaged_csv(seed: int, extension: str, folder: Path) -> None:
    check(folder / f"x{extension}", spoil(seed, extension))


@sweep(100)
@given(seed=SEED)
def test_damaged_npy(seed: int, folder: Path) -> None:
    check(folder / "x.npy", spoil(seed, ".npy"), n_features=6)


@sweep(150)
@given(seed=SEED)
def test_damaged_npz(seed: int, folder: Path) -> None:
    check(folder / "x.npz", spoil(seed, ".npz"))


@sweep(70)
@given(seed=SEED)
def test_damaged_idx(seed: int, folder: Path) -> None:
    check(folder / "x-ubyte", spoil(seed, ".idx"))


@sweep(50)
@given(seed=SEED, extension=st.sampled_from([".csv", ".npy", ".idx"]))
def test_damaged_gzip(seed: int, extension: str, folder: Path) -> None:
    rng = random.Random(seed)
    check(folder / f"x{extension}.gz", rng.choice(DAMAGES)(rng, gzip.compress(spoil(seed, extension))))


@sweep(50)
@given(data=st.binary(max_size=300), extension=st.sampled_from([".csv", ".npy", ".npz", ".idx", ".npy.gz"]))
def test_noise(data: bytes, extension: str, folder: Path) -> None:
    check(folder / f"x{extension}", data)


@pytest.mark.parametrize("extension", [".csv", ".npy", ".npz", ".idx"])
def test_the_damage_spoils_most_files_and_leaves_some_good(extension: str, folder: Path) -> None:
    path, spoilt = folder / f"x{extension}", 0
    for seed in range(300):
        try:
            read_data(written(path, spoil(seed, extension)))
        except FormatError:
            spoilt += 1
    assert 30 < spoilt < 299


# ---------------------------------------------------------------- what a command on a network pays


def test_the_formats_of_networks_load_none_of_this() -> None:
    code = (
        "import sys, tractable.formats as f; print([m for m in sys.modules if 'formats.data' in m or m == 'zipfile'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_sign_of_zero_does_not_depend_on_how_rows_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "x.csv", "100.0\n-0\n")
    whole = read_data(path)
    monkeypatch.setattr(text, "_BYTES", 4)
    assert np.signbit(whole).tolist() == np.signbit(read_data(path)).tolist() == [[False], [True]]
