"""Bytes that nobody meant: a target that checks what must hold of any request, its corpus, and the program that searches for more."""
