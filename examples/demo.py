"""`make demo`: a reward declared in twenty lines of YAML against the environment's own, and a report of both.

Trains PPO on both rewards of MiniGrid's DoorKey-8x8, with the same settings, budget and seeds, and writes one HTML
file.
"""

import argparse
import os
import sys
import time
import webbrowser
from pathlib import Path

from rich.console import Console
from rich.syntax import Syntax

from rewardspec import check, load, loads
from rewardspec.analysis.spec_tests import run_tests, show_result
from rewardspec.report.comparison import Arm, comparison_page, save_page, verdict
from rewardspec.report.recording import record
from rewardspec.training.loop import load_agent
from rewardspec.training.sweep import Job, train_all

DECLARED = Path(__file__).parent / "specs" / "minigrid_doorkey.yaml"
SPARSE = """\
# What the environment pays by itself: 1 - 0.9 * steps / 640 at the goal, and nothing before it.
rewardspec: 1
name: doorkey-sparse
discount: 0.99
env: {id: MiniGrid-DoorKey-8x8-v0}
reward: {markov: reward, name: sparse}
"""
LEAD = (
    "The declared reward pays once for the key, once for the open door and once for the goal. The sparse reward is "
    "the environment's own, paid at the goal alone. Both agents are PPO with the same settings, budget and seeds."
)
NOTE = (
    "The agent of the declared reward sees, besides the environment's observation, the state of the reward machine "
    "(four numbers): that is what keeps the task Markov. They help by themselves too: README.md says by how much."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300_000, help="environment steps of each run")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each reward")
    parser.add_argument(
        "--out", type=Path, help="folder (default: a new one in runs/); an earlier one goes on"
    )
    parser.add_argument(
        "--smoke", action="store_true", help="a tiny budget and one seed, to see that it runs"
    )
    given = parser.parse_args()
    steps, seeds = (2048, 1) if given.smoke else (given.steps, given.seeds)
    out = given.out or Path("runs") / time.strftime("demo-%Y%m%d-%H%M%S")
    console = Console()

    console.rule("the reward, declared")
    console.print(Syntax(DECLARED.read_text(), "yaml", background_color="default", word_wrap=True))
    spec = load(DECLARED)
    for problem in check(spec):
        console.print(problem.render(), highlight=False, markup=False, soft_wrap=True)
    tests = run_tests(spec)
    for test in tests:
        console.print("test", "[green]holds[/]" if test.passed else "[red]fails[/]", test.name)
        if not test.passed:
            sys.exit("\n".join(show_result(test)))

    console.rule(f"training {2 * seeds} agents for {steps:,} steps each")
    specs = {"declared": DECLARED, "sparse": loads(SPARSE, "doorkey-sparse.yaml")}
    jobs = [
        Job(name, specs[name], out / f"{name}-{seed}", steps, seed) for seed in range(seeds) for name in specs
    ]
    try:
        made = train_all(jobs, console=console)
    except KeyboardInterrupt:
        sys.exit(
            f"stopped; go on with: {sys.executable} {sys.argv[0]} --steps {steps} --seeds {seeds} --out {out}"
        )
    runs = dict(zip(((job.name, job.seed) for job in jobs), made, strict=True))
    arms = [Arm(name, [runs[name, seed] for seed in range(seeds)]) for name in specs]

    console.rule("result")
    console.print(verdict(arms), highlight=False, soft_wrap=True)
    episode, _ = record(
        *load_agent(arms[0].runs[0].path, seen=True), seed=1, attempts=1 if given.smoke else 20
    )
    title = "MiniGrid DoorKey: a declared reward against the sparse one"
    told = [(test.name, test.passed) for test in tests]
    report = save_page(
        comparison_page(title, LEAD, arms, episode, [NOTE], told), out / "report.html"
    ).resolve()
    console.print(f"report: {report}", highlight=False, soft_wrap=True)
    if sys.stdout.isatty() and (sys.platform == "darwin" or {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ)):
        webbrowser.open(report.as_uri())


if __name__ == "__main__":
    main()
