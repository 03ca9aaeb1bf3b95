"""Whose loop calls the program: environments, vectors of them, stored trajectories, device-resident worlds."""
