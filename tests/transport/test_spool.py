"""Tests of edge_runtime.transport.spool and its file."""

from __future__ import annotations

import os
import sqlite3
import stat
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.errors import ArgumentError, SpoolError
from edge_runtime.transport.spool import Item, Spool, Waiting

CAP = 1 << 20
DAY_S = 86400


class Clock:
    """A clock that stands still until it is set."""

    now_s = 1e9

    def __call__(self) -> float:
        """The time in seconds."""
        return self.now_s


def opened(path: Path, max_bytes: int = CAP, order: str = "oldest", max_age_s: float = DAY_S, clock=None) -> Spool:
    """A spool with defaults that suit most tests."""
    return Spool(path, max_bytes, max_age_s, order, clock or Clock())


def drained(spool: Spool, lane: str) -> list[tuple[str, bytes]]:
    """Keys and bodies of a lane, in the order in which they would be sent."""
    found, item = [], None
    while item := spool.next(lane, after=item):
        found.append((item.key, item.body))
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a spool may be made."""
    return tmp_path / "spool.db"


class TestItems:
    """What is put comes back."""

    def test_items_outlive_the_spool(self, path):
        """Another opening of the file gives the same items, lanes apart."""
        with opened(path) as spool:
            assert all(spool.put(*item) for item in [("sink", "one", b"1"), ("ask", "one", b"2"), ("sink", "two", b"")])
        with opened(path) as spool:
            assert drained(spool, "sink") == [("one", b"1"), ("two", b"")]
            assert drained(spool, "ask") == [("one", b"2")]
            assert spool.waiting == {"sink": Waiting(2, 1), "ask": Waiting(1, 1)}

    def test_a_key_is_kept_once(self, path):
        """Putting it again is as good, and changes nothing."""
        with opened(path) as spool:
            assert spool.put("sink", "one", b"first")
            assert spool.put("sink", "one", b"second")
            assert drained(spool, "sink") == [("one", b"first")]

    def test_acknowledged_items_are_gone(self, path):
        """Only the one that was acknowledged, and for good; a second time and of an unknown key it is no news."""
        with opened(path) as spool:
            spool.put("sink", "one", b"1")
            spool.put("sink", "two", b"2")
            for key in ("one", "one", "three"):
                spool.acknowledge("sink", key)
            assert drained(spool, "sink") == [("two", b"2")]
        with opened(path) as spool:
            assert drained(spool, "sink") == [("two", b"2")]

    def test_newest_first(self, path):
        """The order that was asked for is that of `next`."""
        with opened(path, order="newest") as spool:
            for key in "abc":
                spool.put("sink", key, b"")
            assert [key for key, _ in drained(spool, "sink")] == ["c", "b", "a"]

    def test_what_follows_a_deleted_item(self, path):
        """An item put after the last one was deleted still follows that one."""
        with opened(path) as spool:
            spool.put("sink", "one", b"1")
            first = spool.next("sink")
            spool.acknowledge("sink", "one")
            spool.put("sink", "two", b"2")
            following = spool.next("sink", after=first)

        assert isinstance(first, Item)
        assert following is not None
        assert following.key == "two"

    def test_a_lane_is_forgotten(self, path):
        """All its items go, however many, and no other lane's."""
        with opened(path) as spool:
            for number in range(100):
                spool.put("gone", str(number), b"x" * 900)
            spool.put("sink", "one", b"1")
            spool.forget("gone")

            assert spool.waiting == {"sink": Waiting(1, 1)}
            assert spool.next("gone") is None
            assert not spool.dropped

    def test_items_grow_old(self, path):
        """An item is given up once it is older than the limit, and counted."""
        clock = Clock()
        with opened(path, clock=clock) as spool:
            spool.put("sink", "one", b"1")
            clock.now_s += DAY_S
            spool.put("sink", "two", b"2")
            in_time = [key for key, _ in drained(spool, "sink")]
            clock.now_s += 1

            assert in_time == ["one", "two"]
            assert drained(spool, "sink") == [("two", b"2")]
            assert spool.dropped == {("sink", "age"): 1}

    def test_threads_share_it(self, path):
        """What several threads put at once is all there."""
        with opened(path) as spool:

            def put(lane: str) -> None:
                for number in range(20):
                    spool.put(lane, str(number), lane.encode())

            threads = [threading.Thread(target=put, args=(lane,)) for lane in "abcd"]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert spool.waiting == {lane: Waiting(20, 20) for lane in "abcd"}

    def test_closed_it_does_nothing(self, path):
        """A call that comes late opens no file."""
        spool = opened(path)
        spool.close()

        assert not spool.put("sink", "one", b"1")
        assert spool.next("sink") is None


class TestCap:
    """The bytes on disk."""

    def test_the_oldest_items_stay(self, path):
        """A full spool refuses new ones, and what it accepted is there."""
        with opened(path) as spool:
            kept = [key for key in map(str, range(60)) if spool.put("sink", key, bytes(30_000))]
            assert 15 < len(kept) < 30
            assert kept == [str(number) for number in range(len(kept))]
            assert [key for key, _ in drained(spool, "sink")] == kept
            assert spool.dropped == {("sink", "full"): 60 - len(kept)}
            assert spool.file_bytes <= CAP

    def test_the_newest_items_stay(self, path):
        """A full spool gives up its oldest items of any lane for new ones."""
        with opened(path, order="newest") as spool:
            assert all(spool.put("ask" if number < 5 else "sink", str(number), bytes(30_000)) for number in range(60))
            keys = [key for key, _ in drained(spool, "sink")]
            assert keys == [str(number) for number in range(59, 59 - len(keys), -1)]
            assert 15 < len(keys) < 30
            assert spool.dropped == {("ask", "full"): 5, ("sink", "full"): 55 - len(keys)}
            assert spool.file_bytes <= CAP

    @pytest.mark.parametrize("order", ["oldest", "newest"])
    def test_too_large_a_body(self, path, order):
        """One that could never fit is refused at once, and nothing is given up for it."""
        with opened(path, order=order) as spool:
            spool.put("sink", "one", b"1")
            assert not spool.put("sink", "two", bytes(CAP // 4))
            assert spool.put("sink", "three", bytes(CAP // 8))
            assert spool.dropped == {("sink", "large"): 1}
            assert spool.items == 2

    def test_an_empty_spool_gives_its_disk_back(self, path):
        """After an outage the file is small again."""
        with opened(path, max_bytes=4 * CAP) as spool:
            for number in range(20):
                spool.put("sink", str(number), bytes(100_000))
            large = spool.file_bytes
            for number in range(20):
                spool.acknowledge("sink", str(number))
            assert spool.file_bytes < 100_000 < 2_000_000 < large

    @pytest.mark.parametrize(("order", "first"), [("oldest", "0"), ("newest", "39")])
    def test_a_smaller_cap(self, path, order, first):
        """The file is brought under it when it is opened, at the expense of what the order values least."""
        with opened(path, max_bytes=4 * CAP, order=order) as spool:
            for number in range(40):
                spool.put("sink", str(number), bytes(60_000))
        with opened(path, order=order) as spool:
            keys = [key for key, _ in drained(spool, "sink")]
            assert keys[0] == first
            assert 5 < len(keys) < 15
            assert spool.dropped == {("sink", "full"): 40 - len(keys)}
            assert spool.file_bytes <= CAP

    def test_no_spool_is_that_small(self, path):
        """SQLite itself needs some pages."""
        with pytest.raises(ArgumentError, match=r"spool.db: max_bytes is 1000, give at least 1048576"):
            opened(path, max_bytes=1000)

    @pytest.mark.host
    @settings(deadline=None, max_examples=40)
    @given(
        order=st.sampled_from(["oldest", "newest"]),
        steps=st.lists(
            st.one_of(
                st.tuples(st.just("put"), st.sampled_from("ab"), st.sampled_from([0, 700, 9_000, 70_000, 150_000])),
                st.tuples(st.just("put"), st.sampled_from("ab"), st.sampled_from([100_000, 150_000])),
                st.tuples(st.just("again"), st.sampled_from("ab"), st.integers(0, 40)),
                st.tuples(st.just("acknowledge"), st.sampled_from("ab"), st.integers(0, 40)),
                st.tuples(st.just("wait"), st.just(""), st.integers(1, DAY_S)),
                st.tuples(st.sampled_from(["reopen", "forget"]), st.sampled_from("ab"), st.just(0)),
            ),
            min_size=20,
            max_size=40,
        ),
    )
    def test_it_is_a_list_with_an_end(self, order, steps):
        """Whatever is done with it, it holds what a plain list would, less what it says it gave up, under its cap."""
        clock, model, number = Clock(), [], 0
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "spool.db"
            spool = opened(path, order=order, clock=clock)
            for step, lane, value in steps:
                before = sum(count for (_, reason), count in spool.dropped.items() if reason == "full")
                if step == "put":
                    number += 1
                    body = bytes([number]) * value
                    accepted = spool.put(lane, str(number), body)
                    assert accepted or order == "oldest"
                    if accepted:
                        model.append((lane, str(number), body, clock.now_s))
                elif step == "again" and any(one[:2] == (lane, str(value)) for one in model):
                    assert spool.put(lane, str(value), b"another")
                elif step == "acknowledge":
                    spool.acknowledge(lane, str(value))
                    model = [one for one in model if one[:2] != (lane, str(value))]
                elif step == "wait":
                    clock.now_s += value
                elif step == "forget":
                    spool.forget(lane)
                    model = [one for one in model if one[0] != lane]
                elif step == "reopen":
                    spool.close()
                    spool = opened(path, order=order, clock=clock)
                    before = 0
                model = [one for one in model if one[3] >= clock.now_s - DAY_S]
                if order == "newest":
                    after = sum(count for (_, reason), count in spool.dropped.items() if reason == "full")
                    model = model[after - before :]
                for name in "ab":
                    expected = [(key, body) for its, key, body, _ in model if its == name]
                    assert drained(spool, name) == (expected if order == "oldest" else expected[::-1])
                assert (spool.items, spool.body_bytes) == (len(model), sum(len(body) for _, _, body, _ in model))
                assert spool.file_bytes <= CAP
                assert spool.trouble == spool.quarantined == ""
            spool.close()


class TestFile:
    """Who may have the file."""

    def test_only_its_owner_can_read_it(self, path):
        """Its log too; and a file that was open to others is closed to them."""
        path.touch(mode=0o644)
        with opened(path) as spool:
            spool.put("sink", "one", b"1")
            modes = [stat.S_IMODE(Path(f"{path}{suffix}").stat().st_mode) for suffix in ("", "-wal")]
        assert modes == [0o600, 0o600]

    def test_folders_are_made(self, tmp_path):
        """Those above the file need not be there."""
        with opened(tmp_path / "a" / "b" / "spool.db") as spool:
            assert spool.put("sink", "one", b"1")

    def test_a_path_that_cannot_be(self, tmp_path):
        """What stands in the way is said in one line."""
        (tmp_path / "file").touch()
        with pytest.raises(SpoolError, match=r"^spool .*/file/spool.db: cannot be written \(.*\), give another path$"):
            opened(tmp_path / "file" / "spool.db")
        with pytest.raises(SpoolError, match="cannot be written"):
            opened(tmp_path)

    @pytest.mark.host
    def test_one_process_has_it(self, path):
        """A second opening fails, takes nothing for damaged, and leaves the first one be."""
        with opened(path) as spool:
            with pytest.raises(SpoolError, match="in use by another process"):
                opened(path)
            assert spool.put("sink", "one", b"1")
            assert {one.name for one in path.parent.iterdir()} == {"spool.db", "spool.db-wal"}


class TestDamage:
    """Files that are no spool, or no longer."""

    def filled(self, path: Path) -> None:
        """A spool of 20 items, all written into the file."""
        with opened(path) as spool:
            for number in range(20):
                spool.put("sink", str(number), os.urandom(20_000))

    def assert_begun_anew(self, path: Path, spool: Spool, why: str) -> None:
        """An empty spool that works, and the damaged file beside it."""
        aside = list(path.parent.glob("spool.db.corrupt-*Z"))
        assert len(aside) == 1
        assert spool.quarantined == f"spool {path}: damaged ({why}); renamed to {aside[0]}, and a new one begun"
        assert spool.items == 0
        assert spool.put("sink", "new", b"1")
        assert drained(spool, "sink") == [("new", b"1")]
        assert spool.trouble == ""

    def test_garbage(self, path):
        """A file of anything."""
        path.write_bytes(os.urandom(10_000))
        with opened(path) as spool:
            self.assert_begun_anew(path, spool, "file is not a database")

    @pytest.mark.parametrize(
        "statement",
        ["PRAGMA user_version = 2", "PRAGMA application_id = 7", "DROP TRIGGER item_in", "CREATE TABLE more (x)"],
    )
    def test_another_format(self, path, statement):
        """A database that is not the one we would have made."""
        self.filled(path)
        db = sqlite3.connect(path)
        db.execute(statement)
        db.close()
        with opened(path) as spool:
            self.assert_begun_anew(path, spool, "no spool of this version")

    def test_a_shortened_file(self, path):
        """A file that lacks its end."""
        self.filled(path)
        os.truncate(path, 8192)
        with opened(path) as spool:
            self.assert_begun_anew(path, spool, "database disk image is malformed")

    def test_damage_that_is_found_later(self, path):
        """Malformed pages are met in some later call, which goes on with a new spool; what was lost is counted."""
        self.filled(path)
        pages = path.read_bytes()
        with path.open("r+b") as file:
            for at in range(4096, len(pages), 4096):
                # The pages of bodies begin with the next one's number, those of trees with their kind.
                if pages[at] == 0:
                    file.seek(at)
                    file.write(b"\xff" * 4096)
        with opened(path) as spool:
            assert spool.items == 20
            assert drained(spool, "sink") == []
            assert spool.dropped == {("sink", "corrupt"): 20}
            self.assert_begun_anew(path, spool, "database disk image is malformed")

    def test_a_changed_body(self, path):
        """A body whose bytes changed on disk is given up; the items around it are not."""
        with opened(path) as spool:
            for key in ("one", "two", "three"):
                spool.put("sink", key, key.encode() * 1000)
        path.write_bytes(path.read_bytes().replace(b"twotwo", b"twotoo", 1))
        with opened(path) as spool:
            assert [key for key, _ in drained(spool, "sink")] == ["one", "three"]
            assert spool.dropped == {("sink", "corrupt"): 1}

    def test_a_shortened_log(self, path, tmp_path):
        """A log that lacks its end loses what was in it, and nothing before."""
        copy = tmp_path / "copy.db"
        with opened(path) as spool:
            sizes = []
            for number in range(10):
                spool.put("sink", str(number), bytes(5000))
                sizes.append(Path(f"{path}-wal").stat().st_size)
            for suffix in ("", "-wal"):
                Path(f"{copy}{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
        os.truncate(f"{copy}-wal", sizes[6] + 5000)
        with opened(copy) as spool:
            assert [key for key, _ in drained(spool, "sink")] == [str(number) for number in range(7)]
            assert spool.quarantined == ""

    def test_a_file_that_was_deleted(self, path):
        """A running spool begins another, rather than writing to a file without a name."""
        with opened(path) as spool:
            spool.put("sink", "one", b"1")
            path.unlink()
            assert spool.put("sink", "two", b"2")
            assert spool.dropped == {("sink", "corrupt"): 1}
            assert "the file is gone" in spool.quarantined
        with opened(path) as spool:
            assert drained(spool, "sink") == [("two", b"2")]

    def test_two_damaged_files_are_kept(self, path):
        """Older ones are deleted, or a bad disk would fill itself."""
        contents = [os.urandom(5000) for _ in range(4)]
        for content in contents:
            path.write_bytes(content)
            opened(path).close()
        aside = sorted(path.parent.glob("spool.db.corrupt-*"))
        assert [one.read_bytes() for one in aside] == contents[2:]
