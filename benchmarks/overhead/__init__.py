"""CPU and wall time of one call and one chunk, beside the raw openai SDK in the same run."""
