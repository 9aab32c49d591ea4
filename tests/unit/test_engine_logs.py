"""Log text and followers, without an engine."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgenctl.engines.docker_streams import documents, payloads, read_all
from loadgenctl.engines.log_text import Buffer, PumpedFollower, as_drawn, clean_lines

PATIENCE = 10.0


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("plain text", "plain text"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;a title\x07after", "after"),
        (" 10%\r 50%\r100%\r", "100%"),
        ("tab\tkept", "tab\tkept"),
        ("bell\x07 and delete\x7f", "bell and delete"),
        ("grüße", "grüße"),
        ("", ""),
    ],
)
def test_a_line_of_a_log_as_it_was_last_drawn(raw: str, expected: str) -> None:
    assert as_drawn(raw) == expected


def test_lines_are_decoded_whatever_they_hold() -> None:
    assert clean_lines(b"one\n\xff\xfe\n\nlast") == ["one", "\ufffd\ufffd", "", "last"]
    assert clean_lines(b"") == []


def frame(payload: bytes, stream: int = 1) -> bytes:
    return struct.pack(">BxxxL", stream, len(payload)) + payload


@given(
    st.lists(st.binary(max_size=40), max_size=8),
    st.lists(st.integers(min_value=1, max_value=30), min_size=1, max_size=10),
)
def test_payloads_survive_any_cut_of_the_stream(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(frame(part, 1 + n % 2) for n, part in enumerate(parts))

    def pieces() -> Iterator[bytes]:
        rest, turn = data, 0
        while rest:
            size = cuts[turn % len(cuts)]
            yield rest[:size]
            rest, turn = rest[size:], turn + 1

    assert b"".join(payloads(pieces())) == b"".join(parts)


class Answer:
    """A stream of the engine: some chunks, then silence until it is woken, an end or an error."""

    def __init__(self, *chunks: bytes, end: Exception | None = None, silent: bool = False) -> None:
        self._chunks, self._end, self._silent = chunks, end, silent
        self._woken = threading.Event()

    def chunks(self) -> Iterator[bytes]:
        yield from self._chunks
        if self._silent:
            assert self._woken.wait(PATIENCE)
        if self._end is not None:
            raise self._end

    def wake(self) -> None:
        self._woken.set()


def test_an_answer_that_ends_in_time_is_whole() -> None:
    assert read_all(Answer(frame(b"one"), frame(b"two", 2)), PATIENCE) == (b"onetwo", True)


@pytest.mark.parametrize("end", [None, ValueError("closed"), OSError("reset")])
def test_an_answer_that_does_not_end_is_given_up_with_what_came(end: Exception | None) -> None:
    before = threading.active_count()
    answer = Answer(frame(b"begun"), end=end, silent=True)
    assert read_all(answer, 0.01) == (b"begun", False)
    assert threading.active_count() == before, "no thread waits for it any longer"


@pytest.mark.parametrize("error", [RuntimeError("other"), KeyError("Id"), OSError("reset")])
def test_an_answer_that_fails_raises_its_own_error(error: Exception) -> None:
    before = threading.active_count()
    with pytest.raises(type(error)) as raised:
        read_all(Answer(frame(b"begun"), end=error), PATIENCE)
    assert raised.value is error
    assert threading.active_count() == before


def test_documents_survive_any_cut_and_a_torn_end() -> None:
    chunks = [b'{"id":', b'"a"}\n{"id":"b"}\n', b"\n", b'{"id":"torn']
    assert [found["id"] for found in documents(iter(chunks))] == ["a", "b"]


def test_a_full_buffer_holds_its_writer_until_it_is_read() -> None:
    buffer = Buffer(capacity=4)
    assert buffer.put(b"12345")
    added = threading.Event()

    def write() -> None:
        buffer.put(b"more")
        added.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert not added.is_set()
    assert buffer.take() == b"12345"
    assert added.wait(PATIENCE)
    assert buffer.take() == b"more"
    writer.join()


def test_closing_frees_a_waiting_writer() -> None:
    buffer = Buffer(capacity=1)
    buffer.put(b"full")
    results: list[bool] = []
    writer = threading.Thread(target=lambda: results.append(buffer.put(b"never")))
    writer.start()
    buffer.close()
    writer.join(PATIENCE)
    assert results == [False]
    assert buffer.take() == b"full"


def test_a_follower_ends_a_blocked_pump() -> None:
    attached, woken, ended = threading.Event(), threading.Event(), threading.Event()

    def pump(follower: PumpedFollower) -> None:
        follower.push(b"first")
        follower.attach(woken.set)
        attached.set()
        woken.wait(PATIENCE)
        follower.detach()
        assert not follower.attach(woken.set)
        assert not follower.push(b"too late")
        ended.set()

    follower = PumpedFollower("test", pump)
    assert attached.wait(PATIENCE)
    follower.close()
    follower.close()
    assert ended.is_set()
    assert follower.poll() == b"first"
    assert follower.poll() == b""
