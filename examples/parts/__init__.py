"""Figures and sounds of the example collection."""
