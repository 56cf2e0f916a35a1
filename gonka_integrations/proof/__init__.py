"""Trust-minimised discovery: prove who the participants are."""
