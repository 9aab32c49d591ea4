"""A results folder: the waist between running and analysing."""
