"""A model that exists for tests/test_models.py alone: all that someone who adds one has to write."""
