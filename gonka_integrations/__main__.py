"""``python -m gonka_integrations`` is the `gonka` command."""

from .cli import main

if __name__ == "__main__":
    main()
