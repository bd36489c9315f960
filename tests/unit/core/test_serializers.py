"""However an application writes: what travels arrives, and what others wrote is not believed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

import aqueue.core.codec
from aqueue import (
    ConfigurationError,
    DecodeError,
    EncodeError,
    Huey,
    JSONSerializer,
    MemoryHuey,
    PickleSerializer,
    Progress,
    RedisHuey,
    Serializer,
    SerializerMismatch,
    SqliteHuey,
    TaskException,
    TaskRun,
)
from aqueue.core.codec import COMPRESSED, MAX_BYTES, SIGNED, Codec
from aqueue.core.ids import new_token
from aqueue.core.message import Envelope, Message
from aqueue.core.serializers import Compression, Signature
from aqueue.storage.memory.store import MemoryStorage
from aqueue.testing import ManualClock
from aqueue.worker.options import WorkerOptions
from aqueue.worker.worker import Worker

from ...tour.running import running
from ..facts import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY, OTHER_KEY = "k" * 32, "o" * 32
LEASE_MS = 60_000

OLD, NEW = b"o" * 32, b"n" * 32
SIGNATURE = Signature([NEW], "shop")
SIGNED_DATA = SIGNATURE.close(b'["add"]', "message", "id")
COMPRESSION = Compression(100)


class PlainJSON(Serializer):
    """The standard library's: what a user would write first."""

    def dumps(self, value: Any) -> bytes:
        return json.dumps(value).encode()

    def loads(self, data: bytes) -> Any:
        return json.loads(data)


class Point:
    """What no JSON can say."""

    def __init__(self, x: int) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and other.x == self.x

    __hash__ = None  # type: ignore[assignment]


class PointSerializer(JSONSerializer):
    """JSON that also knows points, at the top."""

    def dumps(self, value: Any) -> bytes:
        return super().dumps({"point": value.x} if isinstance(value, Point) else value)

    def loads(self, data: bytes) -> Any:
        value = super().loads(data)
        return Point(value["point"]) if isinstance(value, dict) and "point" in value else value


SERIALIZERS: dict[str, Serializer] = {
    "json": JSONSerializer(),
    "signed": JSONSerializer(keys=[KEY]),
    "compressed": JSONSerializer(compress_from=0),
    "both": JSONSerializer(keys=[KEY], compress_from=0),
    "pickle": PickleSerializer(keys=[KEY]),
    "small pickle": PickleSerializer(keys=[KEY], compress_from=0),
    "own": PlainJSON(),
    "own and both": PlainJSON(keys=[KEY], compress_from=0),
    "extended": PointSerializer(),
}
CODECS = {name: serializer.codec_for("shop") for name, serializer in SERIALIZERS.items()}
every_codec = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
every_serializer = pytest.mark.parametrize("serializer", SERIALIZERS.values(), ids=SERIALIZERS)


def message(*args: Any, **kwargs: Any) -> Message:
    return Message("id", "shop.add", args, kwargs, "client", 123, {"retries": 3})


# -- there and back


@every_codec
def test_a_message_arrives_as_it_was(codec: Codec) -> None:
    for sent in (message(1, [2, "x" * 200], k={"y": None}), Message("id", "shop.add", (), {})):
        arrived = codec.decode_message("id", codec.encode_message(sent))
        assert [getattr(arrived, name) for name in Message.__slots__] == [
            getattr(sent, name) for name in Message.__slots__
        ]


@every_codec
def test_a_value_arrives_as_it_was(codec: Codec) -> None:
    for value in (None, 5, "x" * 10_000, [1, {"a": [True]}], {}):
        assert codec.decode_value(codec.encode_value(value, "result", "id"), "result", "id") == value


def test_a_pickle_carries_instances_of_any_class() -> None:
    codec = CODECS["pickle"]
    [arrived] = codec.decode_message("id", codec.encode_message(message(Point(5)))).args
    assert arrived == Point(5)
    assert codec.decode_value(codec.encode_value({Point: (Point(1),)}, "result", "id"), "result", "id") == {
        Point: (Point(1),)
    }


def test_json_can_be_extended() -> None:
    codec = CODECS["extended"]
    assert codec.decode_value(codec.encode_value(Point(5), "result", "id"), "result", "id") == Point(5)
    assert codec.decode_value(codec.encode_value({1, 2}, "result", "id"), "result", "id") == {1, 2}
    with pytest.raises(EncodeError, match=r"\[2\]\[0\] is a .*Point, which cannot travel"):
        codec.encode_message(message(Point(5)))


def test_json_that_was_extended_and_plain_json_read_each_other() -> None:
    one, other = CODECS["extended"], CODECS["json"]
    for writer, reader in ((one, other), (other, one)):
        assert reader.decode_message("id", writer.encode_message(message(1, {2}))).args == (1, {2})


def test_without_a_serializer_there_is_nothing_between_an_application_and_json() -> None:
    assert MemoryHuey("shop")._parts.codec is aqueue.core.codec
    assert MemoryHuey("shop", serializer=JSONSerializer())._parts.codec is aqueue.core.codec
    written = aqueue.core.codec.encode_message(message(1, {2}, k=(3,)))
    assert written == (
        b'["shop.add","client",[1,{"__aq__":["set",[2]]}],{"k":{"__aq__":["tuple",[3]]}},123,{"retries":3}]'
    )


# -- who may be believed


@pytest.mark.parametrize("name", ["signed", "both", "pickle", "own and both"])
def test_a_signed_message_is_bound_to_its_task_its_purpose_and_its_application(name: str) -> None:
    codec = CODECS[name]
    sent, value = codec.encode_message(message()), codec.encode_value(5, "result", "id")
    attempts: list[Callable[[], Any]] = [
        lambda: codec.decode_message("other", sent),
        lambda: codec.decode_message("id", value),
        lambda: codec.decode_value(sent, "result", "id"),
        lambda: codec.decode_value(value, "result", "other"),
        lambda: codec.decode_value(value, "error", "id"),
        lambda: codec.decode_value(value, "progress", "id"),
        lambda: SERIALIZERS[name].codec_for("bank").decode_message("id", sent),
    ]
    for attempt in attempts:
        with pytest.raises(SerializerMismatch):
            attempt()


bangs: list[str] = []


def go_off() -> None:
    bangs.append("bang")


class Bomb:
    """Reading its pickle runs code."""

    def __reduce__(self) -> Any:
        return go_off, ()


def test_no_pickle_is_touched_that_was_not_verified() -> None:
    ours, theirs = (PickleSerializer(keys=[key]).codec_for("shop") for key in (KEY, OTHER_KEY))
    genuine = ours.encode_value(Bomb(), "result", "id")
    forgeries = [
        pickle.dumps(Bomb()),
        SIGNED + b"\0" * 32 + pickle.dumps(Bomb()),
        SIGNED + pickle.dumps(Bomb()),
        COMPRESSED + zlib.compress(pickle.dumps(Bomb())),
        theirs.encode_value(Bomb(), "result", "id"),
        ours.encode_value(Bomb(), "result", "other"),
        genuine[:-1],
        genuine + b".",
    ]
    readers = [ours, PickleSerializer(keys=[KEY], compress_from=0).codec_for("shop"), *CODECS.values()]
    bangs.clear()
    for forged in forgeries:
        for reader in readers:
            with pytest.raises(DecodeError):
                reader.decode_value(forged, "result", "id")
            with pytest.raises(DecodeError):
                reader.decode_message("id", forged)
    assert bangs == []
    ours.decode_value(genuine, "result", "id")
    assert bangs == ["bang"]


def test_nothing_is_unpacked_that_was_not_verified() -> None:
    bomb = COMPRESSED + zlib.compress(b"\0" * 2 * MAX_BYTES)
    with pytest.raises(DecodeError, match="hold more than the 16 MiB"):
        CODECS["compressed"].decode_value(bomb, "result", "id")
    with pytest.raises(SerializerMismatch, match="the data is not signed"):
        CODECS["both"].decode_value(bomb, "result", "id")
    with pytest.raises(SerializerMismatch, match="the signature fits no key here"):
        CODECS["both"].decode_value(SIGNED + b"\0" * 32 + bomb, "result", "id")


def test_what_other_settings_wrote_is_told_apart_from_garbage() -> None:
    for reader in ("json", "own", "compressed", "extended"):
        for writer in ("signed", "both", "pickle"):
            with pytest.raises(SerializerMismatch, match=r"the data is signed, and the serializer here has no keys="):
                CODECS[reader].decode_message("id", CODECS[writer].encode_message(message("x" * 1000)))
    for reader in ("json", "own", "extended"):
        with pytest.raises(
            SerializerMismatch, match=r"the data is compressed, and the serializer .* no compress_from="
        ):
            CODECS[reader].decode_message("id", CODECS["compressed"].encode_message(message("x" * 1000)))
    with pytest.raises(SerializerMismatch, match="the data is compressed"):
        CODECS["signed"].decode_message("id", CODECS["both"].encode_message(message("x" * 1000)))
    with pytest.raises(SerializerMismatch, match="the data is not signed"):
        CODECS["signed"].decode_message("id", CODECS["json"].encode_message(message()))


def test_what_was_written_before_compression_is_read() -> None:
    for reader, writer in (("compressed", "json"), ("both", "signed"), ("small pickle", "pickle")):
        assert CODECS[reader].decode_message("id", CODECS[writer].encode_message(message(1))).args == (1,)


@every_codec
@given(data=st.binary() | st.binary().map(lambda data: SIGNED + data) | st.binary().map(lambda data: COMPRESSED + data))
def test_garbage_is_a_value_or_a_decode_error(codec: Codec, data: bytes) -> None:
    for garbage in (data, b""):
        with contextlib.suppress(DecodeError):
            codec.decode_value(garbage, "result", "id")
        with contextlib.suppress(DecodeError):
            codec.decode_message("id", garbage)


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


# -- serializers that fail


class Failing(Serializer):
    """Does as it was told, in both directions."""

    def __init__(self, do: Callable[[Any], Any], **settings: Any) -> None:
        super().__init__(**settings)
        self.do = do

    def dumps(self, value: Any) -> bytes:
        data: bytes = self.do(value)
        return data

    def loads(self, data: bytes) -> Any:
        return self.do(data)


@pytest.mark.parametrize(
    "error", [ValueError, SystemExit, KeyboardInterrupt, RecursionError, MemoryError, UnicodeDecodeError], ids=str
)
@pytest.mark.parametrize("settings", [{}, {"keys": [KEY], "compress_from": 0}], ids=["bare", "sealed"])
def test_what_a_serializer_raises_is_an_error_of_the_value(error: type[BaseException], settings: Any) -> None:
    def fail(_: Any) -> None:
        raise error("utf-8", b"", 0, 1, "no") if error is UnicodeDecodeError else error("no")

    codec = Failing(fail, **settings).codec_for("shop")
    with pytest.raises(EncodeError, match=f"the arguments cannot travel: {error.__name__}"):
        codec.encode_message(message())
    with pytest.raises(EncodeError, match=f"the result cannot travel: {error.__name__}"):
        codec.encode_value(5, "result", "id")
    data = PlainJSON(**settings).codec_for("shop").encode_value(5, "result", "id")
    with pytest.raises(DecodeError, match=rf"not a value of this codec: b'5' \(1 bytes\), {error.__name__}"):
        codec.decode_value(data, "result", "id")
    with pytest.raises(DecodeError):
        codec.decode_message("id", b"5")


@pytest.mark.parametrize(
    "wrong", ["text", None, bytearray(b"x"), memoryview(b"x")], ids=lambda value: type(value).__name__
)
def test_a_serializer_that_gives_no_bytes_is_told_so(wrong: Any) -> None:
    codec = Failing(lambda _: wrong).codec_for("shop")
    with pytest.raises(EncodeError, match=rf"Failing\.dumps\(\) must return bytes, not {type(wrong).__name__}"):
        codec.encode_value(5, "result", "id")


def test_what_is_too_large_is_refused_however_it_is_written() -> None:
    for codec in CODECS.values():
        with pytest.raises(EncodeError, match=r"the (result|value) take 16\.0 MiB encoded, the limit is 16 MiB"):
            codec.encode_value("x" * MAX_BYTES, "result", "id")


@pytest.mark.parametrize("document", [None, 5, [], "x", {}, [5], ["x", "", 5], ["x", "", [], [1]]], ids=repr)
def test_a_serializer_that_reads_no_message_is_told_so(document: Any) -> None:
    with pytest.raises(DecodeError, match=r"^not a message: b'x' \(1 bytes\)"):
        Failing(lambda _: document).codec_for("shop").decode_message("id", b"x")


def test_a_serializer_need_not_call_the_constructor_of_its_base() -> None:
    class Careless(PlainJSON):
        def __init__(self) -> None:
            self.mine = True

    codec = Careless().codec_for("shop")
    assert codec.decode_value(codec.encode_value([1], "result", "id"), "result", "id") == [1]


# -- what cannot be configured


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: PickleSerializer(), "PickleSerializer needs keys="),
        (lambda: PickleSerializer(keys=[]), "PickleSerializer needs keys="),
        (lambda: JSONSerializer(keys="my-secret-my-secret"), r"keys must be a list, as in keys=\[KEY\], not a str"),
        (lambda: JSONSerializer(keys=b"my-secret-my-secret"), "keys must be a list, .* not a bytes"),
        (lambda: JSONSerializer(keys=None), "keys must be a list, .* not a NoneType"),
        (lambda: JSONSerializer(keys=[None]), "a key must be a str or bytes, not NoneType"),
        (lambda: JSONSerializer(keys=[KEY, "my-secret"]), "a key must have 16 bytes or more, not 9: secrets"),
        (lambda: JSONSerializer(keys=[""]), "a key must have 16 bytes or more, not 0"),
        (lambda: JSONSerializer(compress_from=-1), "compress_from must be a number of bytes, or None .*, not -1"),
        (lambda: JSONSerializer(compress_from=1.5), "compress_from must be a number of bytes, .* not 1.5"),
        (lambda: JSONSerializer(compress_from=True), "compress_from must be a number of bytes, .* not True"),
        (lambda: MemoryHuey(serializer="pickle"), "serializer must be an instance of JSONSerializer, .* not 'pickle'"),
        (lambda: MemoryHuey(serializer=pickle), "serializer must be an instance of .* not <module 'pickle'"),
        (lambda: MemoryHuey(serializer=JSONSerializer), "serializer must be an instance of .* not <class"),
    ],
)
def test_what_cannot_work_is_refused_at_once_and_no_key_is_shown(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        make()
    assert "my-secret" not in str(caught.value)


def test_half_a_serializer_is_none() -> None:
    class Half(Serializer):
        def dumps(self, value: Any) -> bytes:
            return b""

    with pytest.raises(TypeError, match="abstract"):
        Half()  # type: ignore[abstract]


# -- in an application


@pytest.fixture(params=["memory", "sqlite", "redis"])
def make(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> Callable[..., Huey]:
    """Makes applications of one name on a store of each kind."""
    name = f"test-{new_token()}"

    def make(**options: Any) -> Huey:
        if request.param == "memory":
            return MemoryHuey(name, **options)
        if request.param == "sqlite":
            return SqliteHuey(name, filename=tmp_path / "shop.db", **options)
        return RedisHuey(name, url=redis_url, **options)

    return make


@every_serializer
async def test_results_errors_and_progress_come_back(make: Callable[..., Huey], serializer: Serializer) -> None:
    huey = make(serializer=serializer)

    @huey.task(name="add", retries=1)
    async def add(a: int, b: int) -> list[int]:
        return [a + b] * 1000

    @huey.task(name="fail", context=True)
    async def fail(task: TaskRun) -> None:
        await task.progress(1, 2, "\0 half")
        raise ValueError("no stock")

    async with running(huey):
        assert await (await add.enqueue(1, b=2)).get(timeout=10) == [3] * 1000
        failed = await fail.enqueue()
        assert {step async for step in failed.progress()} == {Progress(1, 2, "\0 half")}
        for result in (failed, huey.result(failed.id)):
            with pytest.raises(TaskException, match="no stock") as caught:
                await result.get(timeout=10)
            assert (caught.value.type, caught.value.state, caught.value.attempt) == ("ValueError", "failed", 1)
            assert 'raise ValueError("no stock")' in caught.value.traceback


async def test_a_retry_and_a_delay_keep_every_byte(make: Callable[..., Huey]) -> None:
    huey = make(serializer=PickleSerializer(keys=[KEY]))

    @huey.task(name="again", retries=1, retry_delay=0.01, context=True)
    async def again(point: Point, task: TaskRun) -> Point:
        if task.attempt == 1:
            raise ValueError
        return point

    async with running(huey):
        assert await (await again.options(delay=0.01).enqueue(Point(5))).get(timeout=30) == Point(5)


@pytest.mark.parametrize("keys", [[OTHER_KEY], []], ids=["another key", "no key"])
async def test_a_message_that_a_worker_cannot_verify_is_kept_for_one_that_can(
    keys: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    storage = MemoryStorage("shop", clock)
    runs = []

    def application(keys: list[str]) -> Huey:
        huey = MemoryHuey("shop", serializer=JSONSerializer(keys=keys))
        huey._first_storage = storage
        huey.task(name="pay")(lambda amount: runs.append(amount))
        return huey

    async def state() -> str:
        return str(await producer.result("order-1").status())

    async def work(huey: Huey, until_state: str) -> None:
        worker = Worker(huey._parts, WorkerOptions(), clock)
        working = asyncio.create_task(worker.run())

        async def reached() -> bool:
            return await state() == until_state

        await until(reached)
        await worker.stop()
        await working

    producer, stranger = application([KEY]), application(keys)
    [task] = producer._parts.registry
    await task.options(id="order-1").enqueue(5)
    await work(stranger, "scheduled")
    assert runs == []
    [told] = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Task ")]
    assert told.startswith("Task order-1 cannot be read: the ")
    assert told.endswith("It is kept, and offered again in 5 s.")
    clock.advance(5)
    await work(application([OTHER_KEY, KEY]), "done")
    assert runs == [5]
    await producer.close()


async def test_an_entry_that_nobody_signed_because_it_is_no_message_leaves_the_stream(redis_url: str) -> None:
    huey = RedisHuey(f"test-{new_token()}", url=redis_url, serializer=JSONSerializer(keys=[KEY]))
    stream = f"{{aq:{huey.name}}}:stream:default:0"
    with redis.Redis.from_url(redis_url) as operator:
        operator.xadd(stream, {"some": "thing"})
        async with running(huey):
            await until(lambda: operator.xlen(stream) == 0)


async def test_bytes_that_the_serializer_cannot_read_end_no_worker(make: Callable[..., Huey]) -> None:
    class Picky(PlainJSON):
        def loads(self, data: bytes) -> Any:
            if data == b"poison":
                raise SystemExit
            return super().loads(data)

    huey = make(serializer=Picky())
    add = huey.task(name="add")(lambda a, b: a + b)
    async with running(huey):
        storage = (await huey._parts.clients.open()).storage
        await storage.push([Envelope("poison", b"poison"), Envelope("pickle", pickle.dumps(5))])
        for task_id in ("poison", "pickle"):
            with pytest.raises(TaskException, match="not a value of this codec") as caught:
                await huey.result(task_id).get(timeout=10)
            assert caught.value.state == "dead"
        assert await (await add.enqueue(1, 2)).get(timeout=10) == 3


async def test_a_serializer_that_cannot_describe_an_error_does_not_keep_a_task_from_its_verdict() -> None:
    class OnlyCalls(PlainJSON):
        def dumps(self, value: Any) -> bytes:
            if not isinstance(value, list) or value[0] != "work":
                raise ValueError("only calls")
            return super().dumps(value)

    huey = MemoryHuey("shop", serializer=OnlyCalls())
    runs = []

    @huey.task(name="work", context=True)
    async def work(task: TaskRun) -> dict[str, int]:
        runs.append(await task.progress(1))
        return {"x": 1}

    async with running(huey):
        result = await work.enqueue()
        with pytest.raises(TaskException, match="task failed") as caught:
            await result.get(timeout=5)
    assert runs == [False]
    assert caught.value.metadata == {"state": "failed", "task_id": result.id}


async def test_a_result_that_somebody_replaced_is_not_believed(make: Callable[..., Huey]) -> None:
    """The store has the verdicts, and whoever can write to it could change them."""
    huey = make(serializer=JSONSerializer(keys=[KEY]))
    echo = huey.task(name="echo")(lambda value: value)
    async with running(huey):
        await (await echo.options(id="mine").enqueue("mine")).get(timeout=10)
        theirs = await echo.options(id="theirs").enqueue("theirs")
        assert await theirs.get(timeout=10) == "theirs"
        replaced = huey.result("theirs")
        replaced._verdict = await (await huey._parts.clients.open()).look("mine")
        with pytest.raises(SerializerMismatch, match="as something else than the result of this task"):
            await replaced


async def test_one_result_that_cannot_be_read_does_not_hide_the_others() -> None:
    huey = MemoryHuey("shop")
    echo = huey.task(name="echo")(lambda value: value)
    async with running(huey):
        group = await echo.map([1, 2, 3])
        await group
        [bad, *_] = group
        assert bad._verdict is not None
        bad._verdict = bad._verdict._replace(result=b"\x80garbage")
        values = []
        async for result in group.as_completed():
            with contextlib.suppress(DecodeError):
                values.append(await result)
    assert sorted(values) == [2, 3]


@pytest.mark.parametrize("report", [b"5", b"[1]", b"[1,2,3,4]", b'"abc"', b"{}"])
async def test_a_progress_report_that_is_none_is_a_decode_error(report: bytes) -> None:
    huey = MemoryHuey("shop")

    @huey.task(name="work", context=True)
    async def work(task: TaskRun) -> None:
        storage = (await huey._parts.clients.open()).storage
        await storage.report(task.delivery.receipt, task.id, report, task.message.reply)

    async with running(huey):
        result = await work.enqueue()
        with pytest.raises(DecodeError, match="is malformed"):
            [_ async for _ in result.progress()]


async def test_an_error_that_describes_none_is_a_decode_error() -> None:
    huey = MemoryHuey("shop")

    @huey.task(name="fail")
    async def fail() -> None:
        raise ValueError

    async with running(huey):
        result = await fail.enqueue()
        with pytest.raises(TaskException):
            await result
        assert result._verdict is not None
        result._verdict = result._verdict._replace(result=b"[1]")
        with pytest.raises(DecodeError, match="is not a description of one"):
            await result
