"""Rewards that are learnt: from preferences, from order, from returns."""
