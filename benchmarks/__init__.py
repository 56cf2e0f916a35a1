"""What gonka_integrations costs and what it survives, measured beside its peers."""
