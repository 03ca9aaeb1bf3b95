"""Peers that run in `.venv-bench`, in processes of their own."""
