"""Set functions with diminishing returns: what a visit is worth, given what has been visited."""
