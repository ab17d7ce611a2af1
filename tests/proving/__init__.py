"""What shows that a gallery never lies and never forgets: crashes, searches beside writes, damage."""
