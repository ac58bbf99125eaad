"""What belongs to the book alone, and imports `mialab`: the exercises' checkers."""
