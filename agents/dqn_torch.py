"""DQN that lives on the device, with counterfactual experience (CRM) computed in the batch.

    python -m agents.dqn_torch --spec examples/specs/office_coffee.yaml
    python -m agents.dqn_torch --specs 'examples/specs/office_*.yaml' --crm tasks
    python -m agents.dqn_torch --spec ... --device cuda --n-envs 1024 --batch-size 4096 --cuda-graphs

Environments, reward program, replay buffer and updates are tensors on one device. The buffer holds what happened and
what the specs could read of it, not what was paid: when rows are drawn, the stacked tables say what would have been
paid from every machine state. R counterfactuals cost no memory, and a few gathers of `[N, R]`.

- `--crm none`: only the state that the machine was in.
- `--crm states`: every state of the environment's own machine (CRM).
- `--crm tasks`: every state of every spec's machine: what one task did teaches all of them.

With `--heads` a machine state is no input of the network but chooses among its outputs. One pass then gives the values
of all R states, so counterfactuals cost a few gathers here too, and states share what they know of the world.

Source:
    Toro Icarte et al., "Reward Machines" (JAIR 73, 2022), section 3.3, for CRM. Mnih et al. 2015 and van Hasselt et
    al. 2016 for double DQN; the target network follows by a moving average (Lillicrap et al. 2016) so that no step
    has to be counted. Outputs of their own for machine states: after QRM (Toro Icarte et al., ICML 2018), which has a
    network for each; here they share all layers but the last.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from gymnasium import spaces
from torch import Tensor

from agents.device import Memory, Sight, Tasks, Trunk, Weights, adam, adam_memory, add_layers, layers
from agents.device_run import Resident, returns_of, run_command, train_resident
from rewardspec.errors import Problem, UnsupportedError


@dataclass
class Args:
    """Train DQN on the device."""

    spec: Path | None = None
    """Spec file to learn."""
    specs: Path | None = None
    """Folder of spec files, or a pattern in quotes: one network learns them all."""
    env: str | None = None
    """Gymnasium id; the spec's own when not given."""
    crm: Literal["none", "states", "tasks"] = "states"
    """From which machine states every drawn step is replayed."""
    steps: int = 200_000
    """Environment steps, over all environments."""
    n_envs: int = 16
    """B, environments on the device."""
    train_freq: int = 4
    """Steps of every environment between updates."""
    gradient_steps: int = 8
    """Updates after each."""
    batch_size: int = 128
    """Rows drawn for an update, counterfactuals not counted."""
    buffer_size: int = 50_000
    """Rows that are kept."""
    learning_starts: int = 2_000
    """Steps taken at random before the first update."""
    learning_rate: float = 1e-3
    gamma: float | None = None
    """Discount; the spec's own when not given."""
    exploration_final_eps: float = 0.1
    """Share of random actions in the end."""
    exploration_fraction: float = 0.3
    """Part of the run in which that share falls from 1."""
    tau: float = 0.01
    """How far the target network follows in one update."""
    max_grad_norm: float = 10.0
    """The gradient is scaled down to this norm."""
    hidden: tuple[int, ...] = (64, 64)
    """Units of the hidden layers."""
    heads: bool = False
    """Whether every machine state has outputs of its own on one network, instead of being an input of it."""
    seed: int = 0
    device: str = "cpu"
    """`cpu`, `cuda` or `cuda:1`."""
    compile: bool = False
    """Fuse the update with torch.compile."""
    cuda_graphs: bool = False
    """Capture steps and updates in a CUDA graph and replay it."""
    folder: Path | None = None
    """Run folder; runs/<spec>-dqn_torch-<seed> without (runs/tasks-... for several specs)."""
    resume: Path | None = None
    """Run folder of a run to go on with."""
    log_every: int = 100
    """Iterations between rows of progress."""
    checkpoint_seconds: float = 60.0
    quiet: bool = False


class DQN(Resident):
    """One run: worlds, a replay buffer, a network and the one that follows it; see `Resident`."""

    def __init__(self, args: Args, tasks: Tasks) -> None:
        """Make worlds, buffer and weights.

        Raises:
            UnsupportedError: `needs-machine` when counterfactuals are wanted and no spec has a machine;
                `unfit-algorithm` for actions that are not Discrete; as `Resident`.
        """
        super().__init__(args, tasks, stacked=True)
        device = args.device
        self.steps = args.n_envs * args.train_freq
        self.machines = self.worlds.machines
        space = self.worlds.single_action_space
        if not isinstance(space, spaces.Discrete):
            raise UnsupportedError(Problem("unfit-algorithm", f"DQN chooses Discrete actions, not {space}"))
        self.actions, self._first = int(space.n), int(space.start)
        lives = [table.live for table in self.machines.tables]
        if args.crm != "none" and max(lives) == 1:
            hint = "Declare a `reward_machine` or an `ltl` term, or pass --crm none."
            text = f"{', '.join(self.names)}: no machine with two states or more, so nothing to replay from"
            raise UnsupportedError(Problem("needs-machine", text, hints=(hint,)))
        seen = self.worlds.env if args.heads else self.worlds
        self.sight = Sight(seen.single_observation_space, device)
        self.weights, self._depth = Weights(), len(args.hidden)
        self.trunk = Trunk(self.sight, self.weights)
        self._heads = len(self.names) * self.machines.states if args.heads else 1
        add_layers(self.weights, "q", self.trunk.size, args.hidden, self._heads * self.actions, 1.0)
        torch.manual_seed(args.seed)
        self._specs, self._states = self._counterfactuals(lives)
        batch = args.n_envs
        self._rows = max(args.buffer_size // batch, 1) * batch
        self._lanes = torch.arange(batch, device=device)
        weights = self.weights.init(args.seed).to(device)
        self.memory |= {
            **adam_memory(weights),
            "target": weights.clone(),
            "explore": torch.ones((), device=device),
            "taken": torch.zeros((), dtype=torch.int64, device=device),
            "loss": torch.zeros((), device=device),
        }
        self.worlds.reset()
        obs = self.worlds.env.reset(torch.zeros(batch, dtype=torch.bool, device=device))
        self.memory |= {f"now.{key}": part.clone() for key, part in parts_of(obs).items()}
        self._improve = (
            torch.compile(self.improve, fullgraph=True, dynamic=False) if args.compile else self.improve
        )
        self._make_buffer()

    def _counterfactuals(self, lives: list[int]) -> tuple[Tensor | None, Tensor | None]:
        """Return specs and states `[R]` to replay from; without specs its own, without states its own too."""
        device = self.args.device
        if self.args.crm == "none":
            return None, None
        if self.args.crm == "states":
            return None, torch.arange(max(lives), device=device)
        pairs = [(m, u) for m, live in enumerate(lives) for u in range(live)]
        specs, states = torch.tensor(pairs, device=device).T.contiguous()
        return specs, states

    def _make_buffer(self) -> None:
        """Lay out the buffer: one step at random tells what its columns are; it is taken back."""
        before = self.worlds.state_dict()
        row = self.take(torch.zeros(self.args.n_envs, dtype=torch.int64, device=self.args.device))
        self.worlds.load_state_dict(before)
        for name in ("return", "length", "finished"):
            self.memory[name].zero_()
        for key, part in row.items():
            if key.startswith("now."):
                self.memory[key].copy_(part)
        self.memory |= {
            f"buffer.{key}": torch.zeros(self._rows, *part.shape[1:], dtype=part.dtype, device=part.device)
            for key, part in row.items()
        }

    # -- steps ---------------------------------------------------------------------------------------

    def values(self, weights: Tensor, obs: Any, spec: Tensor, u: Tensor) -> Tensor:
        """Return Q `[N, R, A]` of raw observations in specs and machine states `[N, R]`."""
        w, each = self.weights.split(weights), u.shape[1]
        if not self.args.heads:
            obs = {key: repeated(part, each) for key, part in parts_of(obs).items()}
            obs = self.worlds.extended(obs.get("", obs), spec.flatten(), u.flatten())
        said = layers(w, "q", self.trunk(w, self.sight(obs)), self._depth, torch.relu)
        if not self.args.heads:
            return said.view(-1, each, self.actions)
        head = (spec * self.machines.states + u).unsqueeze(2).expand(-1, -1, self.actions)
        return said.view(-1, self._heads, self.actions).gather(1, head)

    def take(self, action: Tensor) -> Memory:
        """Step the environments by actions `[B]`; return rows for the buffer."""
        memory = self.memory
        now = {key: part.clone() for key, part in memory.items() if key.startswith("now.")}
        _, reward, terminated, truncated, infos = self.worlds.step(action + self._first)
        nobody = torch.zeros_like(terminated)
        for key, part in parts_of(self.worlds.env.reset(nobody)).items():
            memory[f"now.{key}"].copy_(part)
        ended = terminated | truncated
        self.score(reward, ended, infos)
        reading = infos["reading"]
        return {
            **now,
            **{f"next.{key}": part for key, part in parts_of(infos["final_raw"]).items()},
            "action": action,
            "spec": infos["spec"],
            "u": infos["u"],
            "bits": reading.bits.to(torch.int8),
            "values": reading.values,
            "ends": reading.terminated.clone(),
        }

    def explore(self) -> None:
        """Step every environment once, mostly by the network, and keep what happened."""
        memory, batch = self.memory, self.args.n_envs
        with torch.no_grad():
            obs = whole({key: part for key, part in memory.items() if key.startswith("now.")}, "now.")
            best = self.best(self.worlds, obs)
        chance, other = torch.rand(2, batch, device=best.device)
        action = torch.where(chance < memory["explore"], (other * self.actions).to(torch.int64), best)
        rows = (memory["taken"] + self._lanes) % self._rows
        for key, part in self.take(action).items():
            memory[f"buffer.{key}"].index_copy_(0, rows, part)
        memory["taken"].add_(batch)

    def best(self, worlds: Any, obs: Any) -> Tensor:
        """Return the best actions `[B]` for raw observations, in each environment's own spec and machine state."""
        spec, u = worlds.spec.unsqueeze(1), worlds.u.unsqueeze(1)
        return self.values(self.memory["weights"], obs, spec, u).squeeze(1).argmax(1)

    # -- updates -------------------------------------------------------------------------------------

    def replay(self, rows: Memory) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Replay rows `[N, ...]` from R machine states each.

        Returns:
            Spec, state before, reward, state after, 1 where the episode goes on and 1 where the state exists: `[N, R]`.
        """
        own = rows["spec"].unsqueeze(1)
        spec = own if self._specs is None else self._specs.expand(len(own), -1)
        u = rows["u"].unsqueeze(1) if self._states is None else self._states.expand(len(own), -1)
        spec = spec.expand_as(u)
        exists = (u < self.machines.live[spec]).to(torch.float32)
        bits = rows["bits"].to(torch.int64).unsqueeze(1).expand(-1, u.shape[1], -1)
        classes = self.machines.classify(spec, bits)
        after, reward, ends, _ = self.machines.step(spec, u, classes, rows["values"].unsqueeze(1))
        lives = ~(ends | rows["ends"].unsqueeze(1))
        return spec, u, reward, after, lives.to(torch.float32), exists

    def loss(self, weights: Tensor, rows: Memory) -> Tensor:
        """Return the Huber loss of Q against double DQN's targets, over all counterfactuals that exist."""
        spec, u, reward, after, lives, exists = self.replay(rows)
        now, later = (
            whole({key: part for key, part in rows.items() if key.startswith(name)}, name)
            for name in ("now.", "next.")
        )
        with torch.no_grad():
            chosen = self.values(weights.detach(), later, spec, after).argmax(2, keepdim=True)
            onward = self.values(self.memory["target"], later, spec, after).gather(2, chosen).squeeze(2)
            target = reward + self.gamma * lives * onward
        action = rows["action"].view(-1, 1, 1).expand(-1, u.shape[1], 1)
        said = self.values(weights, now, spec, u).gather(2, action).squeeze(2)
        error = torch.nn.functional.smooth_l1_loss(said, target, reduction="none")
        return (error * exists).sum() / exists.sum()

    def improve(self, index: Tensor) -> None:
        """Take one step of Adam on the loss of the buffer's rows `index` `[N]`; let the target follow."""
        memory = self.memory
        rows = {key[7:]: part[index] for key, part in memory.items() if key.startswith("buffer.")}
        gradient, loss = torch.func.grad_and_value(self.loss)(memory["weights"], rows)
        norm = gradient.norm()
        adam(
            memory,
            gradient * torch.clamp(self.args.max_grad_norm / (norm + 1e-6), max=1.0),
            self.args.learning_rate,
        )
        memory["target"].lerp_(memory["weights"], self.args.tau)
        memory["loss"].copy_(loss.detach())

    def iterate(self) -> None:
        """Step, then learn from what the buffer holds. Nothing here waits for the device."""
        for _ in range(self.args.train_freq):
            self.explore()
        filled = self.memory["taken"].clamp(max=self._rows)
        draws = torch.rand(self.args.gradient_steps, self.args.batch_size, device=filled.device)
        for draw in draws:
            self._improve((draw * filled).to(torch.int64).clamp(max=self._rows - 1))

    def warm_up(self) -> None:
        """Fill the buffer a little by random actions."""
        self.memory["explore"].fill_(1.0)
        for _ in range(max(1, self.args.learning_starts // self.args.n_envs)):
            self.explore()

    def schedule(self, done: int, iterations: int) -> None:
        """Let the share of random actions fall."""
        fallen = min(1.0, done / max(1.0, self.args.exploration_fraction * iterations))
        self.memory["explore"].fill_(1.0 + fallen * (self.args.exploration_final_eps - 1.0))

    def losses(self) -> dict[str, float]:
        """Return the last update's loss and the share of random actions; waits for the device."""
        return {"explore": float(self.memory["explore"]), "loss": float(self.memory["loss"])}

    def evaluate(self, tasks: Tasks) -> dict[str, float]:
        """Return the mean return of the best actions, by spec."""

        def choose(worlds: Any, obs: Any) -> Tensor:
            nobody = torch.zeros_like(worlds.spec, dtype=torch.bool)
            return self.best(worlds, worlds.env.reset(nobody)) + self._first

        return returns_of(tasks, choose, self.args.device, self.args.seed + 1_000_003, stacked=True)


def parts_of(obs: Any) -> Mapping[str, Tensor]:
    """Return an observation's parts by name; a single tensor is the part `""`."""
    return obs if isinstance(obs, Mapping) else {"": obs}


def whole(parts: Memory, prefix: str) -> Any:
    """Return the observation whose parts have these names after a prefix."""
    obs = {key[len(prefix) :]: part for key, part in parts.items()}
    return obs.get("", obs)


def repeated(part: Tensor, times: int) -> Tensor:
    """Return `[N, ...]` with every row `times` times in a row."""
    return part.unsqueeze(1).expand(-1, times, *part.shape[1:]).flatten(0, 1)


def train(args: Args, console: Any = None) -> dict[str, float]:
    """Train, or go on; return what the best actions earn in the end, by spec: see `train_resident`."""
    return train_resident("dqn_torch", DQN, args, console)


if __name__ == "__main__":
    sys.exit(run_command("dqn_torch", Args, train, sys.argv[1:]))
