"""The one error of the encoder language: a source is refused, with a reason that a model can work with."""

from __future__ import annotations

from rewardspec.errors import FormulaError


class EncoderError(FormulaError):
    """A source is not in the language, or does not say what a factor is.

    Attributes:
        line: Line of the source that is refused, from 1; 0 where it is the source as a whole.
    """

    def __init__(self, code: str, message: str, *hints: str) -> None:
        super().__init__(code, message, hints=hints)
        self.line = 0

    def in_line(self, line: int, text: str) -> EncoderError:
        """Return the error with the line that it is about, where that is not said yet."""
        if not self.line:
            self.line = line
            self.message = f"line {line}, `{text}`: {self.message}"
            self.args = (self.message,)
        return self

    def __str__(self) -> str:
        return " ".join((f"{self.message}.", *self.hints))


def refuse(message: str, *hints: str) -> EncoderError:
    """Return the error for what the language does not have."""
    return EncoderError("encoder-refused", message, *hints)


def mixes(message: str, *hints: str) -> EncoderError:
    """Return the error for what would let one row of a batch see another."""
    return EncoderError("encoder-mixes-rows", message, *hints)


def misshapen(message: str, *hints: str) -> EncoderError:
    """Return the error for shapes that do not go together, or do not fit what is asked for."""
    return EncoderError("encoder-shape", message, *hints)


def too_large(message: str, *hints: str) -> EncoderError:
    """Return the error for what is beyond a limit."""
    return EncoderError("encoder-too-large", message, *hints)
