"""The encoder language: the NumPy code that a language model writes, read as data and compiled, never run as Python.

LaRe asks a model for `evaluation_func(observation, action)`, which scores a situation by a few factors, and runs the
answer with `exec` inside the training process. Here the same text is parsed with `ast`, walked over a whitelist and
lowered to the expressions that all backends have (`ir/expr.py`):

- `source.py`: the text: parsed within bounds, its one function, and the statements that are refused;
- `language.py`: the walk: which statements and expressions there are, and what they come to;
- `functions.py`: the table of functions and methods, the only thing that a call can reach;
- `arrays.py`: arrays as the code sees them, with the batch axis left out: what mixes rows of a batch is refused;
- `cells.py`: the numbers that arrays are made of, each an expression over one transition;
- `canonical.py`: what two sources have in common but for the names of their variables.
"""
