"""Several agents: which spec is whose, programs over joint transitions, and what agents share."""
