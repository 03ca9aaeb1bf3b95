"""Guards, temporal formulas and the automata they become. Importing this loads no Spot."""
