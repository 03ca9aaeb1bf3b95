"""What lives on the device: a reward program's share of a step there, PPO in torch beside SB3, and the CUDA goals.

On the CPU this measures the share of the reward program in a device-resident step, eager and compiled, and PPO in
torch beside stable-baselines3 (goal C6t). Where there is a CUDA device it measures what the device can do (copy
bandwidth, time of a graph's node, rate of the L2 cache) and then goals G1 to G8 against that; where there is none it
lists each as unmeasured. Rates on a device are by CUDA events around replayed graphs, or by a clock around
seconds of synchronised work; they count environment steps once.
"""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.speed import device_jax
from benchmarks.speed.method import Block, Result, Settings, absent, added, ratios, take_times
from benchmarks.speed.workload import spec_text
from rewardspec.backends.stacked_machines import tabulate_program
from rewardspec.compiler import compile_spec
from rewardspec.ir.layout import bind
from rewardspec.vocabulary import loads

BATCH = 65_536

POLE = """
name: pole
discount: 0.99
env: {id: CartPole-v1}
propositions: {right: "next_obs[0] > 0.2", left: "next_obs[0] < -0.2"}
reward:
- reward
- reward_machine:
    start: to the right
    edges:
    - {from: to the right, to: to the left, when: right, reward: 1}
    - {from: to the left, to: to the right, when: left, reward: 1}
"""
"""CartPole with a reason to move to and fro."""

UNSEEN_POLE = f"observe: none\n{POLE.lstrip()}"
"""The same without the machine's state in the observation: the reward's cost alone."""

AUTOMATON = "\n".join(
    [
        "propositions: {p0: 'next_obs[0] > 0', p1: 'next_obs[1] > 0', p2: 'next_obs[2] > 0'}",
        "reward:",
        "  reward_machine:",
        "    start: q0",
        "    edges:",
        *(
            f"    - {{from: q{u}, to: q{(u + 1) % 8}, when: p{u % 3} and not p{(u + 1) % 3}, reward: {u + 1}}}"
            for u in range(8)
        ),
    ]
)
"""Three propositions over three floats, eight states, a payment on every edge."""

LAKE = "propositions: {a: next_obs == 3}\nreward: {ltl: F a}"

GOALS = {
    "G1": "automaton in one kernel at N = 4 M: 80 % of the copy bandwidth",
    "G2": "automaton at N = 4,096: 2 G steps/s as a graph's node, 40 G/s with 32 steps in a kernel",
    "G3": "CartPole, spec, autoreset, random actions at N = 1 M: 20 G steps/s; a tabulated grid: 10 G/s",
    "G4": "the spec costs at most 5 % of that step",
    "G5": "PPO (64-64, 4 epochs, T = 32, 4 minibatches) at N = 16,384: 50 M steps/s",
    "G6": "PPO captured over eager at N = 4,096: 8x",
    "G7": "PPO over PureJaxRL on the same device: 3x",
    "G8": "CartPole with a spec solved in 1 s from a warm process",
}


def measure(settings: Settings) -> list[Result]:
    """Return the figures of this machine; print a line for each goal that cannot be measured on it."""
    try:
        import torch
    except ImportError:
        return [absent("", "On the device", "unmeasured: torch is not installed")]
    torch.set_num_threads(1)
    results = [*shares(settings), *ppo_beside_sb3(settings)]
    if torch.cuda.is_available():
        return [*results, *cuda_goals(settings)]
    return [*results, *(absent(code, what, "unmeasured: no CUDA device") for code, what in GOALS.items())]


# -- the reward program's share of a step ----------------------------------------------------------------------


def shares(settings: Settings) -> list[Result]:
    """Return what a spec adds to a step of CartPole on the device, in per cent of the step without it."""
    import torch

    keep_freed_memory()
    batch = 4096 if settings.quick else BATCH
    results = []
    for what, text, goal in (
        (
            "two propositions, a machine and the own reward",
            UNSEEN_POLE,
            10.0,
        ),
        ("five propositions, eight states and a dense term", spec_text(), None),
    ):
        for how in ("eager",) if settings.quick else ("eager", "compiled"):
            bare, paid, program = steppers(batch, text)
            if how == "compiled":
                torch._dynamo.reset()
                bare, paid = (torch.compile(f, fullgraph=True, dynamic=False) for f in (bare, paid))
            cases: dict[str, Block] = {"bare": repeat(bare), "paid": repeat(paid)}
            if how == "eager":
                cases["program"] = repeat(program)
            times = take_times(cases, Settings(max(5, settings.rounds // 4), settings.block, settings.quick))
            at = f"B = {batch:,}, torch on the CPU, {how}: {what}"
            share = [100 * r for r in ratios(added(times, "paid", "bare"), times["bare"])]
            why = (
                "eager, in per cent of the step: the program 9, reading the observation 3, asking whether all is"
                " finite 2, resets and counts 2, for each operation is a pass over arrays that the environment's own"
                " have put out of the caches; compiled, reading the observation and writing the reward, with nothing"
                " worked out between, are 11, and the program 5"
            )
            results.append(
                Result.of(
                    f"{at}: the whole wrapper over the bare step", "%", share, goal, why=why if goal else ""
                )
            )
            if how == "eager":
                share = [100 * r for r in ratios(times["program"], times["bare"])]
                slow = "eager torch passes over the batch once for every operation" if goal else ""
                results.append(Result.of(f"{at}: the program alone", "%", share, goal, why=slow))
    return results


def keep_freed_memory() -> None:
    """Let this process keep the memory that tensors free, as torch does on CUDA, where the C library can.

    A step on the CPU otherwise gives megabytes back and asks for them anew: it spends half its time on 2,000 page
    faults, and what is measured is where the C library draws its line.
    """
    trim, map_ = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of glibc
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return
    for option in (trim, map_):
        mallopt(option, 1 << 30)


def steppers(batch: int, text: str, device: str = "cpu") -> tuple[Callable[[], Any], ...]:
    """Return a step of CartPole with its resets and the same with a spec, random actions; and the program alone.

    The wrapper keeps no totals of episodes, as under `agents/ppo_torch.py`, which does not ask for them.
    """
    import torch

    from envs.cartpole_batch import CartPoleBatch
    from rewardspec.transition import Transition
    from rewardspec.wrappers.tensor import wrap_tensor

    alone = CartPoleBatch(batch, device)
    worlds = wrap_tensor(CartPoleBatch(batch, device), loads(text), device=device, totals=False)
    alone.reset(torch.ones(batch, dtype=torch.bool, device=device))
    worlds.reset()
    action = torch.arange(batch, device=device) % 2

    def bare() -> Any:
        obs, reward, terminated, truncated = alone.step(action)
        return obs, alone.reset(terminated | truncated), reward

    def paid() -> Any:
        obs, reward, _, _, infos = worlds.step(action)
        return obs, infos["final_obs"], reward

    obs, reward, terminated, truncated = CartPoleBatch(batch, device).step(action)
    transition = Transition(obs, action, obs, reward, terminated, truncated)

    def program() -> Any:
        return worlds._array.step(worlds.state, transition)

    return bare, paid, program


def repeat(work: Callable[[], Any]) -> Block:
    """Return a block that does the work n times."""

    def block(n: int) -> None:
        for _ in range(n):
            work()

    return block


PRODUCTS = (
    "3.4 to 4.9 x by machine: of many environments most of the time is in the update's products, which torch does for"
    " both"
)

# -- PPO in torch beside stable-baselines3 (C6t) -----------------------------------------------------------------


def ppo_beside_sb3(settings: Settings) -> list[Result]:
    """Return how many times SB3's PPO ours is on one thread: same spec, network, epochs and minibatches."""
    try:
        import stable_baselines3  # noqa: F401
    except ImportError:
        return [
            absent(
                "C6t", "SB3's time / agents/ppo_torch.py", "unmeasured: stable-baselines3 is not installed"
            )
        ]
    results = []
    for envs, rollout in ((4, 128), (64, 128)):
        if settings.quick:
            envs, rollout = 4, 16
        hows = ("eager",) if settings.quick else ("eager", "compiled")
        blocks = {"sb3": sb3_iteration(envs, rollout)}
        for how in hows:
            blocks[how] = our_iteration(envs, rollout, compiled=how == "compiled")
        rounds = 3 if settings.quick else max(6, settings.rounds // 12)
        times: dict[str, list[float]] = {name: [] for name in blocks}
        for _ in range(rounds):
            for name, block in blocks.items():
                began = time.process_time()
                block()
                times[name].append((time.process_time() - began) / (envs * rollout) * 1e9)
        at = f"PPO on CartPole with a spec, {envs} x {rollout}"
        results.append(Result.of(f"{at}, SB3: per environment step", "ns", times["sb3"]))
        for how in hows:
            goal = 4.0 if how == "compiled" else None
            results.append(
                Result.of(f"{at}, agents/ppo_torch.py {how}: per environment step", "ns", times[how])
            )
            over, what = ratios(times["sb3"], times[how]), f"{at}: SB3's time / {how}"
            code, why = ("C6t", PRODUCTS) if goal else ("", "")
            results.append(Result.of(what, "x", over, goal, "high", code, why))
        if settings.quick:
            break
    return results


def our_iteration(envs: int, rollout: int, *, compiled: bool = False, **more: Any) -> Callable[[], None]:
    """Return an iteration of `agents/ppo_torch.py`, warmed up."""
    agent = our_ppo(n_envs=envs, n_steps=rollout, compile=compiled, **more)
    agent.capture()
    agent.run()
    agent.run()
    run: Callable[[], None] = agent.run
    return run


def our_ppo(**arguments: Any) -> Any:
    """Return an agent of `agents/ppo_torch.py` on CartPole with a spec, four minibatches of 64-64 tanh."""
    from agents.device import read_tasks
    from agents.ppo_torch import PPO, Args

    with TemporaryDirectory() as folder:
        spec = Path(folder) / "pole.yaml"
        spec.write_text(POLE)
        args = Args(**{"spec": spec, "n_epochs": 4, "hidden": (64, 64), **arguments})
        args.batch_size = args.n_envs * args.n_steps // 4
        return PPO(args, read_tasks(spec, None))


def sb3_iteration(envs: int, rollout: int) -> Callable[[], None]:
    """Return an iteration of SB3's PPO on the same, warmed up."""
    import gymnasium as gym
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    from rewardspec import wrap

    venv = DummyVecEnv([lambda: wrap(gym.make("CartPole-v1"), loads(POLE)) for _ in range(envs)])
    each = envs * rollout
    model = PPO("MlpPolicy", venv, n_steps=rollout, batch_size=each // 4, n_epochs=4, device="cpu", seed=0)
    model.learn(each)
    return lambda: model.learn(each, reset_num_timesteps=False) and None


# -- on a CUDA device --------------------------------------------------------------------------------------------


def cuda_goals(settings: Settings) -> list[Result]:
    """Return what the device can do, and the goals against it."""
    import torch

    torch.set_float32_matmul_precision("high")
    print(f"device: {torch.cuda.get_device_name()}")
    results = []
    for part in (limits, automaton_goals, environment_goals, training_goals, beside_jax):
        found = list(part(settings))
        results += found
        for result in found:
            print(f"{result.what}: {result.median:.4g} {result.unit}")
    return results


def graph_seconds(work: Callable[[], Any], replays: int = 20, rounds: int = 7) -> list[float]:
    """Return the seconds that a captured piece of work takes, one figure a round."""
    import torch

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    graph.replay()
    seconds = []
    for _ in range(rounds):
        began, ended = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        began.record()
        for _ in range(replays):
            graph.replay()
        ended.record()
        ended.synchronize()
        seconds.append(began.elapsed_time(ended) / 1e3 / replays)
    return seconds


def copy_rate(size: int, copies: int) -> list[float]:
    """Return bytes read and written a second by copying a tensor of that many bytes, again and again."""
    import torch

    one, other = (torch.empty(size, dtype=torch.uint8, device="cuda") for _ in range(2))

    def work() -> None:
        for _ in range(copies):
            other.copy_(one)

    return [2 * size * copies / s for s in graph_seconds(work)]


def limits(settings: Settings) -> Iterator[Result]:
    """Measure copy bandwidth, L2 rate and the time of a small node, before anything is held against them."""
    import torch

    yield Result.of("copy bandwidth, 1 GiB", "GB/s", [r / 1e9 for r in copy_rate(1 << 30, 4)], None, "high")
    yield Result.of(
        "copy within the L2 cache, 8 MiB", "GB/s", [r / 1e9 for r in copy_rate(8 << 20, 200)], None, "high"
    )
    x = torch.zeros(1024, device="cuda")

    def nodes() -> None:
        for _ in range(1000):
            x.add_(1.0)

    yield Result.of("a small kernel as a graph's node", "ns", [s * 1e6 for s in graph_seconds(nodes)])


def automaton(steps: int = 1, device: str = "cuda") -> Callable[..., Any]:
    """Return the step of an automaton over three columns of floats, from a spec's own table; compiled on CUDA.

    One call reads 3 float32 and a uint8 state per environment, and writes a uint8 state and a float32 reward: 18
    bytes. With several steps in a call the state stays in a register and the reads go on.
    """
    import torch
    from gymnasium import spaces

    table = tabulate_program(bind(compile_spec(loads(AUTOMATON)), spaces.Box(-1, 1, (3,))))
    order = [int(bit.a.path[0][0]) for bit in table.bits]
    labels = len(table.class_of)
    nexts = torch.as_tensor(table.next[:, table.class_of].ravel(), dtype=torch.uint8, device=device)
    pay = torch.as_tensor(table.pay[:, table.class_of, 0].ravel(), dtype=torch.float32, device=device)

    def step(columns: Any, u: Any) -> Any:
        paid = []
        for at in range(steps):
            own = columns[at]
            label = sum((own[column] > 0).to(torch.int32) << i for i, column in enumerate(order))
            cell = u.to(torch.int32) * labels + label
            u, reward = nexts[cell], pay[cell]
            paid.append(reward)
        return u, paid

    return torch.compile(step, fullgraph=True, dynamic=False) if device == "cuda" else step


def automaton_goals(settings: Settings) -> Iterator[Result]:
    """G1 and G2."""
    import torch

    bandwidth = statistics.median(copy_rate(1 << 30, 4))
    many = 1 << 22
    step = automaton()
    # Rotated inputs of more than 50 MB, so that the L2 cache does not answer for the memory.
    stored = [torch.randn(3, many, device="cuda") for _ in range(4)]
    u = torch.zeros(many, dtype=torch.uint8, device="cuda")

    def large() -> None:
        nonlocal u
        for columns in stored:
            u, _ = step([columns], u)

    rates = [18 * many * len(stored) / s for s in graph_seconds(large)]
    yield Result.of("automaton, N = 4 M", "G/s", [r / 18e9 for r in rates], 133, "high", code="G1")
    yield Result.of(
        "its part of the copy bandwidth", "%", [100 * r / bandwidth for r in rates], 80, "high", code="G1"
    )
    few = 4096
    small = torch.zeros(few, dtype=torch.uint8, device="cuda")
    drawn = [torch.randn(3, few, device="cuda") for _ in range(32)]

    def nodes() -> None:
        nonlocal small
        for columns in drawn:
            small, _ = step([columns], small)

    rates = [few * 32 / s / 1e9 for s in graph_seconds(nodes, 200)]
    yield Result.of("automaton, N = 4,096, a node a step", "G/s", rates, 2, "high", code="G2")
    several = automaton(32)

    def fused() -> None:
        nonlocal small
        small, _ = several(drawn, small)

    rates = [few * 32 / s / 1e9 for s in graph_seconds(fused, 200)]
    yield Result.of("automaton, N = 4,096, 32 steps in a kernel", "G/s", rates, 40, "high", code="G2")


def environment_goals(settings: Settings) -> Iterator[Result]:
    """G3 and G4."""
    import torch

    from envs.batches import batch
    from rewardspec.wrappers.tensor import wrap_tensor

    many = 1 << 20
    bare, paid, _ = (
        torch.compile(f, fullgraph=True, dynamic=False) for f in steppers(many, UNSEEN_POLE, "cuda")
    )

    def several(step: Callable[[], Any]) -> Callable[[], None]:
        return lambda: [step() for _ in range(8)] and None

    with_spec, without = graph_seconds(several(paid)), graph_seconds(several(bare))
    yield Result.of(
        "CartPole and spec, N = 1 M", "G/s", [8 * many / s / 1e9 for s in with_spec], 20, "high", code="G3"
    )
    cost = [100 * (a - b) / b for a, b in zip(with_spec, without, strict=True)]
    yield Result.of("what the spec adds to that step", "%", cost, 5, code="G4")
    lake = wrap_tensor(
        batch("FrozenLake-v1", many, "cuda"),
        loads(LAKE),
        device="cuda",
    )
    lake.reset()
    action = torch.randint(0, 4, (many,), device="cuda")
    step = torch.compile(lambda: lake.step(action)[:2], fullgraph=True, dynamic=False)
    rates = [8 * many / s / 1e9 for s in graph_seconds(several(step))]
    yield Result.of(
        "a tabulated grid (FrozenLake, one-hot) and spec, N = 1 M", "G/s", rates, 10, "high", code="G3"
    )


def ppo_rates(envs: int, *, captured: bool) -> list[float]:
    """Return millions of environment steps a second of PPO with 32 steps a rollout, one figure per round."""
    import torch

    run = our_iteration(envs, 32, compiled=captured, device="cuda", cuda_graphs=captured)
    rates = []
    for _ in range(5):
        torch.cuda.synchronize()
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < 1.0:
            for _ in range(10):
                run()
            torch.cuda.synchronize()
            done += 10
        rates.append(done * envs * 32 / (time.perf_counter() - began) / 1e6)
    return rates


def beside_jax(settings: Settings) -> Iterator[Result]:
    """G7."""
    return device_jax.measure(lambda: ppo_rates(device_jax.ENVS, captured=True))


def training_goals(settings: Settings) -> Iterator[Result]:
    """G5, G6 and G8."""
    yield Result.of(
        "PPO compiled and captured, N = 16,384, T = 32",
        "M/s",
        ppo_rates(16_384, captured=True),
        50,
        "high",
        code="G5",
    )
    captured, eager = ppo_rates(4096, captured=True), ppo_rates(4096, captured=False)
    yield Result.of("PPO captured over eager, N = 4,096", "x", ratios(captured, eager), 8, "high", code="G6")
    yield Result.of(
        "CartPole with a spec solved, from a warm process",
        "ms",
        [1e3 * solve(s) for s in range(5)],
        1000,
        code="G8",
    )


def solve(seed: int) -> float:
    """Return the seconds until episodes last 475 steps on average, capture not counted; infinite if they never do."""
    import torch

    agent = our_ppo(
        n_envs=4096, n_steps=32, device="cuda", compile=True, cuda_graphs=True, seed=seed, anneal=False
    )
    agent.capture()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(200):
        for _ in range(5):
            agent.run()
        length = agent.progress()["length"]
        if length is not None and length >= 475:
            return time.perf_counter() - began
    return float("inf")
