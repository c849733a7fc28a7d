// The board; see board.py.
