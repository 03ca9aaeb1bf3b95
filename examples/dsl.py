"""The same language from Python: builders make terms, operators join them, and the result is a spec like any other."""

import gymnasium

import rewardspec
from rewardspec import dsl as rs

centred = rs.markov("tolerance(position, -0.1, 0.1, margin=2)", name="centred")
upright = rs.markov("tolerance(next_obs[2], -0.02, 0.02, margin=0.2)", name="upright")

spec = rs.spec(
    "cartpole-balanced",
    description="Stay near the middle and upright; touch both sides once.",
    discount=0.99,
    env={"id": "CartPole-v1", "horizon": 500, "ends_early": True},
    signals={"position": "next_obs[0]"},
    propositions={"left": "position < -0.2", "right": "position > 0.2"},
    reward=rs.product(centred, upright) + 500 * rs.ltl("F left & F right", pay="end", name="both_sides"),
    tests=[
        rs.test("both sides", trace=[["left"], [], ["right"]], end="truncated", return_={"both_sides": 500})
    ],
)

print(spec.to_yaml())
assert rewardspec.loads(spec.to_yaml()) == spec  # one language, two ways to write it

for finding in rewardspec.check(spec):
    print(finding.severity, finding.code, finding.message)

env = rewardspec.wrap(gymnasium.make("CartPole-v1"), spec)
print("observes", env.observation_space.shape, "with the memory of the formula")
