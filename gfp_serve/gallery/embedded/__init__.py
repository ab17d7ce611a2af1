"""Galleries in folders. Items are kept in SQLite, the only source of truth; FAISS indexes are made from them."""

import logging

# FAISS says at level info which of its builds suits the processor, in words that read like errors.
logging.getLogger("faiss.loader").setLevel(logging.WARNING)
