"""A labelling function of your own, for an environment that keeps what matters out of its observation."""

import gymnasium

import rewardspec

spec = rewardspec.loads("""
name: tidy-taxi
propositions: [hit_a_wall, passenger_aboard]   # given by the labelling function
reward:
  - once: passenger_aboard
  - markov: -0.1 * hit_a_wall
    name: bumps
tests:
  - name: two bumps on the way
    trace: [[hit_a_wall], [hit_a_wall], [passenger_aboard], [passenger_aboard]]
    return: 0.8
""")


def label(env: gymnasium.Env, transition: rewardspec.Transition) -> dict[str, bool]:
    """Say what is true: from the live environment, from the transition, or from both."""
    _row, _column, passenger, _destination = env.unwrapped.decode(transition.next_obs)
    moved = transition.action < 4
    return {
        "hit_a_wall": moved and bool(transition.obs == transition.next_obs),
        "passenger_aboard": passenger == 4,
    }


env = rewardspec.wrap(gymnasium.make("Taxi-v3"), spec, label=label)
env.reset(seed=0)
env.action_space.seed(0)
over = False
while not over:
    _, _, terminated, truncated, info = env.step(env.action_space.sample())
    over = terminated or truncated
print({name: round(total, 1) for name, total in info["rewardspec"]["return"].items()})
