"""Messages as games write them, with known worth: for measuring what learns from labels of messages."""
