"""What is signed cannot be changed or used elsewhere; what is compressed comes back, in bounded memory."""

from __future__ import annotations

import contextlib
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqueue.core.codec import COMPRESSED, MAX_BYTES, SIGNED
from aqueue.core.seals import Compression, Signature
from aqueue.exceptions import DecodeError, SerializerMismatch

OLD, NEW = b"o" * 32, b"n" * 32
SIGNATURE = Signature([NEW], "shop")
SIGNED_DATA = SIGNATURE.close(b'["add"]', "message", "id")
COMPRESSION = Compression(100)

# -- signatures


@given(st.binary(), st.sampled_from(["message", "result", "error", "progress"]), st.text())
def test_what_was_signed_is_read_for_what_it_was_signed_as(data: bytes, what: str, task_id: str) -> None:
    assert SIGNATURE.open(SIGNATURE.close(data, what, task_id), what, task_id) == data


def test_the_first_key_signs_and_every_key_verifies() -> None:
    old, new = Signature([OLD], "shop"), Signature([NEW], "shop")
    adding, changing = Signature([OLD, NEW], "shop"), Signature([NEW, OLD], "shop")
    for writer in (old, new, adding, changing):
        for reader in (adding, changing):
            assert reader.open(writer.close(b"x", "result", "id"), "result", "id") == b"x"
    assert old.open(adding.close(b"x", "result", "id"), "result", "id") == b"x"
    assert new.open(changing.close(b"x", "result", "id"), "result", "id") == b"x"
    for reader, writer in ((old, new), (new, old), (old, changing), (new, adding)):
        with pytest.raises(SerializerMismatch, match="the signature fits no key here"):
            reader.open(writer.close(b"x", "result", "id"), "result", "id")


@pytest.mark.parametrize(
    ("what", "application", "task_id"),
    [
        ("result", "shop", "id"),
        ("error", "shop", "id"),
        ("message", "bank", "id"),
        ("message", "shop", "other"),
        ("message", "shop", ""),
    ],
)
def test_what_is_signed_is_of_no_use_elsewhere(what: str, application: str, task_id: str) -> None:
    with pytest.raises(SerializerMismatch, match=f"as something else than the {what} of this task"):
        Signature([NEW], application).open(SIGNED_DATA, what, task_id)


@given(st.text("0123 x", max_size=8), st.text("0123 x", max_size=8), st.integers(1, 8))
def test_no_part_of_the_data_passes_for_the_end_of_the_id(task_id: str, data: str, moved: int) -> None:
    signed = SIGNATURE.close(data.encode(), "message", task_id)
    forged = signed[: len(SIGNED) + 32] + data[moved:].encode()
    for other in (task_id + data[:moved], f"{task_id} {data[:moved]}"):
        if other != task_id:
            with pytest.raises(SerializerMismatch):
                SIGNATURE.open(forged, "message", other)


@given(st.integers(0, len(SIGNED_DATA) - 1), st.integers(0, 7))
def test_a_flipped_bit_is_seen(position: int, bit: int) -> None:
    changed = bytearray(SIGNED_DATA)
    changed[position] ^= 1 << bit
    with pytest.raises(SerializerMismatch):
        SIGNATURE.open(bytes(changed), "message", "id")


@given(st.integers(0, len(SIGNED_DATA) - 1))
def test_a_part_of_what_was_signed_is_not_read(length: int) -> None:
    for part in (SIGNED_DATA[:length], SIGNED_DATA[length + 1 :], SIGNED_DATA + SIGNED_DATA[: length + 1]):
        with pytest.raises(SerializerMismatch):
            SIGNATURE.open(part, "message", "id")


@given(st.binary() | st.binary().map(lambda data: SIGNED + data))
def test_what_was_never_signed_is_not_read(data: bytes) -> None:
    with pytest.raises(SerializerMismatch):
        SIGNATURE.open(data, "message", "id")


# -- compression


@given(st.binary(max_size=300) | st.binary(max_size=9).map(lambda data: data * 50), st.booleans())
def test_what_was_compressed_comes_back(data: bytes, is_ambiguous: bool) -> None:
    data = COMPRESSED + data if is_ambiguous else data
    assert COMPRESSION.open(COMPRESSION.close(data, "result", "id"), "result", "id") == data


def test_data_is_compressed_from_the_threshold_on_and_where_that_makes_it_smaller() -> None:
    assert COMPRESSION.close(b"x" * 99, "result", "id") == b"x" * 99
    assert len(COMPRESSION.close(b"x" * 100, "result", "id")) < 30
    varied = bytes(range(256))
    assert COMPRESSION.close(varied, "result", "id") == varied


def test_data_from_before_compression_is_read() -> None:
    for data in (b"", b"null", b'["add"]', b"x" * 1000, SIGNED_DATA):
        assert COMPRESSION.open(data, "message", "id") == data


def test_the_largest_data_that_may_travel_can_be_compressed() -> None:
    data = b"x" * MAX_BYTES
    assert COMPRESSION.open(COMPRESSION.close(data, "result", "id"), "result", "id") == data
    with pytest.raises(DecodeError, match="hold more than the 16 MiB that may travel"):
        COMPRESSION.open(COMPRESSION.close(data + b"x", "result", "id"), "result", "id")


def test_a_bomb_is_refused_before_it_takes_the_memory() -> None:
    bomb = COMPRESSED + zlib.compress(b"\0" * 8 * MAX_BYTES)
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError, match="hold more than the 16 MiB that may travel"):
            COMPRESSION.open(bomb, "message", "id")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * MAX_BYTES


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"x", zlib.compress(b"x" * 200)[:-1], zlib.compress(b"x" * 200) + b"x", zlib.compress(b"x")[:2]],
    ids=len,
)
def test_damaged_data_is_said_to_be_damaged(data: bytes) -> None:
    with pytest.raises(DecodeError, match="compressed data is damaged"):
        COMPRESSION.open(COMPRESSED + data, "result", "id")


@given(st.binary().map(lambda data: COMPRESSED + data), st.integers(0, 1000), st.integers(0, 7))
def test_garbage_for_compressed_data_is_a_decode_error(data: bytes, position: int, bit: int) -> None:
    damaged = bytearray(COMPRESSED + zlib.compress(data * 3))
    damaged[len(COMPRESSED) + position % (len(damaged) - len(COMPRESSED))] ^= 1 << bit
    for garbage in (data, bytes(damaged)):
        with contextlib.suppress(DecodeError):
            COMPRESSION.open(garbage, "result", "id")
