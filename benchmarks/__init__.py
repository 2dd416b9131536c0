"""Measurements against the peers, and of memory and chunk lengths: commands, not part of the distribution."""
