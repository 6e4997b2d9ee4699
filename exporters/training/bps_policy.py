"""Training the scheduler's policy: a DQN of 2 × 64 over what was measured, in worlds that the formulas do not foresee.

A network that only adds to the planner's merits, with every action's forecast or merit among its inputs, earned less
in as many steps: merits jump where a plan ceases to keep up, so that there was more to unlearn than to learn.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback
from tqdm import tqdm

from edge_runtime.scheduling.actions import actions
from edge_runtime.scheduling.learned import LearnedPolicy
from exporters.policy import POLICY, write_policy
from exporters.training.bps_environment import BpsEnvironment
from exporters.training.bps_evaluation import HeldOut

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.scheduling.tables import Tables

# A step outlasts most of what it started, so it hardly matters to the next; and the best of many noisy values, which a
# discount would add to the target, is always too high.
DISCOUNT = 0.0
HIDDEN = [64, 64]
# Falling to 0: what is earned is noisy.
LEARNING_RATE = 1e-3
# Half of the steps are random to the end: an action is judged in all states, also where it is not the best.
EXPLORED = 0.5
BATCH, BUFFER, WARM_UP = 256, 100_000, 1000
CHECKPOINT_EVERY_S = 60.0


@dataclass(frozen=True)
class Schedule:
    """``steps`` of the environment; the policy is written and compared in ``worlds`` each ``every`` steps."""

    steps: int = 60_000
    every: int = 6_000
    worlds: int = 100
    seed: int = 0


def train(tables: Tables, most_loss: float, folder: Path, schedule: Schedule) -> dict[str, Any]:
    """Train on ``tables`` and return the last line of ``folder/log.jsonl``; the policy is ``folder/policy.onnx``.

    A run that was interrupted goes on from ``folder/checkpoint.zip`` and the replay buffer beside it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    environment = BpsEnvironment(tables, actions(tables, most_loss), most_loss)
    model = _begin(environment, folder, schedule.seed)
    log = _Log(environment, HeldOut(tables, most_loss, schedule.worlds), folder, schedule)
    if model.num_timesteps < schedule.steps:
        model.learn(schedule.steps - model.num_timesteps, log, reset_num_timesteps=False)
    _save(model, folder)
    return log.write(model)


def _begin(environment: BpsEnvironment, folder: Path, seed: int) -> DQN:
    """The run in ``folder``, or a new one."""
    if (folder / "checkpoint.zip").exists():
        model = DQN.load(folder / "checkpoint.zip", env=environment, device="cpu")
        model.load_replay_buffer(folder / "replay.pkl")
        # Other worlds than those of the steps before.
        environment.reset(seed=seed + model.num_timesteps)
        return model
    return DQN(
        "MlpPolicy",
        environment,
        learning_rate=_learning_rate,
        gamma=DISCOUNT,
        buffer_size=BUFFER,
        learning_starts=WARM_UP,
        batch_size=BATCH,
        exploration_initial_eps=EXPLORED,
        exploration_final_eps=EXPLORED,
        policy_kwargs={"net_arch": HIDDEN},
        seed=seed,
        device="cpu",
    )


def _learning_rate(left: float) -> float:
    return LEARNING_RATE * left


def _save(model: DQN, folder: Path) -> None:
    """Write the checkpoint so that a kill in mid-write leaves the old one."""
    model.save_replay_buffer(folder / "replay.new.pkl")
    model.save(folder / "checkpoint.new.zip")
    (folder / "replay.new.pkl").replace(folder / "replay.pkl")
    (folder / "checkpoint.new.zip").replace(folder / "checkpoint.zip")


class _Log(BaseCallback):
    """Shows progress, saves checkpoints, and writes the curve."""

    def __init__(self, environment: BpsEnvironment, held_out: HeldOut, folder: Path, schedule: Schedule) -> None:
        super().__init__()
        self._environment, self._held_out = environment, held_out
        self._folder, self._schedule = folder, schedule
        self._started = self._saved = time.monotonic()

    def write(self, model: DQN) -> dict[str, Any]:
        """Export the policy as it is, compare it, and append the figures to the curve."""
        path = self._folder / POLICY
        plans = self._environment.actions.plans
        write_policy(model.policy.q_net.q_net, plans, path)
        policy = LearnedPolicy(path.read_bytes(), self._environment.tables, self._environment.most_loss)
        line = {
            "step": model.num_timesteps,
            **self._held_out.compare(policy),
            "worlds": self._schedule.worlds,
            "seconds": round(time.monotonic() - self._started),
        }
        with (self._folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        tqdm.write(json.dumps(line), file=sys.stderr)
        return line

    def _on_training_start(self) -> None:
        self._bar = tqdm(
            total=self._schedule.steps, initial=self.num_timesteps, desc=self._folder.name, unit="step", mininterval=10
        )

    def _on_step(self) -> bool:
        model = self.model
        assert isinstance(model, DQN)  # noqa: S101 - whose callback this is
        self._bar.update()
        if time.monotonic() - self._saved > CHECKPOINT_EVERY_S:
            _save(model, self._folder)
            self._saved = time.monotonic()
        if self.num_timesteps % self._schedule.every == 0 and self.num_timesteps < self._schedule.steps:
            self.write(model)
        return True

    def _on_training_end(self) -> None:
        self._bar.close()
