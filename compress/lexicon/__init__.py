"""Builds the English table of `edgevoice.text.lexicon` on the workstation; nothing here runs on a device."""
