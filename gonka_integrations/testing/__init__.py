"""Tests that users run against endpoints and models of their own. Needs pytest."""

import pytest

pytest.register_assert_rewrite("gonka_integrations.testing.llama_index")
