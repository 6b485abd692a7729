"""What several processes tell each other of their figures."""

from __future__ import annotations

import os
import threading

from fedcomm.store import figures
from fedcomm.store.figures import Tally, Times
from fedcomm.store.slates import SLATE_BYTES, Slate, Slates


def test_what_one_process_writes_others_read() -> None:
    slates = Slates(3)
    child = os.fork()
    if child == 0:
        slates.write(2, {"answers": {"200": 7}})
        os._exit(0)
    os.waitpid(child, 0)
    assert Slate(slates, 0).others() == {2: {"answers": {"200": 7}}}
    assert Slate(slates, 2).others() == {}


def test_what_has_no_room_leaves_what_was_there() -> None:
    slates = Slates(2)
    slates.write(1, {"a": 1})
    slates.write(1, {"a": "x" * SLATE_BYTES})
    assert slates.read(1) == {"a": 1}
    assert slates.read(0) is None


def test_nobody_reads_half_of_it_and_no_sum_goes_back() -> None:
    slates = Slates(2)
    slates.write(1, {"n": 0})
    over = threading.Event()

    def write() -> None:
        number = 0
        while not over.is_set():
            number += 1
            slates.write(1, {"n": number, "text": "x" * (number % 5_000)})

    thread = threading.Thread(target=write)
    thread.start()
    reader, last = Slate(slates, 0), 0
    for _ in range(3_000):
        found = reader.others()[1]
        assert found["n"] >= last
        last = found["n"]
        assert "text" not in found or set(found["text"]) <= {"x"}
    over.set()
    thread.join()


def test_states_add_up() -> None:
    here, there = Tally("n", "help", "of"), Tally("n", "help", "of")
    here.add("a")
    there.add("a")
    there.add("b")
    assert list(here.lines([there.state()]))[2:] == ['n{of="a"} 2', 'n{of="b"} 1']
    mine, theirs = Times("t", "help", "kind"), Times("t", "help", "kind")
    mine.add("read", 0.001)
    theirs.add("read", 0.3)
    theirs.add("write", 0.5)
    lines = list(mine.lines([theirs.state()]))
    assert 't_bucket{kind="read",le="0.001"} 1' in lines
    assert 't_bucket{kind="read",le="+Inf"} 2' in lines
    assert 't_count{kind="write"} 1' in lines
    assert 't_sum{kind="read"} 0.301000' in lines


def test_the_state_of_a_process_has_room_on_its_slate() -> None:
    slates = Slates(1)
    slates.write(0, figures.state())
    assert slates.read(0) is not None
