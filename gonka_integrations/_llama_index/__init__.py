"""The parts of `gonka_integrations.llama_index`."""
