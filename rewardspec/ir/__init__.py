"""The intermediate representation: a small closed set of frozen nodes that every backend can execute."""
