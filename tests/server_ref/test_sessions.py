"""Tests of server_ref.sessions: what is remembered, and what is forgotten when."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from edge_runtime.errors import SessionForgotten
from server_ref.picture import Picture
from server_ref.sessions import OVERHEAD_BYTES, Session, Sessions

WEIGHT = OVERHEAD_BYTES + 3 * 768 + 4 * 100 + 4 * 200


def session(frame_id: int = 7) -> Session:
    """A first round that weighs ``WEIGHT`` bytes."""
    picture = Picture(np.arange(3, dtype=np.uint16), np.zeros((3, 16, 16, 3), np.uint8))
    image, states = np.zeros(100, np.float32), np.zeros(200, np.float32)
    return Session(frame_id, picture, np.array([5], np.uint16), image, states, below=0.9, asked_s=0.0)


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Now."""
        return self.now_s


def knows(sessions: Sessions, token: bytes) -> bool:
    """Whether a session is still remembered; asking makes it the one used last."""
    try:
        sessions.recall(token, 7)
    except SessionForgotten:
        return False
    return True


def test_weight_is_that_of_all_arrays() -> None:
    """Patches, image and states count, and something for all that is small."""
    assert session().nbytes == WEIGHT


def test_a_token_recalls_its_session_more_than_once() -> None:
    """A reply may be lost and the second round sent again."""
    sessions = Sessions()
    kept = session()
    token = sessions.remember(kept)
    assert len(token) == 16
    assert sessions.recall(token, 7) is kept
    assert sessions.recall(token, 7) is kept


def test_every_token_is_another() -> None:
    """Even for the same session."""
    sessions = Sessions()
    kept = session()
    assert len({sessions.remember(kept) for _ in range(100)}) == 100


@pytest.mark.parametrize(("spoil", "frame_id"), [(True, 7), (False, 8)])
def test_a_wrong_token_or_frame_is_forgotten(spoil: bool, frame_id: int) -> None:
    """Nobody learns which of the two was wrong, and the session stays."""
    sessions = Sessions()
    token = sessions.remember(session())
    tried = bytes(16) if spoil else token
    with pytest.raises(SessionForgotten, match=rf"session: {tried[:4].hex()}… of frame {frame_id} is not known here"):
        sessions.recall(tried, frame_id)
    assert knows(sessions, token)


def test_the_one_used_longest_ago_goes_first() -> None:
    """Being recalled is being used."""
    sessions = Sessions(max_bytes=3 * WEIGHT)
    first, second, third = (sessions.remember(session()) for _ in range(3))
    assert knows(sessions, first)
    fourth = sessions.remember(session())
    assert [knows(sessions, token) for token in (first, second, third, fourth)] == [True, False, True, True]


def test_what_never_fits_is_said_before() -> None:
    """So that nobody is asked for patches that could not be put to use."""
    sessions = Sessions(max_bytes=2 * WEIGHT)
    assert sessions.has_room_for(2 * WEIGHT)
    assert not sessions.has_room_for(2 * WEIGHT + 1)


def test_age_counts_from_the_first_round() -> None:
    """Being recalled makes nobody younger; what has expired leaves its room to others."""
    clock = Clock()
    sessions = Sessions(max_age_s=10, clock=clock)
    old = sessions.remember(session())
    clock.now_s = 9.9
    assert knows(sessions, old)
    young = sessions.remember(session())
    clock.now_s = 10.0
    assert not knows(sessions, old)
    assert knows(sessions, young)
    assert sessions.nbytes == WEIGHT
    clock.now_s = 30.0
    sessions.remember(session())
    assert sessions.nbytes == WEIGHT


def test_many_threads_keep_the_bound() -> None:
    """Whoever remembers or recalls at the same time, the bytes are those of what is there, and never too many."""
    most = 5 * WEIGHT
    sessions = Sessions(max_bytes=most)
    tokens = [sessions.remember(session())]

    def work(seed: int) -> int:
        chosen = np.random.default_rng(seed)
        largest = 0
        for _ in range(300):
            if chosen.random() < 0.5:
                tokens.append(sessions.remember(session()))
            else:
                knows(sessions, tokens[chosen.integers(len(tokens))])
            largest = max(largest, sessions.nbytes)
        return largest

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(work, range(8))) <= most
    assert sum(knows(sessions, token) for token in tokens) * WEIGHT == sessions.nbytes == most
