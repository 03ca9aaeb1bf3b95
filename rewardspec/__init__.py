"""Declare what an agent should want; get a reward that can be read, checked, tested, trained on and trusted."""
