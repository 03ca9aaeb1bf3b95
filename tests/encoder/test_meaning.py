"""What is compiled from a source is what NumPy computes from it, on every backend; and what makes two sources one."""

from __future__ import annotations

import inspect
import textwrap

import numpy as np
import pytest
from gymnasium import spaces

from rewardspec.backends.array import compile_array
from rewardspec.backends.scalar import compile_scalar
from rewardspec.encoder.language import Encoder, read_encoder
from rewardspec.ir.layout import Layout, bind
from rewardspec.ir.program import Program, Term
from rewardspec.transition import Transition
from tests.encoder.sources import GOOD

BATCH = 64


def source_of(name: str) -> str:
    text = textwrap.dedent(inspect.getsource(GOOD[name][0]))
    return text.replace(f"def {name}(", "def evaluation_func(")


def layout_of(encoder: Encoder, observation: int, action: int | None) -> Layout:
    """Return a program that pays every factor, bound to spaces of these widths."""
    terms = tuple(
        Term(name, "factor", expr) for name, expr in zip(encoder.names, encoder.factors, strict=True)
    )
    program = Program("factors", None, (), (), (), (), terms, (), observe="none")
    box = spaces.Box(-np.inf, np.inf, (observation,), np.float64)
    return bind(program, box, spaces.Box(-np.inf, np.inf, (action or 1,), np.float64))


def rows(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch of observations and actions, with extremes and ties among them."""
    _, observation, action = GOOD[name]
    rng = np.random.default_rng(7)
    obs = rng.normal(size=(BATCH, observation))
    obs[:4] = np.array([0.0, 0.25, -1.0, 40.0])[:, None]
    return obs, rng.uniform(-1, 1, (BATCH, action or 1))


def numpys_word(name: str, obs: np.ndarray, act: np.ndarray) -> np.ndarray:
    function, _, action = GOOD[name]
    obs, act = obs.copy(), act.copy()
    with np.errstate(all="ignore"):
        found = function(obs, act) if action else function(obs)
    return np.stack([np.reshape(factor, len(obs)).astype(np.float64) for factor in found], axis=1)


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_arrays_mean_what_numpy_says(name: str, library: str) -> None:
    _, observation, action = GOOD[name]
    encoder = read_encoder(source_of(name), observation, action)
    obs, act = rows(name)
    run = compile_array(
        layout_of(encoder, observation, action), BATCH, library, dtype="float64", device="cpu"
    )
    zeros, flags = np.zeros(BATCH), np.zeros(BATCH, bool)
    transition = Transition(obs=obs, action=act, reward=zeros, terminated=flags, truncated=flags)
    if library == "torch":
        import torch

        given = {key: torch.from_numpy(value) for key, value in vars_of(transition).items()}
        transition = Transition(**given)
    _, outcome = run.step(run.init(), transition, {})
    paid = np.stack([np.broadcast_to(np.asarray(term), BATCH) for term in outcome.terms], axis=1)
    np.testing.assert_allclose(paid, numpys_word(name, obs, act), rtol=1e-9, atol=1e-9)


def vars_of(transition: Transition) -> dict[str, np.ndarray]:
    names = ("obs", "action", "reward", "terminated", "truncated")
    return {name: getattr(transition, name) for name in names}


@pytest.mark.parametrize("name", GOOD)
def test_single_steps_mean_the_same(name: str) -> None:
    _, observation, action = GOOD[name]
    encoder = read_encoder(source_of(name), observation, action)
    obs, act = rows(name)
    program = compile_scalar(layout_of(encoder, observation, action))
    expected = numpys_word(name, obs, act)
    for i in range(8):
        paid = program.advance_terms(program.start, obs[i], act[i], None, 0.0, False, False, {}, (), (), {})[
            4
        ]
        np.testing.assert_allclose(paid, expected[i], rtol=1e-9, atol=1e-9)


def test_factors_are_named_after_what_is_returned_and_lifted_where_a_column_was_asked_for() -> None:
    encoder = read_encoder(source_of("reacher"), 10, 2)
    assert encoder.names == ("closeness", "speed", "torque")
    assert encoder.lifted == encoder.names  # (batch,) each
    encoder = read_encoder(source_of("statements"), 12, 1)
    assert encoder.names == ("total", "factor_2", "factor_3", "factor_4")
    assert "factor_2" not in encoder.lifted


def test_the_phase_says_which_observation_is_read() -> None:
    text = "def evaluation_func(observation):\n    return [observation[:, 0:1]]"
    roots = [read_encoder(text, 2, phase=phase).factors[0].root for phase in ("state", "next_state")]  # type: ignore[union-attr]
    assert roots == ["obs", "next_obs"]


def test_a_digest_sees_what_is_said_and_not_how_it_is_called() -> None:
    text = "def evaluation_func(observation):\n    x = observation[:, %d:2] * 2  # %s\n    return [x]"
    other = 'def evaluation_func(o: np.ndarray) -> list:\n    """Doc."""\n    s: float = o[:, 1:2] * 2\n    return [s]'
    one = read_encoder(text % (1, "speed"), 3).digest
    assert one == read_encoder(text % (1, "length"), 3).digest == read_encoder(other, 3).digest
    assert one != read_encoder((text % (0, "")).replace("0:2", "0:1"), 3).digest
