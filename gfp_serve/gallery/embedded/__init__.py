"""Galleries in folders. Items are kept in SQLite, the only source of truth; FAISS indexes are made from them."""

import logging
import os

# FAISS's threads wait for each other many times in one search. By default they wait busily: where other work uses the
# cores too, 13 queries over 40 000 vectors of 512 numbers then take 630 ms of CPU time instead of 35. It must be set
# before FAISS is loaded, and any other value is kept.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# FAISS says at level info which of its builds suits the processor, in words that read like errors.
logging.getLogger("faiss.loader").setLevel(logging.WARNING)
