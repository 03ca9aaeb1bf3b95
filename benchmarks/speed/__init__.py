"""How fast a spec steps and compiles, as ratios within one run; run with `python -m benchmarks speed`.

The method is in `method.py`; every experiment is one file with one function `measure`.
"""
