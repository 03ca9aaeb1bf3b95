"""Finite worlds as arrays: their batches on a device, their product with a program, their exact solution."""
