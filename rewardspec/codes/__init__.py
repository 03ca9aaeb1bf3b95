"""The table of codes: for each problem that rewardspec can report, what it means, an example and the fix.

`rewardspec explain CODE` prints a page of it; `python docs/generate.py` makes `docs/errors.md` from it.
"""

from __future__ import annotations

from rewardspec.codes.agents import AGENTS
from rewardspec.codes.comparing import COMPARING
from rewardspec.codes.encoder import ENCODER
from rewardspec.codes.explanation import Explanation
from rewardspec.codes.farming import FARMING
from rewardspec.codes.feedback import FEEDBACK
from rewardspec.codes.games import GAMES
from rewardspec.codes.hosts import HOSTS
from rewardspec.codes.judges import JUDGES
from rewardspec.codes.labelling import LABELLING
from rewardspec.codes.language_models import LANGUAGE_MODELS
from rewardspec.codes.learning import LEARNING
from rewardspec.codes.lints import LINT_CODES
from rewardspec.codes.meaning import MEANING
from rewardspec.codes.reading import READING
from rewardspec.codes.searching import SEARCHING
from rewardspec.codes.team import TEAM

__all__ = ["CODES", "Explanation"]

CODES: dict[str, Explanation] = {
    **READING,
    **MEANING,
    **HOSTS,
    **AGENTS,
    **COMPARING,
    **FARMING,
    **GAMES,
    **LEARNING,
    **ENCODER,
    **JUDGES,
    **FEEDBACK,
    **LABELLING,
    **LANGUAGE_MODELS,
    **SEARCHING,
    **TEAM,
    **LINT_CODES,
}
"""Every code, by its name."""
