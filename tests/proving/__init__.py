"""Proofs that a gallery never gives a wrong answer and never loses an item: crashes, parallel searches, damage."""
