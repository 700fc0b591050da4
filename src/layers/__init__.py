"""Cells and functions that both networks use."""
