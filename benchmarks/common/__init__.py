"""What both harnesses share: environments, a raw HTTP server, statistics, tables."""
