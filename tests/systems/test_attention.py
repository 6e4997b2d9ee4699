"""The attention system, driven by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_runtime import kernels
from edge_runtime.codecs import patches
from edge_runtime.errors import LinkLost, ServerRefused
from edge_runtime.messages import Answer, Frame, Reply
from edge_runtime.models.bundle import GateSpec
from edge_runtime.systems.attention import Attention


def reply() -> Reply:
    """A server that is sure of class 2."""
    return Reply(np.array([[0.1, 0.1, 0.8]], np.float32), "server", {"decode": 1.0, "queue": 0.0, "compute": 2.0})


def finish(inference: Any, value: Reply) -> Answer:
    """Hand the reply over and take the answer."""
    with pytest.raises(StopIteration) as stop:
        inference.send(value)
    answer: Answer = stop.value.value
    return answer


def test_a_sure_device_answers_without_asking(sure: Any, gate: GateSpec, frame: Frame) -> None:
    """Below η nothing is sent."""
    with pytest.raises(StopIteration) as stop:
        next(Attention(sure, gate).infer(frame))
    answer = stop.value.value
    assert (answer.decided_by, answer.label, answer.patches_sent, answer.payload_bytes) == ("edge", 1, 0, 0)


def test_an_unsure_device_sends_the_patches_its_attention_chose(unsure: Any, gate: GateSpec, frame: Frame) -> None:
    """The payload holds exactly the patches that the rule selects, at their places."""
    request = next(Attention(unsure, gate).infer(frame))
    indices, sent = patches.decode(request.payloads[0].data, (4, 4), 16)
    wanted = kernels.select_sum(kernels.class_attention(unsure.seen.attention), 0.5)
    assert wanted.tolist() == indices.tolist()
    assert np.array_equal(kernels.gather(frame.pixels, wanted), sent)


def test_the_server_decides_what_the_device_sent(unsure: Any, gate: GateSpec, frame: Frame) -> None:
    """The reply's best class is the answer, and the stage times of both sides are in it."""
    inference = Attention(unsure, gate).infer(frame)
    request = next(inference)
    answer = finish(inference, reply())
    assert (answer.decided_by, answer.label) == ("server", 2)
    assert len(request.payloads[0].data) == answer.payload_bytes
    assert {"edge", "select", "encode", "link", "server_compute"} <= set(answer.timings_ms)


@pytest.mark.parametrize("lost", [LinkLost("gone"), ServerRefused("no")])
def test_without_a_reply_the_device_answers_and_says_so(
    unsure: Any, gate: GateSpec, frame: Frame, lost: Exception
) -> None:
    """A lost link or a refusal yields the device's own answer, marked, with the reason."""
    inference = Attention(unsure, gate).infer(frame)
    next(inference)
    with pytest.raises(StopIteration) as stop:
        inference.throw(lost)
    answer = stop.value.value
    assert ("edge-fallback", 1, str(lost)) == (answer.decided_by, answer.label, answer.note)


def test_the_server_model_asked_for_is_named_in_the_request(unsure: Any, gate: GateSpec, frame: Frame) -> None:
    """An empty name leaves the choice to the server."""
    assert next(Attention(unsure, gate).infer(frame)).model == ""
    assert next(Attention(unsure, gate, model="vit").infer(frame)).model == "vit"


def test_a_reply_for_other_classes_is_no_answer(unsure: Any, gate: GateSpec, frame: Frame) -> None:
    """A server that knows another number of classes cannot be understood; the device answers."""
    inference = Attention(unsure, gate).infer(frame)
    next(inference)
    answer = finish(inference, Reply(np.array([[0.5, 0.5]], np.float32), "server", {}))
    assert answer.decided_by == "edge-fallback"
    assert answer.note == "reply: 2 probabilities for 3 classes"
