"""Galleries in folders. Items are kept in SQLite, the only source of truth; FAISS indexes are made from them."""
