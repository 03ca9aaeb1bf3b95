"""Where the arithmetic runs: `oracle` defines the meaning, `scalar` and `array` are fast; they share no code."""
