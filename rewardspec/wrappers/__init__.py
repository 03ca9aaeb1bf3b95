"""Whose loop calls the program: gymnasium environments, vectors of them, stored trajectories, device-resident worlds."""
