"""Policies of a population as small networks: many of them played side by side, and a best response learned by PPO.

A lane is one copy of the game with one policy for each agent. Lanes are sorted by policy once, so that a step of all
lanes is one product of each policy's weights with all that its lanes see, whoever plays against whom.

Source:
    Schulman et al., "Proximal Policy Optimization Algorithms" (2017). What is ours: the weight of a step. With U the
    expected return less gamma times the risk between opponents, dU / dV_l is p_l times `risk_weights`, so advantages
    against opponent l are multiplied by it, with the return against each opponent estimated as the learner goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agents.device import Weights, adam, adam_memory, add_layers, layers
from envs.game_batches import GameBatch
from rewardspec.games.risk import Risk, risk_weights

Make = Callable[[int, int], GameBatch]
"""Number of copies and seed -> the game."""

Actor = Callable[[Tensor], Tensor]
"""Observations `[B, D]` -> actions `[B]`."""

RARE = 0.2
"""Share of a learner's episodes that is spread evenly over opponents: who is seldom met would hardly be known."""


@dataclass(frozen=True)
class Learning:
    """How a best response is learned.

    Attributes:
        iterations: Rollouts.
        lanes: Episodes of a rollout.
        epochs: Passes over a rollout.
        minibatches: Updates of a pass.
        learning_rate: At the start; it falls to 0.
        entropy: Weight of the policy's entropy.
        clip: How far the probability of an action may move.
        lam: lambda of the advantages.
        hidden: Units of the hidden layers.
    """

    iterations: int = 40
    lanes: int = 256
    epochs: int = 4
    minibatches: int = 4
    learning_rate: float = 3e-3
    entropy: float = 0.01
    clip: float = 0.2
    lam: float = 0.95
    hidden: tuple[int, ...] = (32, 32)


class Nets:
    """The shape of one agent's policies: a flat vector of weights each.

    Attributes:
        actions: A.
        depth: Hidden layers.
        size: Length of the vector.
    """

    def __init__(self, inputs: int, actions: int, hidden: tuple[int, ...]) -> None:
        """Lay out the weights."""
        self.actions, self.depth = actions, len(hidden)
        self.weights = Weights()
        add_layers(self.weights, "actor", inputs, hidden, actions, 0.01)

    @property
    def size(self) -> int:
        """Length of the vector."""
        return self.weights.size

    def init(self, seed: int) -> Tensor:
        """Return new weights: a policy that does nearly everything alike."""
        return self.weights.init(seed)

    def logits(self, vector: Tensor, obs: Tensor) -> Tensor:
        """Return `[B, A]` of one policy."""
        return layers(self.weights.split(vector), "actor", obs, self.depth, torch.tanh)

    def crowd(self, policies: Tensor, which: Tensor) -> Crowd:
        """Return what acts in B lanes: `policies` is `[K, size]`, `which` says for each lane `[B]` whose it is."""
        return Crowd(self, policies, which)


class Crowd:
    """Several policies, each evaluated on all of its lanes at once; lanes are the last axis, `[D, B]`.

    tanh(z) = 2 s(2z) - 1 with the logistic function s, which the CPU has at a fifth of the price: the factors and the 1
    are multiplied into the weights beforehand.
    """

    def __init__(self, nets: Nets, policies: Tensor, which: Tensor) -> None:
        """Sort the lanes and fold the weights; see `Nets.crowd`."""
        met, counts = which.unique(return_counts=True)
        self._ends = counts.cumsum(0).tolist()
        self._alike = int(counts.min()) == int(counts.max())
        in_order = bool((which.diff() >= 0).all())
        self._order = None if in_order else which.argsort(stable=True)
        self._places = None if self._order is None else self._order.argsort()
        held = policies[met].double()
        sizes = [int(np.prod(shape)) for shape in nets.weights.shapes.values()]
        parts = {
            name: part.reshape(len(met), *shape)
            for (name, shape), part in zip(nets.weights.shapes.items(), held.split(sizes, dim=1), strict=True)
        }
        self._layers = []
        names = [f"actor{i}" for i in range(nets.depth)] + ["actor"]
        for i, name in enumerate(names):
            weight, bias = parts[f"{name}.weight"], parts[f"{name}.bias"]
            if i > 0:  # what comes in is s(2z)
                weight, bias = 2.0 * weight, bias - weight.sum(dim=1)
            if i < nets.depth:
                weight, bias = 2.0 * weight, 2.0 * bias
            weight, bias = weight.to(policies.dtype), bias.to(policies.dtype)
            self._layers.append((weight.transpose(1, 2).contiguous(), bias.unsqueeze(2)))

    def act(self, obs: Tensor, generator: torch.Generator) -> Tensor:
        """Return actions `[B]` for `obs` `[B, D]`: where the sum of probabilities passes a uniform number."""
        x = (obs if self._order is None else obs.index_select(0, self._order)).t()
        if self._alike:  # [K, D, B / K]: all policies in one product
            x = x.unflatten(1, (len(self._ends), -1)).movedim(0, 1)
        *hidden, (weight, bias) = self._layers
        for inner, shift in hidden:
            x = self._product(inner, x, shift).sigmoid_()
        reached = (
            self._product(weight, x, bias).softmax(dim=-2).cumsum(dim=-2).narrow(-2, 0, weight.shape[1] - 1)
        )
        drawn = torch.rand(len(obs), generator=generator)
        if self._alike:
            drawn = drawn.view(len(self._ends), 1, -1)
        action = (reached <= drawn).sum(dim=-2).flatten()
        return action if self._places is None else action.index_select(0, self._places)

    def _product(self, weight: Tensor, x: Tensor, bias: Tensor) -> Tensor:
        if self._alike:
            return torch.baddbmm(bias, weight, x)
        out = x.new_empty(weight.shape[1], x.shape[1])
        begin = 0
        for k, end in enumerate(self._ends):
            torch.addmm(bias[k], weight[k], x[:, begin:end], out=out[:, begin:end])
            begin = end
        return out


def draw(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Return actions `[B]` drawn by their logits (the Gumbel trick)."""
    noise = torch.rand(logits.shape, generator=generator).clamp_min(1e-30)
    return (logits - torch.log(-torch.log(noise))).argmax(dim=1)


@dataclass(frozen=True)
class Played:
    """What came of one episode in every lane.

    Attributes:
        returns: `[B, N]`.
        events: By name `[B]` bool, whether it ever happened.
    """

    returns: Tensor
    events: Mapping[str, Tensor]


@torch.no_grad()
def play(game: GameBatch, actors: Sequence[Actor], *, events: bool = True) -> Played:
    """Play one episode in every lane, all from their beginning.

    Args:
        game: B lanes.
        actors: One for each agent, acting in all lanes.
        events: Whether to look at what happened, too.
    """
    everyone = torch.ones(game.num_envs, dtype=torch.bool)
    obs = game.reset(everyone)
    total = torch.zeros(game.num_envs, len(game.agents))
    going = everyone.clone()
    seen = {name: ~everyone for name in (game.event_names if events else ())}
    for _ in range(game.horizon):
        action = torch.stack([act(obs[:, i]) for i, act in enumerate(actors)], dim=1)
        obs, reward, terminated, truncated = game.step(action)
        total += torch.where(going[:, None], reward.to(torch.float32), 0.0)
        for name, happened in game.events().items() if events else ():
            seen[name] = seen[name] | (happened & going)
        going = going & ~(terminated | truncated)
    return Played(total, seen)


def net_actor(
    nets: Nets,
    policies: npt.NDArray[np.float32],
    which: npt.NDArray[np.int64],
    generator: torch.Generator,
) -> Actor:
    """Return an agent that plays in each lane one of its policies `[K, size]`, by number: `which` is `[B]`."""
    crowd = nets.crowd(torch.from_numpy(policies), torch.from_numpy(which))
    return lambda obs: crowd.act(obs, generator)


def simulate(
    make: Make,
    nets: Sequence[Nets],
    policies: Sequence[npt.NDArray[np.float32]],
    cells: Sequence[tuple[int, ...]],
    episodes: int,
    seed: int,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return mean and mean square of the returns in many cells at once, `[C, N]` each.

    Args:
        make: Makes the game.
        nets: Of each agent.
        policies: Of each agent `[K_i, size]`.
        cells: C joint policies.
        episodes: Of each cell.
        seed: Of starts and actions.
    """
    index = np.repeat(np.array(cells), episodes, axis=0)
    generator = torch.Generator().manual_seed(seed)
    actors = [net_actor(nets[i], policies[i], index[:, i], generator) for i in range(len(nets))]
    found = play(make(len(index), seed), actors, events=False).returns.double()
    grouped = found.reshape(len(cells), episodes, len(nets))
    return grouped.mean(dim=1).numpy(), (grouped**2).mean(dim=1).numpy()


def learn(
    make: Make,
    nets: Sequence[Nets],
    player: int,
    opponents: Sequence[npt.NDArray[np.float32]],
    cells: npt.NDArray[np.int64],
    p: npt.NDArray[np.float64],
    gamma: float,
    risk: Risk,
    how: Learning,
    seed: int,
    start: npt.NDArray[np.float32] | None = None,
) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
    """Return a policy `[size]` that PPO has made good against a mixture of opponents, and what it earned.

    Args:
        make: Makes the game.
        nets: Of each agent.
        player: Who learns.
        opponents: Policies of each agent `[K_i, size]`; the player's own are not looked at.
        cells: `[L, N]`, joint opponents by number; the player's own column is not looked at.
        p: `[L]`, how likely each is.
        gamma: Dislike of risk between opponents.
        risk: A convex one.
        how: Lanes, rollouts and rates.
        seed: Of everything random.
        start: Weights to begin with.
    """
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    own = nets[player]
    game = make(how.lanes, seed)
    size = int(np.prod(game.observation_space(game.agents[player]).shape or (1,)))
    critic = Weights()
    add_layers(critic, "critic", size, how.hidden, 1, 1.0)
    depth = len(how.hidden)
    actor = own.init(seed) if start is None else torch.from_numpy(start.copy())
    memory = adam_memory(torch.cat([actor, critic.init(seed + 1)]))
    meet = (1.0 - RARE) * p + RARE / len(p)
    worth = np.full(len(p), np.nan)  # running return against each opponent
    steps = game.horizon
    for iteration in range(how.iterations):
        met = rng.choice(len(p), size=how.lanes, p=meet)
        actors: list[Any] = [
            None if i == player else net_actor(nets[i], opponents[i], cells[met, i], generator)
            for i in range(len(nets))
        ]
        weights = memory["weights"]
        obs = game.reset(torch.ones(how.lanes, dtype=torch.bool))
        going = torch.ones(how.lanes, dtype=torch.bool)
        rows: list[tuple[Tensor, ...]] = []
        with torch.no_grad():
            for _ in range(steps):
                logits = own.logits(weights[: own.size], obs[:, player])
                mine = draw(logits, generator)
                chance = torch.log_softmax(logits, 1).gather(1, mine[:, None]).squeeze(1)
                seen = obs[:, player].clone()
                action = torch.stack(
                    [mine if act is None else act(obs[:, i]) for i, act in enumerate(actors)], dim=1
                )
                obs, reward, terminated, truncated = game.step(action)
                paid = torch.where(going, reward[:, player].to(torch.float32), 0.0)
                rows.append((seen, mine, chance, paid, going))
                going = going & ~(terminated | truncated)
            seen, mine, chance, paid, alive = (torch.stack(part) for part in zip(*rows, strict=True))
            value = layers(
                critic.split(weights[own.size :]), "critic", seen.flatten(0, 1), depth, torch.tanh
            ).reshape(steps, how.lanes)
            total = paid.sum(dim=0).numpy()
            _update(worth, met, total)
            known = np.where(np.isnan(worth), np.nanmean(worth), worth)
            lane = risk_weights(risk, known, p, gamma) if gamma else np.ones(len(p))
            lane = torch.from_numpy((lane * p / meet)[met]).to(torch.float32)
            advantage = torch.zeros_like(value)
            later = torch.zeros(how.lanes)
            for t in reversed(range(steps)):
                follows = value[t + 1] * alive[t + 1] if t + 1 < steps else torch.zeros(how.lanes)
                error = paid[t] + follows - value[t]
                later = (error + how.lam * later) * alive[t]
                advantage[t] = later
            target = advantage + value
            scaled = advantage * lane
            counted = alive.to(torch.float32)
            spread = ((scaled**2 * counted).sum() / counted.sum()).sqrt() + 1e-8
            scaled = scaled / spread
        keep = alive.flatten().nonzero().squeeze(1)
        flat = (seen.flatten(0, 1), mine.flatten(), chance.flatten(), scaled.flatten(), target.flatten())
        seen, mine, chance, scaled, target = (part[keep] for part in flat)
        rate = how.learning_rate * (1.0 - iteration / how.iterations)
        for _ in range(how.epochs):
            order = torch.randperm(len(keep), generator=generator)
            for part in order.chunk(how.minibatches):
                batch = (seen[part], mine[part], chance[part], scaled[part], target[part])
                adam(memory, _gradient(memory["weights"], own, critic, depth, how, batch), rate)
    final = memory["weights"][: own.size].numpy().astype(np.float32)
    known = np.where(np.isnan(worth), np.nanmean(worth), worth)
    return final, {"worth": known.round(4).tolist(), "steps": steps * how.lanes * how.iterations}


def _update(
    worth: npt.NDArray[np.float64], met: npt.NDArray[np.int64], total: npt.NDArray[np.float32]
) -> None:
    """Move the running returns against opponents by those of a rollout; the more episodes, the farther."""
    count = np.bincount(met, minlength=len(worth))
    mean = np.bincount(met, total, minlength=len(worth)) / np.maximum(count, 1)
    share = 1.0 - 0.9 ** np.minimum(count, 30)
    worth[:] = np.where(count == 0, worth, np.where(np.isnan(worth), mean, worth + share * (mean - worth)))


def _gradient(
    weights: Tensor, own: Nets, critic: Weights, depth: int, how: Learning, batch: tuple[Tensor, ...]
) -> Tensor:
    """Return the gradient of the clipped loss, scaled down to a norm of 0.5."""
    seen, mine, chance, advantage, target = batch
    vector = weights.detach().requires_grad_(True)
    log = torch.log_softmax(own.logits(vector[: own.size], seen), dim=1)
    ratio = torch.exp(log.gather(1, mine[:, None]).squeeze(1) - chance)
    clipped = ratio.clamp(1.0 - how.clip, 1.0 + how.clip)
    policy = -torch.minimum(ratio * advantage, clipped * advantage).mean()
    entropy = -(log.exp() * log).sum(dim=1).mean()
    value = layers(critic.split(vector[own.size :]), "critic", seen, depth, torch.tanh).squeeze(1)
    loss = policy - how.entropy * entropy + 0.5 * (value - target).square().mean() / (1.0 + target.var())
    (found,) = torch.autograd.grad(loss, vector)
    return found * (0.5 / found.norm().clamp_min(0.5))
