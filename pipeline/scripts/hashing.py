"""64-bit hashes of whole columns, the same on every machine, in any order and any engine.

Numbers are mixed as in SplitMix64 (Steele, Lea and Flood, 2014, "Fast splittable pseudorandom
number generators"); a text is the sum of its bytes, each times a random weight of its place,
mixed. A row's hash is the sum over its columns of their hashes mixed with the column's name, so
neither the order of columns nor how a value was written matters.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Mapping

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_MISSING: Final = np.uint64(0x6D697373696E6721)
_LONGEST: Final = 1 << 16
_SAMPLE: Final = 1_000


def mixed(values: np.ndarray) -> np.ndarray:
    """SplitMix64's finalizer over an array of uint64."""
    values = values + _GOLDEN
    shifted = values >> np.uint64(30)
    values ^= shifted
    values *= _FIRST
    values ^= np.right_shift(values, np.uint64(27), out=shifted)
    values *= _SECOND
    values ^= np.right_shift(values, np.uint64(31), out=shifted)
    return values


def _of_column(values: pa.Array, own: np.uint64) -> np.ndarray:
    """A hash for each value of the column that has the number `own`; one for all missing ones."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_dictionary(values.type):
        codes = values.indices.fill_null(0).to_numpy(zero_copy_only=False)
        hashes = _of_column(values.dictionary, own)[codes] if len(values.dictionary) else codes
    elif pa.types.is_string(values.type):
        if _repeats(values):
            return _of_column(values.dictionary_encode(), own)
        hashes = mixed(_text_sums(values) ^ own)
    else:
        hashes = mixed(_bits(values).view(np.uint64) ^ own)
    if values.null_count:
        missing = values.is_null().to_numpy(zero_copy_only=False)
        hashes = np.where(missing, _MISSING ^ own, hashes)
    return hashes.astype(np.uint64, copy=False)


def _repeats(texts: pa.Array) -> bool:
    """Whether each distinct text is better hashed once: guessed from the first ones."""
    first = texts[:_SAMPLE]
    return len(texts) > _SAMPLE and 2 * len(first.unique()) < len(first)


def _bits(values: pa.Array) -> np.ndarray:
    if pa.types.is_floating(values.type):
        filled = values.fill_null(0.0) if values.null_count else values
        return filled.to_numpy(zero_copy_only=False) + 0.0  # -0.0 is 0.0
    if pa.types.is_date32(values.type):
        values = values.cast(pa.int32())
    whole = pc.cast(values, pa.int64())
    return (whole.fill_null(0) if whole.null_count else whole).to_numpy(zero_copy_only=False)


def of_numbers(values: np.ndarray) -> np.ndarray:
    """A hash for each number of an array of 64-bit floats or integers."""
    return mixed(np.ascontiguousarray(values).view(np.uint64))


def of_texts(texts: pa.Array) -> np.ndarray:
    """A hash for each text of a `pa.string()` array; those of missing ones mean nothing."""
    return mixed(_text_sums(texts))


def _text_sums(texts: pa.Array) -> np.ndarray:
    """The weighted sums of the texts' bytes, from the array's own buffers."""
    rows = len(texts)
    if not rows:
        return np.zeros(0, np.uint64)
    _, offset_buffer, data_buffer = texts.buffers()
    ends = np.frombuffer(offset_buffer, np.int32)[texts.offset : texts.offset + rows + 1]
    lengths = np.diff(ends)
    sums = lengths.astype(np.uint64)
    if data_buffer is not None and lengths.any():
        data = np.frombuffer(data_buffer, np.uint8)[ends[0] : ends[-1]]
        places = np.arange(len(data), dtype=np.int64) - np.repeat(ends[:-1] - ends[0], lengths)
        products = (data.astype(np.uint64) + np.uint64(1)) * _weights(places, lengths)
        filled = np.flatnonzero(lengths)
        sums[filled] += np.add.reduceat(products, (ends[:-1] - ends[0])[filled])
    return sums


def _weights(places: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    size = max(64, 1 << int(lengths.max()).bit_length())
    if size <= _LONGEST:
        return _weight_table(size)[places]
    return mixed(places.astype(np.uint64)) | np.uint64(1)


@lru_cache(maxsize=16)
def _weight_table(size: int) -> np.ndarray:
    return mixed(np.arange(size, dtype=np.uint64)) | np.uint64(1)


def salt(text: str) -> np.uint64:
    """64 bits that depend on `text` alone, such as a column's name or a seed."""
    return np.uint64(int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little"))


def of_rows(columns: Mapping[str, pa.Array], seed: int) -> np.ndarray:
    """A hash for each row of `columns`, by name; it depends on their values and on `seed`."""
    total: np.ndarray | None = None
    for name, values in columns.items():
        part = _of_column(values, salt(name))
        total = part if total is None else total + part
    if total is None:
        raise ValueError("no columns")
    return mixed(total ^ salt(f"seed {seed}"))
