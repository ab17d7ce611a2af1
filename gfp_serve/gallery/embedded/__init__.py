"""The gallery in a folder: items in SQLite, which is the truth, and indexes of FAISS, which are made from it."""
