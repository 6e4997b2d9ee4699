"""Measuring the systems on labelled photos: accuracy against bytes, beside what a practical person would do instead."""
